// Package browser shows pages of the report in a real browser, a headless Chromium, and looks at them: whether texts
// overlap, are cut or hard to read, in light and dark, wide, narrow and on paper, and whether the numbers are those
// that tshark counts. What is not installed is left out. It is a module of its own, since only it needs chromedp.
//
//	go test ./...                                      # as .ci/nightly does
//	FLOWSCOPE_SCREENSHOTS=DIR go test -count=1 ./...   # and keeps what it saw
package browser

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/flowscope-go/flowscope/examples/internal/odd"
)

// view is a way to look at a page.
type view struct {
	name, scheme, media string
	width               int64
}

// Widths are those at which the layout changes, on both sides, and usual ones.
var views = []view{
	{"light", "light", "screen", 1280}, {"dark", "dark", "screen", 1280}, {"huge", "light", "screen", 2200},
	{"wide", "light", "screen", 1101}, {"rows", "light", "screen", 1100}, {"pair", "light", "screen", 901},
	{"single", "dark", "screen", 900}, {"tablet", "light", "screen", 761}, {"cards", "light", "screen", 760},
	{"phone", "light", "screen", 360}, {"phone-dark", "dark", "screen", 414}, {"paper", "light", "print", 718},
}

// chromium starts a browser that ends with the test, or skips the test where there is none.
func chromium(t *testing.T) context.Context {
	t.Helper()
	name := ""
	for _, one := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(one); err == nil {
			name = path
			break
		}
	}
	if name == "" {
		t.Skip("chromium is not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(name), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// report makes the page of a capture file, or of the built-in one, with the program, as a user does.
func report(t *testing.T, capture ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "page.html")
	text, err := exec.Command(program(t), append([]string{"-o", out}, capture...)...).CombinedOutput()
	if _, missing := os.Stat(out); missing != nil {
		require.NoError(t, err, "%s", text)
	}
	return out
}

var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		panic(err)
	}
	built = filepath.Join(dir, "report")
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// program is the report, built once.
func program(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(built); err != nil {
		text, err := exec.Command("go", "build", "-C", "../../..", "-o", built, "./examples/report").CombinedOutput()
		require.NoError(t, err, "%s", text)
	}
	return built
}

