package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTheTreeKeepsItsRules reads every file of the library, and holds:
//
//   - the packages of export import the root, and export/sessions the protocols
//   - the direction of imports: the root imports the packages of internal/, which import neither the root nor each other,
//     but for those of the second floor; the protocols import the root, and neither internal packages nor each other, and only tests from outside import
//     them; the tests of the root, of internal/acceptance and of internal/bench import the root, through testkit and
//     flowtest too
//   - what library code does without: other modules, unsafe, go:linkname, cgo, goroutines, the machine's clock, logs,
//     init, recover, and package-level state that changes
func TestTheTreeKeepsItsRules(t *testing.T) {
	for _, fault := range inspectTree(t, dirFS(tree)) {
		t.Error(fault)
	}
}

// tree is the root of the repository.
const tree = "../.."

const (
	module       = "github.com/flowscope-go/flowscope"
	internalPath = module + "/internal/"
	kit          = internalPath + "testkit" // the test aid that imports the root
	exportPath   = module + "/export"
	// protocols are the parsers of application protocols.
	protocols = module + "/protocol/"
	// userKit is for the tests of users, and like testkit for those of the project.
	userKit = module + "/flowtest"
	// frames are packets for both kits.
	frames = userKit + "/frames"
)

var (
	// shared are the packages that every package may import.
	shared = []string{internalPath + "invariants", internalPath + "fastpath"}
	// secondFloor are the packages that join others of internal/, which must not be of the second floor.
	secondFloor = map[string][]string{
		internalPath + "direction": {internalPath + "clock", internalPath + "stream", internalPath + "tcp"},
	}
	// exports are the packages that write records, with what they know besides the root; export/sessions
	// knows the protocols too.
	exports = map[string][]string{
		exportPath: {exportPath + "/internal/text"}, exportPath + "/internal/text": nil,
		exportPath + "/sessions": {exportPath, exportPath + "/internal/text"},
	}
	// testAids are for tests alone, and import no more than an internal package does.
	testAids = []string{frames, kit + "/attack", kit + "/traffic", kit + "/contest", kit + "/allocs", kit + "/linediff", race}
	// race says whether the race detector watches. The other aids may ask it too.
	race = kit + "/race"
	// outsiders have tests that see the library from outside, as those of the root do.
	outsiders = []string{".", "internal/acceptance", "internal/bench", "flowtest"}
	// programs are for those who work on the library.
	programs = []string{internalPath + "bench", internalPath + "bench/probe"}
	// rootModules are the other modules that the root may use.
	rootModules = []string{"github.com/dgryski/go-wyhash", "github.com/google/gopacket"}
	// testModules are those that tests, and test aids, may use beyond these.
	testModules = []string{
		"github.com/google/gopacket", "github.com/google/gopacket/layers", "github.com/google/gopacket/pcapgo",
		"github.com/google/gopacket/reassembly", "github.com/google/gopacket/tcpassembly",
		"github.com/stretchr/testify/assert", "github.com/stretchr/testify/require",
	}
	// forbidden standard packages; fmt and errors are fine.
	forbidden = []string{"unsafe", "log", "sync", "sync/atomic", "C", "os/signal", "net/http", "runtime/debug"}
	// clocks are the functions of package time that look at the machine or wait for it.
	clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
)

func dirFS(dir string) fstest.MapFS {
	m := fstest.MapFS{}
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		slash := filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slash == "examples" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && slash != "."):
			return filepath.SkipDir
		case d.IsDir() && slash != "." && isModule(name):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".go"):
			m[slash] = &fstest.MapFile{}
		}
		return nil
	})
	return m
}

