package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/protocol/dns"
	"github.com/flowscope-go/flowscope/protocol/http1"
	"github.com/flowscope-go/flowscope/protocol/tls"
	"github.com/gopacket/gopacket/afpacket"
)

// capture listens until the context is done, which is no error, or a limit is reached.
func capture(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	all, err := devices(s.interfaces)
	if err != nil {
		return err
	}
	link := linkTypeOf(all)
	program, err := s.filterFor(link)
	if err != nil {
		return err
	}
	rings, err := openRings(all, loopbackOf(all, loopback), program, &s)
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(s.interfaces, ","), err)
	}
	defer rings.close()
	dump, err := newDump(s.dump, link, time.Now())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	shared := &shared{out: newOutput(stdout, &s, namesOf(s.interfaces)), dump: dump, stop: stop, limit: s.packets}
	context.AfterFunc(ctx, func() { shared.stopping.Store(true) })
	var workers []*worker
	for _, ring := range rings.all {
		d, err := newDriver(&s)
		if err != nil {
			return err
		}
		workers = append(workers, &worker{ring: ring, driver: d, link: link, shared: shared})
	}
	if err := start(workers, rings); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "live: listening on %s (%v), workers: %d, each with a ring of %d MiB\n", strings.Join(s.interfaces, ","), link, len(workers), s.buffer)
	if s.limit > 0 {
		defer time.AfterFunc(s.limit, stop).Stop()
	}
	err = watch(workers, rings, stop, stderr)
	for _, w := range workers {
		w.finish()
	}
	err = errors.Join(err, shared.out.finish(), dump.finish())
	summary(stderr, workers, rings)
	return err
}

// start lets packets come. Before a ring had its filter and its place in the fan-out it got the packets of others:
// these are thrown away.
func start(workers []*worker, rings *rings) error {
	errs := make([]error, len(workers))
	var all sync.WaitGroup
	for i, w := range workers {
		all.Go(func() {
			nothing := func(flowscope.PacketView) error { return nil }
			errs[i] = errors.Join(w.untilQuiet(nothing), w.ring.InitSocketStats())
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return failure(err)
	}
	for _, w := range workers {
		if err := w.ring.SetBPF(rings.filter); err != nil {
			return fmt.Errorf("the kernel refuses the filter: %w", err)
		}
	}
	return nil
}

// watch runs the workers, and tells once a second what the kernel has dropped.
func watch(workers []*worker, rings *rings, stop func(), stderr io.Writer) error {
	var all sync.WaitGroup
	failures := make(chan error, len(workers))
	for _, w := range workers {
		all.Go(func() {
			if err := w.run(rings.none); err != nil {
				failures <- failure(err)
				stop()
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	told := uint64(0)
	for {
		select {
		case <-done:
			close(failures)
			var errs []error
			for err := range failures {
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		case <-tick.C:
			if _, drops := rings.counts(); drops > told {
				fmt.Fprintf(stderr, "live: dropped by the kernel: %d packets, %d in total; larger rings (-buffer), a filter or -workers may help\n",
					drops-told, drops)
				told = drops
			}
		}
	}
}

// failure names an error that the ring has no name for.
func failure(err error) error {
	if errors.Is(err, afpacket.ErrPoll) {
		return errors.New("the interface went down or away")
	}
	return err
}

func newDriver(s *settings) (*driver, error) {
	if !s.sessions {
		return flowscope.NewFlowDriver(s.options.Extractor(), nil, s.config())
	}
	web := http1.Factory{}
	if s.format != "table" && s.format != "json" {
		web.Want = http1.WantFields
	}
	return flowscope.NewFlowSessionDriver(s.options.Extractor(), s.config(), web, tls.Factory{}, tls.StartTLS{}, dns.Factory{})
}

// namesOf are the names of the interfaces by number, nil if there is only one.
func namesOf(names []string) map[uint32]string {
	if len(names) == 1 && names[0] != "any" {
		return nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	out := map[uint32]string{}
	for _, i := range all {
		out[uint32(i.Index)] = i.Name
	}
	return out
}

// loopback is the number of the loopback interface, 0 if there is none.
func loopback() int {
	all, err := net.Interfaces()
	if err != nil {
		return 0
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Index
		}
	}
	return 0
}

// summary prints the counters: of what the library could not use or keep, and last those of the capture.
func summary(stderr io.Writer, workers []*worker, rings *rings) {
	var packets, bytes, cut uint64
	var sum counters
	for _, w := range workers {
		packets, bytes, cut = packets+w.packets.Load(), bytes+w.bytes.Load(), cut+w.cut.Load()
		sum.add(w.driver.Stats())
	}
	sum.print(stderr)
	shared := workers[0].shared
	if text := shared.out.lost.String(); text != "" {
		fmt.Fprintf(stderr, "live: not all messages could be read: %s\n", text)
	}
	if n := shared.out.tunnels; n > 0 && len(workers) > 1 {
		fmt.Fprintf(stderr, "live: %d flows were in tunnels over UDP; the two directions of such a flow may have gone to different workers, and with -workers 1 do not\n", n)
	}
	if len(workers) > 1 {
		var each []uint64
		for _, w := range workers {
			each = append(each, w.packets.Load())
		}
		fmt.Fprintf(stderr, "live: packets of each worker: %v\n", each)
	}
	_, drops := rings.counts()
	fmt.Fprintf(stderr, "live: seen %d packets (%d bytes), dropped by the kernel %d, longer than the capture length %d\n", packets, bytes, drops, cut)
}
