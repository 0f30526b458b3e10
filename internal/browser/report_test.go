package browser

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"vanilla/train/sweep"
	"vanilla/train/sweep/report"
)

// mostRows is how many points the leaderboard of a report has.
const mostRows = 500

// The report of the default study from a file: it sorts, filters, and says what is
// under the pointer; at a phone's width nothing is wider than the window.
func TestReport(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	d, err := sweep.Open(t.Context(), "../../studies/default")
	if err != nil {
		t.Fatal(err)
	}
	r := report.New(d)
	path := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, columns, _ := r.HeatDefault()
	if err := r.WriteHTML(f, rows, columns); err != nil {
		t.Fatal(err)
	}

	first := `document.querySelector("#board tbody tr").cells[1].textContent.trim()`
	shown := `[...document.querySelectorAll("#board tbody tr")].filter(r => !r.hidden).length`
	tab.Do(chromedp.EmulateViewport(1280, 900))
	tab.Load("file://" + path)
	best, all := Ask[string](tab, first), Ask[int](tab, shown)
	dots := Ask[int](tab, `document.querySelector(".plot").querySelectorAll("circle").length`)
	fronts := Ask[int](tab, `document.querySelectorAll("circle.front").length`)
	column := func(n string) string {
		tab.Do(chromedp.Click(`#board th:nth-child(` + n + `) button`))
		return Ask[string](tab, first)
	}
	smallest, largest, accurate := column("3"), column("3"), column("7")
	tab.Do(chromedp.SendKeys(`#filter`, "tanh"))
	filtered := Ask[int](tab, shown)
	tab.Do(chromedp.Clear(`#filter`))
	at := Ask[[]float64](tab, `(() => { const c = [...document.querySelectorAll("circle.front")].at(-1); c.scrollIntoView({block: "center"});
		const b = c.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()`)
	// Scrolling hides what the page says, a frame later.
	Ask[bool](tab, `(window.settled = false, requestAnimationFrame(() => requestAnimationFrame(() => { settled = true })), true)`)
	tab.Until(`settled`)
	said := `document.getElementById("tip").hidden ? "" : document.getElementById("tip").textContent`
	tab.Do(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
	tip, hot := Ask[string](tab, said), Ask[int](tab, `document.querySelectorAll("tr.hot, circle.hot").length`)
	tab.Do(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1))
	if gone := Ask[string](tab, said); gone != "" {
		t.Errorf("away from the dot the page says %q", gone)
	}
	focused := Ask[string](tab, `([...document.querySelectorAll("circle.front")].at(-1).focus(), `+said+`)`)
	tab.Do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	wide := Ask[float64](tab, `document.documentElement.scrollWidth / 360`)

	board := slices.Clone(r.Points[:min(mostRows, len(r.Points))])
	slices.SortStableFunc(board, func(a, b report.Point) int { return a.Parameters - b.Parameters })
	arch := func(text string) string { return strings.TrimSpace(strings.TrimSuffix(text, "◆")) }
	if arch(best) != r.Points[0].Recipe.Arch || arch(smallest) != board[0].Recipe.Arch || arch(largest) != board[len(board)-1].Recipe.Arch {
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
	for i := range board {
		if strings.Contains(board[i].Settings, "tanh") {
			tanh++
		}
	}
	onFronts := 0
	for _, f := range r.Fronts {
		onFronts += len(f.Points)
	}
	if healthy := len(r.Tradeoff().Points); all != len(board) || filtered != tanh || dots != healthy || fronts != onFronts {
		t.Errorf("%d rows, %d of tanh, %d dots, %d on fronts; want %d, %d, %d, %d", all, filtered, dots, fronts, len(board), tanh, healthy, onFronts)
	}
	// Its row, and its dots after 1, 4 and 16 epochs.
	if !strings.Contains(tip, "% (1 seed) validation after 16 epochs") || tip != focused || hot != 4 {
		t.Errorf("a dot says %q, by the keyboard %q, and lights %d things", tip, focused, hot)
	}
	if wide > 1 {
		t.Errorf("at a phone's width the page is %.2f windows wide", wide)
	}
}

// A page of a sweep that has not ended reads itself again, from a file, and stays as the reader had set it; that of one that
// has ended does not.
func TestReportReadsItselfAgain(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	dir := filepath.Join(t.TempDir(), "running")
	if err := os.CopyFS(dir, os.DirFS("../../studies/widths")); err != nil {
		t.Fatal(err)
	}
	compressed := filepath.Join(dir, "records.jsonl.gz")
	whole, err := os.ReadFile(compressed)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(compressed); err != nil {
		t.Fatal(err)
	}
	records, page := filepath.Join(dir, "records.jsonl"), filepath.Join(t.TempDir(), "report.html")
	f := report.Follow(dir, nil)
	write := func(text []byte) {
		if err := os.WriteFile(records, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := f.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(page, f.Page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The page reads itself when it is told to, and not while it is looked at: after seconds, which may be any here.
	call(tab, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{
		Source: `window.setTimeout = (does, after) => { if (after === 5000) window.again = does; }; performance.now = () => window.clock ?? 0`,
	})
	write(lines[:len(lines)/2])
	tab.Do(chromedp.EmulateViewport(1280, 900))
	tab.Load("file://" + page)
	if said := Ask[string](tab, `document.getElementById("running").textContent`); !strings.Contains(said, " of 180 networks so far") {
		t.Errorf("the page says %q", said)
	}
	tab.Do(chromedp.Click(`#board th:nth-child(3) button`), chromedp.SendKeys(`#filter`, "784-8"))
	Ask[bool](tab, `(scrollTo(0, 300), true)`)
	write(lines[:len(lines)*3/4])
	// Not while somebody types, nor while text is selected.
	Ask[bool](tab, `(window.old = true, again(), clock = 10000, getSelection().selectAllChildren(document.querySelector("h1")), again(), true)`)
	if !Ask[bool](tab, `window.old === true`) {
		t.Error("the page read itself again while it was used")
	}
	Ask[bool](tab, `(document.getElementById("filter").setSelectionRange(2, 5), document.getElementById("filter").focus(), scrollTo(0, 300), clock = 20000, true)`)
	write(lines)
	if _, err := within(tab, func(ctx context.Context, _ *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, chromedp.Evaluate[chromedp.Void](`again()`))
	}); err != nil {
		t.Fatal(err)
	}
	tab.Until(`document.readyState === "complete" && !document.getElementById("running")`)
	if Ask[bool](tab, `"again" in window`) {
		t.Error("the page of a sweep that has ended means to read itself again")
	}
	// Without the line at the top that it goes on, what was in view is a little higher.
	if got := Ask[string](tab, `document.getElementById("filter").value + " " + document.querySelector("#board th:nth-child(3)").getAttribute("aria-sort") + " " + (scrollY > 200 && scrollY <= 300) + " " +
		document.activeElement.id + " " + document.activeElement.selectionStart + " " + document.activeElement.selectionEnd`); got != "784-8 ascending true filter 2 5" {
		t.Errorf("after it has read itself again: %s", got)
	}
}
