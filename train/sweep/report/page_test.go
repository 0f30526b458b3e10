package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"vanilla/train/sweep"
)

// writePage writes a report's page to a file.
func writePage(t *testing.T, r *Report) (path, text string) {
	t.Helper()
	var b bytes.Buffer
	rows, columns, _ := r.HeatDefault()
	if err := r.WriteHTML(&b, rows, columns); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, b.String()
}

var (
	elsewhere = regexp.MustCompile(`(?i)\b(src|href|url|import|fetch)\b\s*[=(]`)
	refused   = regexp.MustCompile(`ZgotmplZ|NaN|Inf\b|%!`)
)

// Pages of all kinds of sweeps need nothing else, and hold no number that is none.
func TestPageIsWhole(t *testing.T) {
	for name, r := range sweeps(t) {
		_, text := writePage(t, r)
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s: the page loads something: %s", name, found)
		}
		if found := refused.FindString(text); found != "" {
			t.Errorf("%s: found %s", name, found)
		}
	}
}

// What a hostile directory is called is text.
func TestPageEscapes(t *testing.T) {
	r := open(t, simulate(t, study(), outcome, nil))
	r.Path = `<script>alert(1)`
	r.DataName = `"><img onerror=alert(1)>`
	if _, text := writePage(t, r); strings.Contains(text, "<script>alert") || strings.Contains(text, "<img") {
		t.Error("a name became part of the page")
	}
}

// browser starts a headless one, or skips where there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
		}
	}
	if path == "" {
		t.Skip("there is no Chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// do runs actions on the page, and ask asks it a question in JavaScript.
func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func ask[T any](t *testing.T, ctx context.Context, question string) T {
	t.Helper()
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[T](question))
	if err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	return answer
}

// The page from a file in a browser: it sorts, filters, and says what is under the pointer; at a phone's width nothing is
// wider than the window.
func TestPageInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	ctx := browser(t)
	r := open(t, simulate(t, halving(150), outcome, nil))
	path, _ := writePage(t, r)
	first := `document.querySelector("#board tbody tr").cells[1].textContent.trim()`
	shown := `[...document.querySelectorAll("#board tbody tr")].filter(r => !r.hidden).length`
	var failures []string
	if err := chromedp.Listen(ctx, func(event any) {
		if _, ok := event.(*runtime.EventExceptionThrown); ok {
			failures = append(failures, fmt.Sprintf("%+v", event))
		}
	}); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate("file://"+path))
	best, all := ask[string](t, ctx, first), ask[int](t, ctx, shown)
	dots := ask[int](t, ctx, `document.querySelector(".plot").querySelectorAll("circle").length`)
	fronts := ask[int](t, ctx, `document.querySelectorAll("circle.front").length`)
	do(t, ctx, chromedp.Click(`#board th:nth-child(3) button`))
	smallest := ask[string](t, ctx, first)
	do(t, ctx, chromedp.Click(`#board th:nth-child(3) button`))
	largest := ask[string](t, ctx, first)
	do(t, ctx, chromedp.Click(`#board th:nth-child(7) button`))
	accurate := ask[string](t, ctx, first)
	do(t, ctx, chromedp.SendKeys(`#filter`, "tanh"))
	filtered := ask[int](t, ctx, shown)
	do(t, ctx, chromedp.Clear(`#filter`))
	at := ask[[]float64](t, ctx, `(() => { const c = document.querySelector("circle.front"); c.scrollIntoView({block: "center"});
		const b = c.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()`)
	// Scrolling hides what the page says, a frame later.
	do(t, ctx, chromedp.Sleep(100*time.Millisecond))
	said := `document.getElementById("tip").hidden ? "" : document.getElementById("tip").textContent`
	do(t, ctx, chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
	tip, hot := ask[string](t, ctx, said), ask[int](t, ctx, `document.querySelectorAll("tr.hot, circle.hot").length`)
	do(t, ctx, chromedp.MouseEvent(chromedp.MouseMoved, 1, 1))
	if gone := ask[string](t, ctx, said); gone != "" {
		t.Errorf("away from the dot the page says %q", gone)
	}
	focused := ask[string](t, ctx, `(document.querySelector("circle.front").focus(), `+said+`)`)
	do(t, ctx, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	wide := ask[float64](t, ctx, `document.documentElement.scrollWidth / 360`)
	points := slices.Clone(r.Points)
	slices.SortFunc(points, func(a, b Point) int { return a.Parameters - b.Parameters })
	arch := func(text string) string { return strings.TrimSpace(strings.TrimSuffix(text, "◆")) }
	if arch(best) != r.Points[0].Recipe.Arch || arch(smallest) != points[0].Recipe.Arch || arch(largest) != points[len(points)-1].Recipe.Arch {
		t.Errorf("first by rank %s, parameters %s and down %s", best, smallest, largest)
	}
	top := r.Finalists()[0]
	for _, p := range r.Finalists() {
		if p.Test.Mean > top.Test.Mean {
			top = p
		}
	}
	if arch(accurate) != top.Recipe.Arch {
		t.Errorf("first by test accuracy is %s, want %s", accurate, top.Recipe.Arch)
	}
	tanh := 0
	healthy := 0
	for i := range r.Points {
		if strings.Contains(r.Points[i].Settings, "tanh") {
			tanh++
		}
		healthy += btoi(r.Points[i].Validation() != nil)
	}
	if all != len(r.Points) || filtered != tanh || dots != healthy || fronts != len(r.Front()) {
		t.Errorf("%d rows, %d of tanh, %d dots, %d on the front; want %d, %d, %d, %d", all, filtered, dots, fronts, len(r.Points), tanh, healthy, len(r.Front()))
	}
	if !strings.Contains(tip, "% (1 seed) validation") || tip != focused || hot != 2 {
		t.Errorf("a dot says %q, by the keyboard %q, and lights %d things", tip, focused, hot)
	}
	if wide > 1 {
		t.Errorf("at a phone's width the page is %.2f windows wide", wide)
	}
	if failures != nil {
		t.Errorf("the page's script failed: %v", failures)
	}
}

// A page of very many points stays small enough to open.
func TestPageOfMany(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	spec := halving(20_000)
	_, text := writePage(t, open(t, simulate(t, spec, outcome, func(r sweep.Record) bool { return true })))
	if len(text) > 3<<20 || strings.Count(text, "<tr data-point") != mostRows {
		t.Errorf("the page has %d bytes and %d rows", len(text), strings.Count(text, "<tr data-point"))
	}
}