// isModule reports whether a folder is a module of its own, with dependencies of its own.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// inspectTree names every fault of the files. A file without data is read from disk.
func inspectTree(t *testing.T, files fstest.MapFS) (faults []string) {
	t.Helper()
	set := token.NewFileSet()
	parsed := map[string]*ast.File{}
	for name, file := range files {
		var src any
		if file.Data != nil {
			src = file.Data
		}
		f, err := parser.ParseFile(set, filepath.Join(tree, name), src, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		parsed[name] = f
	}
	for name, f := range parsed {
		say := func(pos token.Pos, format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%v: %s", set.Position(pos), fmt.Sprintf(format, args...)))
		}
		for _, imp := range f.Imports {
			what, _ := strconv.Unquote(imp.Path.Value)
			if why := mayImport(name, what); why != "" {
				say(imp.Pos(), "imports %s: %s", what, why)
			}
			if what == "time" && imp.Name != nil && isLibrary(name) {
				say(imp.Pos(), "time under another name, which hides what is called")
			}
		}
		if isLibrary(name) {
			inspectCode(f, say)
			inspectDirectives(f, say)
			inspectState(name, f, parsed, say)
		}
	}
	slices.Sort(faults)
	return faults
}

// isLibrary reports whether the file becomes part of a user's program.
func isLibrary(name string) bool {
	own := module + "/" + path.Dir(name)
	return !strings.HasSuffix(name, "_test.go") && !isTestAid(name) && !slices.Contains(programs, own)
}

func isTestAid(name string) bool {
	own := module + "/" + path.Dir(name)
	return own == kit || own == userKit || slices.Contains(testAids, own)
}

func isProtocol(what string) bool { return strings.HasPrefix(what, protocols) }

// mayImport says why a file may not import a package, or nothing.
func mayImport(name, what string) string {
	dir := path.Dir(name)
	if first, _, _ := strings.Cut(what, "/"); !strings.Contains(first, ".") {
		if isLibrary(name) && slices.Contains(forbidden, what) {
			return "library code does without"
		}
		return ""
	}
	test := strings.HasSuffix(name, "_test.go")
	own := module + "/" + dir
	if known, ok := exports[own]; ok && (what == module || slices.Contains(known, what) || own == exportPath+"/sessions" && isProtocol(what)) {
		return ""
	}
	switch {
	case test && (what == own || slices.Contains(testModules, what) || slices.Contains(testAids, what)):
		return ""
	case test && (what == module || what == kit || what == userKit || isProtocol(what)) && slices.Contains(outsiders, dir):
		return ""
	case (own == kit || own == userKit) && (what == module || slices.Contains(testAids, what)):
		return ""
	case isTestAid(name) && (what == race || slices.Contains(testModules, what) || slices.Contains(rootModules, what)):
		return ""
	case dir == "." && slices.Contains(rootModules, what), slices.Contains(shared, what), slices.Contains(secondFloor[own], what):
		return ""
	case slices.Contains(programs, own) && (what == module || isProtocol(what)):
		return ""
	case what == kit && test:
		return "testkit imports the root, which no internal package imports"
	case what == kit || what == userKit || slices.Contains(testAids, what):
		return "it is for tests"
	case slices.Contains(outsiders, strings.TrimPrefix(what, module+"/")):
		return "nothing imports it"
	case dir == "." && strings.HasPrefix(what, internalPath):
		return ""
	case what == module && isProtocol(own):
		return ""
	case isProtocol(what):
		return "nothing imports a protocol"
	case what == module:
		return "no internal package imports the root"
	case strings.HasPrefix(what, internalPath):
		return "no internal package imports another"
	default:
		return "no such dependency"
	}
}

// inspectCode looks for statements that library code does without.
func inspectCode(f *ast.File, say func(token.Pos, string, ...any)) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n.Pos(), "starts a goroutine")
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				say(n.Pos(), "init")
			}
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				if id := root(left); id != nil && id.Name == "fastpath" {
					say(id.Pos(), "sets fastpath.Off, which only tests do")
				}
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "recover" {
				say(n.Pos(), "recover")
			}
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && id.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
				say(n.Pos(), "time.%s", n.Sel.Name)
			}
		}
		return true
	})
}

// inspectDirectives looks for compiler directives that go around the rules of the language.
func inspectDirectives(f *ast.File, say func(token.Pos, string, ...any)) {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:linkname") || strings.HasPrefix(c.Text, "//go:cgo_") {
				say(c.Pos(), "%s", c.Text)
			}
		}
	}
}

// inspectState looks for package-level variables that code of their package writes to, or lends out by address.
func inspectState(name string, f *ast.File, all map[string]*ast.File, say func(token.Pos, string, ...any)) {
	vars := map[string]bool{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, id := range spec.(*ast.ValueSpec).Names {
				if id.Name != "_" {
					vars[id.Name] = true
				}
			}
		}
	}
	for other, file := range all {
		if path.Dir(other) != path.Dir(name) || !isLibrary(other) {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, target := range written(n) {
				if id := root(target); id != nil && vars[id.Name] && !shadowed(file, id) {
					say(id.Pos(), "writes to package-level %s", id.Name)
				}
			}
			return true
		})
	}
}

// written are the expressions that a node changes or takes the address of.
func written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	}
	return nil
}

// root is the variable that an expression such as a.b[c] is part of.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// shadowed reports whether the function around id declares the same name for itself.
func shadowed(f *ast.File, id *ast.Ident) (yes bool) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || id.Pos() < fn.Pos() || id.Pos() > fn.End() {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				for _, p := range n.Names {
					yes = yes || p.Name == id.Name
				}
			case *ast.AssignStmt:
				for _, l := range n.Lhs {
					if p, ok := l.(*ast.Ident); ok && n.Tok == token.DEFINE && p.Name == id.Name {
						yes = true
					}
				}
			case *ast.ValueSpec:
				for _, p := range n.Names {
					yes = yes || p.Name == id.Name
				}
			case *ast.RangeStmt:
				for _, e := range []ast.Expr{n.Key, n.Value} {
					if p, ok := e.(*ast.Ident); ok && p.Name == id.Name {
						yes = true
					}
				}
			}
			return true
		})
	}
	return yes
}

