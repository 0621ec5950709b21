// Command probe measures the tree of the library that it is built in, with one workload, and prints
// a line of JSON for each figure. The command bench builds it into the trees that it compares,
// which may be of other commits: so it uses of the library only what all of them have, and no
// internal package.
//
// It measures one round for each line that it reads, and answers it with a line: two probes can
// take turns so, and meet the same disturbances. The results come at the end of the input.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
)

// sample is one figure.
type sample struct {
	Row     string  // workload and contender; and in the warm test the kind of packet
	NS      float64 // a packet
	Packets int     // of a round
	Rounds  int
	Events  int    // of a round
	Mallocs uint64 // of a round
	Bytes   uint64 // allocated in a round
	Source  string // the capture, or "synthetic"
	Clock   string
}

func main() {
	workload := flag.String("workload", "", "web, manyflows, bulk, lossy, dns, tls, mixed or warm")
	capture := flag.String("capture", "", "capture `file`; without one the traffic is synthetic")
	scale := flag.Float64("scale", 1, "how much synthetic traffic there is")
	cpu := flag.Int("cpu", -1, "the processor to run on; the last if negative")
	parsers := flag.Bool("parsers", false, "measure drivers with and without parsers")
	flag.Parse()
	if err := run(*workload, *capture, *scale, *cpu, *parsers); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(workload, capture string, scale float64, cpu int, parsers bool) error {
	// A round runs without the garbage collector, which is called between rounds. The time of
	// allocating is measured, that of collecting is not: it depends on all that the program around
	// the library holds. What is allocated is counted instead.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(4 << 30) // unless that would need too much
	clock := clockName
	if pin(cpu) {
		clock += ", pinned"
	}
	contend := newContenders
	if parsers {
		contend = newDrivers
	}
	contenders, err := contend()
	if err != nil {
		return err
	}
	var samples []sample
	if workload == "warm" {
		samples = warm(contenders)
	} else {
		views, source, err := load(workload, capture, scale)
		if err != nil {
			return err
		}
		samples = replay(contenders, workload, views)
		for i := range samples {
			samples[i].Source = source
		}
	}
	out := json.NewEncoder(os.Stdout)
	for _, s := range samples {
		s.Clock = clock
		if err := out.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

// rounds are the rounds that are asked for. The first of them is to make tables touch their memory
// for the first time, and does not count.
func rounds() iter.Seq[int] {
	return func(yield func(int) bool) {
		asked := bufio.NewScanner(os.Stdin)
		for n := 0; asked.Scan() && yield(n); n++ {
			fmt.Println()
		}
	}
}
