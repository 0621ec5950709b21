package browser

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// picture is the picture in README.md. FLOWSCOPE_PICTURE=1 renews it.
const picture = "../../../docs/report.png"

// TestPictureOfREADME: it is the upper part of the page about the built-in capture, and small.
func TestPictureOfREADME(t *testing.T) {
	if os.Getenv("FLOWSCOPE_PICTURE") != "" {
		ctx := chromium(t)
		show(t, ctx, report(t), view{"picture", "light", "screen", 1120})
		end := do(t, ctx, chromedp.Evaluate[float64](`document.querySelector(".pair").getBoundingClientRect().bottom`))
		do(t, ctx, chromedp.EmulateViewport(1120, int64(end)))
		require.NoError(t, os.WriteFile(picture, fewColours(t, do(t, ctx, chromedp.CaptureScreenshot())), 0o644))
	}
	file, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.Less(t, len(file), 150_000)
	shown, err := png.DecodeConfig(bytes.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, 1120, shown.Width)
}

// fewColours makes a picture smaller: it has the colours that come most often, and the nearest ones instead of others.
func fewColours(t *testing.T, file []byte) []byte {
	full, err := png.Decode(bytes.NewReader(file))
	require.NoError(t, err)
	n := map[color.RGBA]int{}
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			n[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(n), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 128)] {
		palette = append(palette, c)
	}
	few := image.NewPaletted(full.Bounds(), palette)
	draw.Draw(few, few.Bounds(), full, image.Point{}, draw.Src)
	var b bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, few))
	return b.Bytes()
}
