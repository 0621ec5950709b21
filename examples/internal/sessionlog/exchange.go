package sessionlog

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/http1"
)

// Exchange is an HTTP exchange. Method and what belongs to it are absent if the request was not seen,
// Status if there was no final response.
type Exchange struct {
	Head
	Method          string   `json:"method,omitempty"`
	Host            string   `json:"host,omitempty"`
	URI             string   `json:"uri,omitempty"`
	Version         string   `json:"version,omitempty"`
	Status          uint16   `json:"status,omitempty"`
	RequestBody     int64    `json:"request_body"`
	RequestMissing  int64    `json:"request_missing"` // of the body: not captured
	ResponseBody    int64    `json:"response_body"`
	ResponseMissing int64    `json:"response_missing"`
	Latency         *int64   `json:"latency_us,omitempty"`
	Flags           []string `json:"flags"`
}

func newExchange(ev *flowscope.Event, m *http1.Exchange) *Exchange {
	return &Exchange{
		Head:   newHead("http", ev, m.Client, cmp.Or(m.Request.Began, m.Response.Began)),
		Method: string(m.Method), Host: string(m.Host), URI: string(m.Target), Version: m.Request.Version.String(),
		Status:      m.Status,
		RequestBody: m.Request.Body, RequestMissing: m.Request.Missing,
		ResponseBody: m.Response.Body, ResponseMissing: m.Response.Missing,
		Latency: microseconds(m.Latency()), Flags: append([]string{}, m.Flags.Names()...),
	}
}

// Cells implements Record.
func (x *Exchange) Cells() []string {
	request := x.Method + " " + x.URI
	if strings.HasPrefix(x.URI, "/") {
		request = x.Method + " " + x.Host + x.URI
	}
	var result []string
	if x.Status != 0 {
		result = append(result, fmt.Sprint(x.Status))
	}
	if missing := x.RequestMissing + x.ResponseMissing; missing > 0 {
		result = append(result, fmt.Sprint(missing, " bytes not captured"))
	}
	for _, flag := range x.Flags {
		result = append(result, strings.ReplaceAll(flag, "_", " "))
	}
	return []string{request, strings.Join(result, ", "), milliseconds(x.Latency), fmt.Sprint(x.RequestBody + x.ResponseBody)}
}
