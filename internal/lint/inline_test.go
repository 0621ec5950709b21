package lint_test

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mustInline are the functions that must be inlined in the methods of FlowTracker, FlowDriver and flowtable.Table of
// a user's program: small ones that nearly every packet needs, or that every flow needs more than once. Those of the
// root stand without a package.
var mustInline = []string{
	"clock.(*Clock).Doubtful", "clock.(*Clock).Elapsed", "clock.(*Clock).Follow", "clock.(*Clock).Now", "clock.(*Clock).Started",
	"flowtable.(*Slot).ID", "flowtable.(*Slot).Queue", "flowtable.(*Slot).TimerSet", "flowtable.(*Slot).TimerWas",
	"flowtable.(*Table).At", "flowtable.(*Table).First", "flowtable.(*Table).Has", "flowtable.(*Table).Len",
	"flowtable.(*Table).Pending", "flowtable.(*Table).Wake", "flowtable.(*wheel).mark", "flowtable.(*wheel).unmark",
	"flowtable.levelOf", "flowtable.ordered", "flowtable.timerHash",
	"history.LettersOf",
	"tcp.(*Conn).Abort", "tcp.(*Conn).EndedAt", "tcp.(*Conn).AnyFIN", "tcp.(*Conn).FINPosition", "tcp.(*Conn).Finished",
	"tcp.(*Conn).OwnerWord", "tcp.(*Conn).PendingReset", "tcp.(*Conn).MayHaveSent", "tcp.(*Conn).SetEndedAt",
	"tcp.(*Conn).State", "tcp.(*Conn).InDoubt", "tcp.(*Conn).Guessing", "tcp.(*Conn).StrongReset", "tcp.(*Outcome).Ended", "tcp.Opener",
	"stream.(*Arena).Reclaim", "stream.(*Stream).Advance", "stream.(*Stream).HasBuffer", "stream.(*Stream).Next",
	"direction.(*Direction).Advance", "direction.(*Direction).ConfirmClosed", "direction.(*Direction).Done",
	"direction.(*Direction).InUse", "direction.(*Direction).Stopped", "direction.(*Direction).Untouched", "direction.(*Pair).Touch",
	"direction.IsPlain",
	"(*FiveTupleKey).equal", "(*record).class", "(*record).forward", "(*record).lastSeen",
	"(*record).letters", "(*record).packets", "(*record).setLetters", "(*record).state",
}

// A generic type is compiled in the user's package, where the compiler knows the body of a small function only if
// instantiate (tracker.go) made it known. A program that instantiates the generic types is built, and no call of
// these functions may be left in their methods.
func TestSmallFunctionsAreInlinedWhereTheGenericTypesAreInstantiated(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command")
	}
	const module = "github.com/flowscope-go/flowscope"
	declared := declaredFunctions(t, strings.TrimSpace(run(t, "go", "list", "-f", "{{.Dir}}", module)))
	for _, name := range mustInline {
		if !declared[name] {
			t.Errorf("%s is not declared; mend the list", name)
		}
	}
	program := filepath.Join(t.TempDir(), "program")
	run(t, "go", "build", "-o", program, module+"/internal/lint/testdata/inline")
	text := run(t, "go", "tool", "objdump", "-s", `flowscope\.\(\*Flow(Tracker|Driver)\[|flowtable\.\(\*Table\[`, program)

	calls := map[string][]string{} // callee to callers
	caller := ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "TEXT "); ok {
			name, _, _ = strings.Cut(name, "(SB)")
			caller = shortName(name)
		} else if _, name, ok := strings.Cut(line, "CALL "); ok {
			callee := shortName(strings.TrimSuffix(strings.TrimSpace(name), "(SB)"))
			if !slices.Contains(calls[callee], caller) {
				calls[callee] = append(calls[callee], caller)
			}
		}
	}
	for _, name := range []string{"tcp.(*Conn).Step", "(*FlowTracker).createFlow", "flowtable.(*Table).Insert"} {
		if len(calls[name]) == 0 {
			t.Fatalf("no call of %s is found, so this test sees nothing", name)
		}
	}
	for _, name := range mustInline {
		if len(calls[name]) > 0 {
			t.Errorf("%s is called by %s", name, strings.Join(calls[name], ", "))
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, &stderr)
	}
	return string(out)
}

var packagePath = regexp.MustCompile(`[\w.\-]+(/[\w.\-]+)*/(internal/)?`)

// shortName is the name of a symbol without the path of its package and without type arguments, such as
// "tcp.(*Conn).Step" or "(*FlowTracker).Track".
func shortName(symbol string) string {
	var b strings.Builder
	depth := 0
	for _, r := range symbol {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	name := packagePath.ReplaceAllString(b.String(), "")
	return strings.TrimPrefix(name, "flowscope.")
}

// declaredFunctions are the functions that the library declares in a folder and below internal/, under their short
// names.
func declaredFunctions(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	folders := []string{dir}
	err := filepath.WalkDir(filepath.Join(dir, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() != "testdata" {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			prefix := f.Name.Name + "."
			if folder == dir {
				prefix = ""
			}
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok {
					names[prefix+receiver(fn)+fn.Name.Name] = true
				}
			}
		}
	}
	return names
}

// receiver is "(*T)." or "T." for a method, without type parameters, and "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	star, pointer := of.(*ast.StarExpr)
	if pointer {
		of = star.X
	}
	switch generic := of.(type) {
	case *ast.IndexExpr:
		of = generic.X
	case *ast.IndexListExpr:
		of = generic.X
	}
	name := of.(*ast.Ident).Name
	if pointer {
		return "(*" + name + ")."
	}
	return name + "."
}
