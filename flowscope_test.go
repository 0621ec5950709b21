package flowscope_test

import (
	"encoding"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope"
)

// Whatever a Config accepts has a name, which leads back to it, and nothing else has one.
func TestChoicesOfConfigAsText(t *testing.T) {
	choice(t, []string{"ignore", "verify", "auto"}, func(c *flowscope.Config) *flowscope.ChecksumMode { return &c.Checksums })
	choice(t, []string{"reassemble", "ignore"}, func(c *flowscope.Config) *flowscope.FragmentPolicy { return &c.Fragments })
	choice(t, []string{"first", "last", "linux"}, func(c *flowscope.Config) *flowscope.OverlapPolicy { return &c.Overlap })
	choice(t, []string{"sliding_window", "drop_flow"}, func(c *flowscope.Config) *flowscope.OverflowPolicy { return &c.Overflow })
}

func choice[T interface {
	~uint8
	fmt.Stringer
	encoding.TextMarshaler
}, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, names []string, in func(*flowscope.Config) P) {
	t.Run(fmt.Sprintf("%T", T(0)), func(t *testing.T) {
		for i := range 256 {
			var cfg flowscope.Config
			*in(&cfg) = T(i)
			_, err := flowscope.NewFlowTracker(flowscope.FiveTuple{}, cfg)
			want := fmt.Sprintf("%s(%d)", strings.TrimPrefix(fmt.Sprintf("%T", T(0)), "flowscope."), i)
			if i < len(names) {
				require.NoError(t, err)
				want = names[i]
			} else {
				require.ErrorIs(t, err, flowscope.ErrConfig)
			}
			require.Equal(t, want, T(i).String())
			text, err := T(i).MarshalText()
			require.NoError(t, err)
			require.Equal(t, want, string(text))
			var back flowscope.Config
			require.NoError(t, in(&back).UnmarshalText(text))
			require.Equal(t, cfg, back)
		}
		var kept flowscope.Config
		*in(&kept) = 1
		was := kept
		for _, text := range []string{"", strings.ToUpper(names[0]), names[0] + " ", "unknown", "0"} {
			assert.ErrorIs(t, in(&kept).UnmarshalText([]byte(text)), flowscope.ErrConfig, text)
		}
		assert.Equal(t, was, kept)
	})
}

func TestEventMasksAsText(t *testing.T) {
	for mask, want := range map[flowscope.EventMask]string{
		0:                                      "default",
		flowscope.NoEvents:                     "none",
		flowscope.Events(flowscope.EventEnded): "ended",
		flowscope.Events(flowscope.EventEnded, flowscope.EventStarted):   "started|ended",
		flowscope.Events(flowscope.EventICMPError) &^ flowscope.NoEvents: "icmp_error",
		flowscope.Events(flowscope.EventData) | 1<<31:                    "data|EventMask(2147483648)",
	} {
		assert.Equal(t, want, mask.String())
	}
	var all []string
	for k := flowscope.EventStarted; flowscope.AllEvents.Has(k); k++ {
		all = append(all, k.String())
	}
	assert.Equal(t, strings.Join(all, "|"), flowscope.AllEvents.String())
}
