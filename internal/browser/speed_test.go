package browser

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vanilla/bench"
	"vanilla/viz/page"
)

var measure = flag.Bool("measure", false, "measure the page's speed, and keep it in bench/results")

// moves is how many moves of the pointer are made, and are timed with -measure.
const moves, timedMoves = 30, 500

// pageSpeed is a result that is kept: milliseconds from the entry of the pointer's handler to the end of its drawing
// commands, without waiting for the display.
type pageSpeed struct {
	Suite         string        `json:"suite"`
	Case          string        `json:"case"`
	N             int           `json:"n"`
	Milliseconds  float64       `json:"milliseconds"` // median
	LowerQuartile float64       `json:"lower_quartile"`
	UpperQuartile float64       `json:"upper_quartile"`
	Limit         float64       `json:"limit"`
	Browser       string        `json:"browser"`
	Revision      string        `json:"revision"`
	Date          string        `json:"date"`
	Machine       bench.Machine `json:"machine"`
}

// How long an update takes, of a small network and a wide one, with and without a unit that is taken apart. Without
// -measure every case is run for its paths, and no time is looked at.
func TestSpeed(t *testing.T) {
	t.Parallel()
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	moves := moves
	if *measure {
		moves = timedMoves
	}
	var results []pageSpeed
	for _, c := range []struct {
		arch  string
		asked bool
		limit float64
	}{{"784-16-16-10", false, 4}, {"784-16-16-10", true, 4}, {"784-512-512-10", false, 30}, {"784-512-512-10", true, 30}} {
		tab.visit(served(t, []page.Network{random(c.arch, "sigmoid", "cross-entropy")}...))
		name := c.arch
		if c.asked {
			name += ", a unit of layer 3 taken apart"
			Ask[bool](tab, `(() => { document.querySelectorAll(".layer")[2].dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"})); return true })()`)
		}
		times := Await[[]float64](tab, fmt.Sprintf(`(async () => {
			const pad = document.getElementById("pad"), box = pad.getBoundingClientRect(), times = [];
			pad.setPointerCapture = () => {}; // there is no such pointer
			const fire = (type, x, y) => pad.dispatchEvent(new PointerEvent(type, {clientX: box.left + x * box.width / 280, clientY: box.top + y * box.width / 280, pointerId: 1, buttons: 1, bubbles: true}));
			fire("pointerdown", 140, 60);
			for (let i = 0; i < %d; i++) {
				const angle = i / 9, x = 140 + 70 * Math.sin(angle), y = 140 + 90 * Math.sin(0.63 * angle);
				const before = performance.now();
				fire("pointermove", x, y);
				times.push(performance.now() - before);
				if (i %% 10 === 9) await new Promise(requestAnimationFrame); // what was drawn is shown
			}
			fire("pointerup", 140, 140);
			return times;
		})()`, moves))
		slices.Sort(times)
		r := pageSpeed{Suite: "page", Case: name, N: len(times), Milliseconds: times[moves/2], LowerQuartile: times[moves/4], UpperQuartile: times[moves*3/4], Limit: c.limit,
			Browser: strings.Join(strings.Fields(Ask[string](tab, `navigator.userAgent.match(/Chrome\/[\d.]+/)[0]`)), ""), Revision: os.Getenv("VANILLA_REVISION"),
			Date: time.Now().UTC().Format(time.DateOnly), Machine: bench.ThisMachine()}
		t.Logf("%s: %.2f ms (%.2f to %.2f) an update", r.Case, r.Milliseconds, r.LowerQuartile, r.UpperQuartile)
		results = append(results, r)
	}
	if !*measure {
		return
	}
	var lines []byte
	for _, r := range results {
		if r.Milliseconds >= r.Limit {
			t.Errorf("%s: an update takes %.2f ms, want less than %v", r.Case, r.Milliseconds, r.Limit)
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	path := filepath.Join("../../bench/results", strings.TrimSuffix(bench.FileName("page"), "jsonl")+"json")
	if err := os.WriteFile(path, lines, 0o644); err != nil {
		t.Fatal(err)
	}
}
