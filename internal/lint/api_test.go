package lint_test

import (
	"flag"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateAPI = flag.Bool("update", false, "write the exported API to testdata/api")

const (
	apiModule = "github.com/flowscope-go/flowscope"
	apiFolder = "testdata/api"
)

// TestAPI compares the exported API of every public package with the golden file of that package, so that a change of
// the API shows in review. A change that is meant is written with
//
//	go test ./internal/lint -run TestAPI -update
func TestAPI(t *testing.T) {
	packages := publicPackages(t)
	if *updateAPI {
		writeAPI(t, packages)
		return
	}
	golden, err := filepath.Glob(filepath.Join(apiFolder, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range golden {
		if _, ok := packages[filepath.Base(name)]; !ok {
			t.Errorf("%s is of a package that is gone", name)
		}
	}
	for name, pkg := range packages {
		want, err := os.ReadFile(filepath.Join(apiFolder, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := apiDiff(strings.Split(strings.TrimSpace(string(want)), "\n"), exportedAPI(pkg)); diff != "" {
			t.Errorf("the API of %s is not that of %s/%s:\n%sIf this is meant: go test ./internal/lint -run TestAPI -update",
				pkg.Path(), apiFolder, name, diff)
		}
	}
}

func writeAPI(t *testing.T, packages map[string]*types.Package) {
	if err := os.RemoveAll(apiFolder); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(apiFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, pkg := range packages {
		text := strings.Join(exportedAPI(pkg), "\n") + "\n"
		if err := os.WriteFile(filepath.Join(apiFolder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// publicPackages are the packages that a user can import, by the name of their golden file. The compiler wrote down
// what they export; go list says where.
func publicPackages(t *testing.T) map[string]*types.Package {
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Name}}\t{{.Export}}\t{{.Dir}}", "./...")
	cmd.Dir, cmd.Stderr = filepath.Join("..", ".."), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	var public []string
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		exports[f[0]] = f[2]
		if isPublic(f[0]) && f[1] != "main" && f[2] != "" {
			public = append(public, f[0])
			// The cache of test results knows the files that a test opens itself, but not those that go list reads.
			if _, err := os.ReadDir(f[3]); err != nil {
				t.Fatal(err)
			}
		}
	}
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	packages := map[string]*types.Package{}
	for _, path := range public {
		pkg, err := imports.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		rest := strings.TrimPrefix(strings.TrimPrefix(path, apiModule), "/")
		packages[strings.ReplaceAll(strings.Trim("flowscope/"+rest, "/"), "/", "_")+".txt"] = pkg
	}
	if packages["flowscope.txt"] == nil {
		t.Fatal("the root package is not among", public)
	}
	return packages
}

func isPublic(path string) bool {
	return (path+"/") == apiModule+"/" || strings.HasPrefix(path, apiModule+"/") &&
		!strings.Contains(path+"/", "/internal/") && !strings.Contains(path, "/testdata/") &&
		!strings.HasPrefix(path, apiModule+"/examples/")
}

// exportedAPI is one line for each exported constant, variable, function and type, method and field, sorted.
func exportedAPI(pkg *types.Package) (lines []string) {
	a := api{lines: &lines, qualifier: func(p *types.Package) string {
		if p == pkg {
			return ""
		}
		return p.Name()
	}}
	for _, name := range pkg.Scope().Names() {
		if object := pkg.Scope().Lookup(name); object.Exported() {
			a.object(object)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

type api struct {
	qualifier types.Qualifier
	lines     *[]string
}

func (a *api) line(format string, args ...any) {
	*a.lines = append(*a.lines, fmt.Sprintf(format, args...))
}

func (a *api) text(t types.Type) string { return types.TypeString(t, a.qualifier) }

// signature is a function without the word func.
func (a *api) signature(f *types.Func) string { return strings.TrimPrefix(a.text(f.Type()), "func") }

func (a *api) object(object types.Object) {
	switch o := object.(type) {
	case *types.Const:
		a.line("const %s %s = %s", o.Name(), a.text(o.Type()), o.Val().ExactString())
	case *types.Var:
		a.line("var %s %s", o.Name(), a.text(o.Type()))
	case *types.Func:
		a.line("func %s%s", o.Name(), a.signature(o))
	case *types.TypeName:
		a.typeName(o)
	}
}

func (a *api) typeName(o *types.TypeName) {
	if o.IsAlias() {
		a.line("type %s = %s", o.Name(), a.text(types.Unalias(o.Type())))
		return
	}
	named := o.Type().(*types.Named)
	name := o.Name() + a.typeParameters(named)
	switch u := named.Underlying().(type) {
	case *types.Struct:
		a.line("type %s struct", name)
		a.fields(o.Name(), u)
	case *types.Interface:
		a.line("type %s interface", name)
		for m := range methodsOf(u) {
			if !m.Exported() {
				a.line("type %s interface, unexported methods", o.Name())
				continue
			}
			a.line("type %s interface, %s%s", o.Name(), m.Name(), a.signature(m))
		}
		return
	default:
		a.line("type %s %s", name, a.text(u))
	}
	a.methods(named)
}

func methodsOf(u *types.Interface) func(func(*types.Func) bool) {
	return func(yield func(*types.Func) bool) {
		for i := range u.NumMethods() {
			if !yield(u.Method(i)) {
				return
			}
		}
	}
}

// typeParameters are those of a generic type with their constraints, as in "[K comparable]".
func (a *api) typeParameters(named *types.Named) string {
	var list []string
	for i := range named.TypeParams().Len() {
		p := named.TypeParams().At(i)
		list = append(list, p.Obj().Name()+" "+a.text(p.Constraint()))
	}
	if list == nil {
		return ""
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// receiver is the type as a method names it, as in "FlowTracker[K, S]".
func (a *api) receiver(named *types.Named) string {
	var list []string
	for i := range named.TypeParams().Len() {
		list = append(list, named.TypeParams().At(i).Obj().Name())
	}
	if list == nil {
		return named.Obj().Name()
	}
	return named.Obj().Name() + "[" + strings.Join(list, ", ") + "]"
}

// fields are the exported fields, and those of embedded structs that are not exported.
func (a *api) fields(name string, s *types.Struct) {
	for i := range s.NumFields() {
		f := s.Field(i)
		inner, isStruct := f.Type().Underlying().(*types.Struct)
		switch {
		case f.Exported() && f.Embedded():
			a.line("type %s struct, embedded %s", name, a.text(f.Type()))
		case f.Exported():
			a.line("type %s struct, %s %s", name, f.Name(), a.text(f.Type()))
		case f.Embedded() && isStruct:
			a.fields(name, inner)
		}
	}
}

// methods are those of a value and of a pointer. A method that a value has too is shown with the value.
func (a *api) methods(named *types.Named) {
	values := types.NewMethodSet(named)
	pointers := types.NewMethodSet(types.NewPointer(named))
	for i := range pointers.Len() {
		m := pointers.At(i).Obj().(*types.Func)
		if !m.Exported() {
			continue
		}
		receiver := a.receiver(named)
		if values.Lookup(m.Pkg(), m.Name()) == nil {
			receiver = "*" + receiver
		}
		a.line("method (%s) %s%s", receiver, m.Name(), strings.TrimPrefix(a.text(pointers.At(i).Type()), "func"))
	}
}

// apiDiff lists what only one side has, the golden file's lines with a minus.
func apiDiff(golden, now []string) string {
	var changes []string
	for _, line := range golden {
		if !slices.Contains(now, line) {
			changes = append(changes, "-"+line)
		}
	}
	for _, line := range now {
		if !slices.Contains(golden, line) {
			changes = append(changes, "+"+line)
		}
	}
	// Beside each other: the old and the new line of one name.
	slices.SortStableFunc(changes, func(x, y string) int { return strings.Compare(x[1:], y[1:]) })
	var b strings.Builder
	for _, line := range changes {
		b.WriteString("    " + line[:1] + " " + line[1:] + "\n")
	}
	return b.String()
}

// TestAPIShowsEachKindOfChange: what is compared has every kind of declaration, and a changed line shows on both sides.
func TestAPIShowsEachKindOfChange(t *testing.T) {
	now := exportedAPI(publicPackages(t)["flowscope.txt"])
	for _, prefix := range []string{
		"const ", "var ErrConfig error", "func NewFlowTracker[K comparable](", "type Config struct, MaxFlows int",
		"type Reassembler interface, Fin(", "method (*FlowTracker[K, S]) Track(", "method (EventKind) String() string",
		"type FlowEvent[K comparable] struct",
	} {
		if !slices.ContainsFunc(now, func(line string) bool { return strings.HasPrefix(line, prefix) }) {
			t.Errorf("no line begins with %q", prefix)
		}
	}
	changed := slices.Clone(now)
	i := slices.Index(changed, "type Config struct, MaxFlows int")
	if i < 0 {
		t.Fatal("Config.MaxFlows is gone; choose another line")
	}
	changed[i] = "type Config struct, MaxFlows int64"
	want := "    - type Config struct, MaxFlows int\n    + type Config struct, MaxFlows int64\n"
	if got := apiDiff(now, changed); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
