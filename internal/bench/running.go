package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// running is a probe at work. It measures a round when it is sent a line, and prints its results
// when no more can come.
type running struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// probeSample is a figure that a probe prints.
type probeSample struct {
	Row                     string
	NS                      float64 // a packet
	Packets, Rounds, Events int
	Mallocs, Bytes          uint64 // of a round
	Source, Clock           string
}

func start(program string, args ...string) (*running, error) {
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &running{cmd, in, bufio.NewReader(out)}, cmd.Start()
}

// round lets the probe measure a round, and waits for it.
func (r *running) round() error {
	_, err := r.in.Write([]byte{'\n'})
	if err == nil {
		_, err = r.out.ReadByte()
	}
	if err != nil {
		return fmt.Errorf("the probe ended early: %w", err)
	}
	return nil
}

// results lets the probe come to its end.
func (r *running) results() (samples []probeSample, err error) {
	if err := r.in.Close(); err != nil {
		return nil, err
	}
	for lines := json.NewDecoder(r.out); ; {
		var s probeSample
		if err := lines.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	return samples, r.cmd.Wait()
}

// stop ends a probe that is still at work after an error.
func (r *running) stop() {
	if r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
}