// files are captures of every kind: those of the project, and odd ones.
func files(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../../../testdata/captures/*.pcap")
	require.NoError(t, err)
	names = append(names, "../../internal/sample/sample.pcapng")
	require.Greater(t, len(names), 5)
	for _, c := range odd.All() {
		name := filepath.Join(t.TempDir(), c.Name)
		require.NoError(t, os.WriteFile(name, c.File, 0o600))
		names = append(names, name)
	}
	return names
}

// do runs an action in the browser.
func do[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(ctx, a)
	require.NoError(t, err)
	return got
}

// media has pages shown on a screen or on paper, light or dark.
func media(media, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// show opens a page in a view.
func show(t *testing.T, ctx context.Context, file string, v view) {
	t.Helper()
	do(t, ctx, media(v.media, v.scheme))
	do(t, ctx, chromedp.EmulateViewport(v.width, 900))
	do(t, ctx, chromedp.Navigate("file://"+file))
}

// text is a text as it stands on the page.
type text struct {
	Text                     string
	X0, Y0, X1, Y1           float64
	Color, Background, Where string
	Large                    bool
}

// TestPagesCanBeRead looks at each page in each view.
func TestPagesCanBeRead(t *testing.T) {
	ctx := chromium(t)
	for _, capture := range files(t) {
		name := strings.TrimSuffix(filepath.Base(capture), filepath.Ext(capture))
		file := report(t, capture)
		for _, v := range views {
			t.Run(name+"/"+v.name, func(t *testing.T) {
				show(t, ctx, file, v)
				texts := do(t, ctx, chromedp.Evaluate[[]text](collect))
				width := do(t, ctx, chromedp.Evaluate[float64](`document.documentElement.scrollWidth`))
				require.NotEmpty(t, texts)
				require.LessOrEqual(t, width, float64(v.width), "the page is wider than its window")
				for _, problem := range problems(texts, float64(v.width)) {
					t.Error(problem)
				}
				keep(t, ctx, name+"-"+v.name)
			})
		}
	}
}

// problems are what is wrong with the texts of a page.
func problems(texts []text, width float64) (found []string) {
	for i, a := range texts {
		if a.X0 < -1 || a.X1 > width+1 {
			found = append(found, fmt.Sprintf("cut: %q from %.0f to %.0f of %.0f", a.Text, a.X0, a.X1, width))
		}
		if a.Where != "" {
			found = append(found, fmt.Sprintf("outside of its frame: %q: %s", a.Text, a.Where))
		}
		least := 4.5 // as WCAG 2 has it
		if a.Large {
			least = 3
		}
		if c := contrast(a.Color, a.Background); c < least {
			found = append(found, fmt.Sprintf("hard to read: %q, %s on %s: %.1f", a.Text, a.Color, a.Background, c))
		}
		for _, b := range texts[:i] {
			if min(a.X1, b.X1)-max(a.X0, b.X0) > 1 && min(a.Y1, b.Y1)-max(a.Y0, b.Y0) > 2 {
				found = append(found, fmt.Sprintf("overlap: %q and %q at %.0f,%.0f", a.Text, b.Text, a.X0, a.Y0))
			}
		}
		if len(found) > 10 {
			return found
		}
	}
	return found
}

// contrast is that of WCAG 2 of two colours such as "rgb(1, 2, 3)".
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(color string) float64 {
	var c [3]float64
	if _, err := fmt.Sscanf(color, "rgb(%f, %f, %f)", &c[0], &c[1], &c[2]); err != nil {
		return math.NaN()
	}
	for i, v := range c {
		if v /= 255; v <= 0.03928 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}

// collect gives all texts that are seen: a line of a text that is broken is one.
const collect = `(() => {
	const all = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const node = walker.currentNode, parent = node.parentElement;
		const text = node.data.trim();
		if (!text || ['STYLE', 'TITLE', 'title'].includes(parent.tagName)) continue;
		const range = document.createRange();
		range.selectNodeContents(node);
		const style = getComputedStyle(parent);
		let behind = parent, background = '';
		while (behind && (!background || background == 'rgba(0, 0, 0, 0)')) {
			background = getComputedStyle(behind).backgroundColor;
			behind = behind.parentElement;
		}
		if (background == 'rgba(0, 0, 0, 0)') background = 'rgb(255, 255, 255)';
		const frame = parent.closest('section, .card, .warning, header, footer, main').getBoundingClientRect();
		for (const r of range.getClientRects()) {
			if (r.width == 0 || r.height == 0) continue;
			const where = r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1
				? [r.left, r.right, r.top, r.bottom, frame.left, frame.right, frame.top, frame.bottom].map(Math.round).join(' ') : '';
			all.push({Text: text.slice(0, 60), X0: r.left, Y0: r.top, X1: r.right, Y1: r.bottom,
				Color: parent.tagName == 'text' ? style.fill : style.color, Background: background, Where: where,
				Large: parseFloat(style.fontSize) >= 18.6 && parseInt(style.fontWeight) >= 600});
		}
	}
	return all;
})()`

// keep writes a picture of the page, if one is asked for.
func keep(t *testing.T, ctx context.Context, name string) {
	dir := os.Getenv("FLOWSCOPE_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture := do(t, ctx, chromedp.FullScreenshot(100))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
}

// TestPagesAskForNothing: a page loads nothing but itself, and nothing in it runs.
func TestPagesAskForNothing(t *testing.T) {
	ctx := chromium(t)
	var mu sync.Mutex
	var asked []string
	do(t, ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		return err
	}))
	require.NoError(t, chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			mu.Lock()
			asked = append(asked, ev.Request.URL)
			mu.Unlock()
		case *page.EventJavascriptDialogOpening: // the test then hangs until its time is over
			t.Errorf("a page says %q", ev.Message)
		}
	}))
	for _, capture := range files(t) {
		mu.Lock()
		asked = nil
		mu.Unlock()
		file := report(t, capture)
		show(t, ctx, file, views[0])
		elements := do(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("script, img, iframe, object, embed, link, a, form, base").length`))
		require.Zero(t, elements, capture)
		mu.Lock()
		got := asked
		mu.Unlock()
		require.Equal(t, []string{"file://" + file}, got)
	}
}

// TestPagesCanBePrinted: on paper a page has no more sheets than its length asks for.
func TestPagesCanBePrinted(t *testing.T) {
	ctx := chromium(t)
	file := report(t, "../../../testdata/captures/sessions.pcap")
	show(t, ctx, file, views[1])
	do(t, ctx, media("", "dark"))
	sheets := do(t, ctx, chromedp.PrintToPDF())
	if dir := os.Getenv("FLOWSCOPE_SCREENSHOTS"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "paper.pdf"), sheets, 0o644))
	}
	n := strings.Count(string(sheets), "/Type /Page\n")
	require.True(t, n >= 2 && n <= 8, "%d sheets", n)
}
