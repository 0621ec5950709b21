package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestCountersAreServedWhileAndAfterReplay starts the program as a user would, and reads the
// counters as Prometheus would.
func TestCountersAreServedWhileAndAfterReplay(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-listen", "127.0.0.1:0", "-keep", "20s"}, writer)
		writer.Close()
	}()
	lines := bufio.NewReader(reader)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, lines)
	url := strings.TrimSpace(strings.TrimPrefix(line, "serving "))
	for {
		body := get(t, url)
		// Once the replay is over every flow has ended.
		if strings.Contains(body, "flowscope_flows_active 0") && strings.Contains(body, `flowscope_flows_ended_total{reason="fin"}`) {
			for _, want := range []string{"flowscope_flows_created_total", "flowscope_packets_total", "flowscope_stream_bytes_total"} {
				if !strings.Contains(body, want) {
					t.Errorf("no %s in\n%s", want, body)
				}
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the replay never ended:\n%s", body)
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
