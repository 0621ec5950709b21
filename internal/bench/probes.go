package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed probe
var probeSource embed.FS

// probes are the programs that measure, built of the same source into both trees.
type probes struct {
	tmp      string
	dirs     [2]string
	overlays [2]string
	linked   map[string]string // a program, by tree and layout
}

// probePackage is where the probe seems to be in a tree. The go command is told so by an overlay;
// the tree is not touched. No tree has this folder, so that what one has of its own cannot become
// part of it.
const probePackage = "internal/bench/probe_of_compare"

func newProbes(dirs [2]string) (*probes, error) {
	tmp, err := os.MkdirTemp("", "flowscope-bench-")
	if err != nil {
		return nil, err
	}
	p := &probes{tmp: tmp, linked: map[string]string{}}
	for side, dir := range dirs {
		if p.dirs[side], err = filepath.Abs(dir); err == nil {
			p.overlays[side], err = p.overlay(side)
		}
		if err != nil {
			p.remove()
			return nil, err
		}
	}
	return p, nil
}

func (p *probes) remove() { _ = os.RemoveAll(p.tmp) }

// overlay writes the source of the probe, and the file that puts it into a tree.
func (p *probes) overlay(side int) (string, error) {
	files, err := probeSource.ReadDir("probe")
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := probeSource.ReadFile("probe/" + f.Name())
		if err != nil {
			return "", err
		}
		name := filepath.Join(p.tmp, f.Name())
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(p.dirs[side], filepath.FromSlash(probePackage), f.Name())] = name
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(p.tmp, fmt.Sprintf("overlay-%d.json", side))
	return name, os.WriteFile(name, text, 0o644)
}

// tags leaves out what the tree is too old for.
func (p *probes) tags(side int) string {
	if _, err := os.Stat(filepath.Join(p.dirs[side], "protocol", "http1")); err != nil {
		return "-tags=noparsers"
	}
	return "-tags="
}

// link gives the program of a tree with a layout. Everything is compiled once: only the order of
// the functions in the program depends on the layout.
func (p *probes) link(side, layout int) (string, error) {
	key := fmt.Sprintf("%s %d", p.dirs[side], layout)
	if program, ok := p.linked[key]; ok {
		return program, nil
	}
	program := filepath.Join(p.tmp, fmt.Sprintf("probe-%d-%d.exe", side, layout))
	cmd := exec.Command("go", "build", p.tags(side), "-overlay", p.overlays[side], "-trimpath", "-buildvcs=false",
		fmt.Sprintf("-ldflags=-randlayout=%d", layout), "-o", program, "./"+probePackage)
	cmd.Dir = p.dirs[side]
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s in %s: %w\n%s", cmd, p.dirs[side], err, out)
	}
	p.linked[key] = program
	return program, nil
}