func TestEveryBrokenRuleIsFound(t *testing.T) {
	for _, c := range []struct{ name, file, src, want string }{
		{"a package that imports the root", "internal/tcp/x.go", `import _ "github.com/flowscope-go/flowscope"`, "no internal package imports the root"},
		{"a package that imports another", "internal/tcp/x.go", `import _ "github.com/flowscope-go/flowscope/internal/clock"`, "no internal package imports another"},
		{"a package's test that imports another", "internal/tcp/x_test.go", `import _ "github.com/flowscope-go/flowscope/internal/clock"`, "no internal package imports another"},
		{"a package's test that imports the root", "internal/tcp/x_test.go", `import _ "github.com/flowscope-go/flowscope"`, "no internal package imports the root"},
		{"the second floor that imports what it does not join", "internal/direction/x.go", `import _ "github.com/flowscope-go/flowscope/internal/flowtable"`, "no internal package imports another"},
		{"the ground floor that imports the second", "internal/stream/x.go", `import _ "github.com/flowscope-go/flowscope/internal/direction"`, "no internal package imports another"},
		{"the second floor that imports the root", "internal/direction/x.go", `import _ "github.com/flowscope-go/flowscope"`, "no internal package imports the root"},
		{"the root imports a protocol", "x.go", `import _ "github.com/flowscope-go/flowscope/protocol/tls"`, "nothing imports a protocol"},
		{"an internal package imports a protocol", "internal/tcp/x.go", `import _ "github.com/flowscope-go/flowscope/protocol/tls"`, "nothing imports a protocol"},
		{"export imports a protocol", "export/x.go", `import _ "github.com/flowscope-go/flowscope/protocol/tls"`, "nothing imports a protocol"},
		{"the root imports export", "x.go", `import _ "github.com/flowscope-go/flowscope/export"`, "no such dependency"},
		{"export imports internal", "export/sessions/x.go", `import _ "github.com/flowscope-go/flowscope/internal/tcp"`, "no internal package imports another"},
		{"a protocol imports another", "protocol/dns/x.go", `import _ "github.com/flowscope-go/flowscope/protocol/tls"`, "nothing imports a protocol"},
		{"a protocol imports an internal package", "protocol/dns/x.go", `import _ "github.com/flowscope-go/flowscope/internal/tcp"`, "no internal package imports another"},
		{"a protocol that starts goroutines", "protocol/dns/x.go", "func f() { go f() }", "goroutine"},
		{"a test aid in the library", "x.go", `import _ "github.com/flowscope-go/flowscope/flowtest/frames"`, "for tests"},
		{"the kit in the library", "x.go", `import _ "github.com/flowscope-go/flowscope/internal/testkit"`, "for tests"},
		{"a package's test with the kit", "internal/tcp/x_test.go", `import _ "github.com/flowscope-go/flowscope/internal/testkit"`, "no internal package imports"},
		{"a test aid with the kit", "flowtest/frames/x.go", `import _ "github.com/flowscope-go/flowscope/internal/testkit"`, "for tests"},
		{"the kit that imports a package", "internal/testkit/x.go", `import _ "github.com/flowscope-go/flowscope/internal/tcp"`, "no internal package imports another"},
		{"an acceptance test that imports a package", "internal/acceptance/x_test.go", `import _ "github.com/flowscope-go/flowscope/internal/tcp"`, "no internal package imports another"},
		{"the library with its acceptance tests", "x.go", `import _ "github.com/flowscope-go/flowscope/internal/acceptance"`, "nothing imports it"},
		{"the library asks for the detector", "internal/tcp/x.go", `import _ "github.com/flowscope-go/flowscope/internal/testkit/race"`, "for tests"},
		{"fast paths turned off", "x.go", "import \"github.com/flowscope-go/flowscope/internal/fastpath\"\nfunc f() { fastpath.Off = true }", "only tests"},
		{"a test module in the library", "x.go", `import _ "github.com/stretchr/testify/assert"`, "no such dependency"},
		{"layers in the library", "x.go", `import _ "github.com/google/gopacket/layers"`, "no such dependency"},
		{"a module in a package", "internal/tcp/x.go", `import _ "github.com/dgryski/go-wyhash"`, "no such dependency"},
		{"a strange module in a test", "x_test.go", `import _ "example.org/x"`, "no such dependency"},
		{"unsafe", "x.go", `import _ "unsafe"`, "does without"},
		{"a log", "internal/tcp/x.go", `import _ "log"`, "does without"},
		{"a lock", "internal/tcp/x.go", `import _ "sync"`, "does without"},
		{"the machine's clock", "x.go", "import \"time\"\nvar T = time.Now", "time.Now"},
		{"the clock under another name", "x.go", "import t \"time\"\nvar T = t.Now", "another name"},
		{"a link to a name of another package", "x.go", "//go:linkname f runtime.nanotime\nfunc f() int64", "go:linkname"},
		{"cgo", "x.go", `import "C"`, "does without"},
		{"an attack in the library", "x.go", `import _ "github.com/flowscope-go/flowscope/internal/testkit/attack"`, "for tests"},
		{"a test aid that imports the root", "internal/testkit/attack/x.go", `import _ "github.com/flowscope-go/flowscope"`, "no internal package imports the root"},
		{"a program that imports a package", "internal/bench/probe/x.go", `import _ "github.com/flowscope-go/flowscope/internal/tcp"`, "no internal package imports another"},
		{"a goroutine", "x.go", "func f() { go f() }", "goroutine"},
		{"init", "x.go", "func init() {}", "init"},
		{"recover", "internal/tcp/x.go", "func f() { defer func() { recover() }() }", "recover"},
		{"a counter", "x.go", "var n int\nfunc f() { n++ }", "writes to package-level n"},
		{"a map that fills", "internal/tcp/x.go", "var m = map[int]int{}\nfunc f() { m[1] = 2 }", "writes to package-level m"},
		{"a field", "x.go", "var s struct{ a [2]int }\nfunc f() { s.a[1] += 2 }", "writes to package-level s"},
		{"an address", "x.go", "var s int\nfunc f() *int { return &s }", "writes to package-level s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := inspectTree(t, fstest.MapFS{c.file: {Data: []byte("package x\n" + c.src)}})
			if len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("faults %q, want one with %q", got, c.want)
			}
		})
	}
	for _, c := range []struct{ name, file, src string }{
		{"the root imports a package", "x.go", `import _ "github.com/flowscope-go/flowscope/internal/tcp"`},
		{"the second floor joins two packages", "internal/direction/x.go", "import (\n_ \"github.com/flowscope-go/flowscope/internal/tcp\"\n_ \"github.com/flowscope-go/flowscope/internal/stream\")"},
		{"the root hashes", "x.go", `import _ "github.com/dgryski/go-wyhash"`},
		{"a program imports the root", "internal/bench/probe/x.go", `import _ "github.com/flowscope-go/flowscope"`},
		{"packages check themselves", "internal/tcp/x.go", `import _ "github.com/flowscope-go/flowscope/internal/invariants"`},
		{"a protocol imports the root", "protocol/dns/x.go", `import _ "github.com/flowscope-go/flowscope"`},
		{"a protocol's test imports the root", "protocol/dns/x_test.go", `import _ "github.com/flowscope-go/flowscope"`},
		{"a test from outside imports a protocol", "internal/acceptance/x_test.go", `import _ "github.com/flowscope-go/flowscope/protocol/dns"`},
		{"a test aid asks for the detector", "internal/testkit/allocs/x.go", `import _ "github.com/flowscope-go/flowscope/internal/testkit/race"`},
		{"tests build frames", "internal/tcp/x_test.go", `import _ "github.com/flowscope-go/flowscope/flowtest/frames"`},
		{"a package reads the switch", "internal/tcp/x.go", "import \"github.com/flowscope-go/flowscope/internal/fastpath\"\nfunc f() bool { return fastpath.Off }"},
		{"a test sets the switch", "internal/tcp/x_test.go", "import \"github.com/flowscope-go/flowscope/internal/fastpath\"\nfunc f() { fastpath.Off = true }"},
		{"the kit imports the root", "internal/testkit/x.go", `import _ "github.com/flowscope-go/flowscope"`},
		{"acceptance tests import the root", "internal/acceptance/x_test.go", `import _ "github.com/flowscope-go/flowscope"`},
		{"acceptance tests use the kit", "internal/acceptance/x_test.go", `import _ "github.com/flowscope-go/flowscope/internal/testkit"`},
		{"benchmarks import the root", "internal/bench/x_test.go", `import _ "github.com/flowscope-go/flowscope"`},
		{"a table that nobody writes to", "x.go", "var names = []string{\"a\"}\nfunc f() string { return names[0] }"},
		{"a local of the same name", "x.go", "var n = 1\nfunc f() { n := 2; n++ }"},
	} {
		t.Run("no fault: "+c.name, func(t *testing.T) {
			if got := inspectTree(t, fstest.MapFS{c.file: {Data: []byte("package x\n" + c.src)}}); len(got) > 0 {
				t.Errorf("%q", got)
			}
		})
	}
}
