package browser

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/chromedp/chromedp"

	"vanilla/kernels/cpu"
	"vanilla/model/zoo"
	"vanilla/train"
	"vanilla/train/sweep"
	"vanilla/viz/page"
)

// A sweep that runs is followed: its report fills while one looks, keeps its filter, and a click trains a network and takes
// it to the drawing.
func TestFollowSweep(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "small")
	data := *images(t)
	few := *data.Train
	few.Pixels, few.Labels = few.Pixels[:500*784], few.Labels[:500]
	data.Train = &few
	// Without memory to spare a wave has a network a core. When its first record is told,
	// the sweep may be a wave further.
	points := 4 * runtime.GOMAXPROCS(0)
	spec := sweep.Spec{Recipe: train.Default(), Seed: 1, Seeds: 1, Points: points, Space: map[string]string{"hidden": "4..16", "lr": "0.1..1"}}
	spec.Recipe.Epochs, spec.Recipe.Validation = 3, 0.2
	run := func(ctx context.Context, observe func(sweep.Record)) error {
		_, err := sweep.Run(ctx, cpu.New(), &data, dir, spec, sweep.Options{Version: "test", Resume: true, Memory: 1, Observe: observe})
		return err
	}
	short, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	if err := run(short, func(sweep.Record) { interrupt() }); err == nil {
		t.Fatal("the sweep ended at its first record")
	}
	tab := Open(t)
	tab.Do(chromedp.EmulateViewport(1440, 1000))
	tab.visit(servedAs(t, page.Options{Networks: []page.Network{builtIn(t, zoo.Default)}, Sweep: dir}))
	rows := `(document.querySelector("#panel-sweep iframe")?.contentDocument?.querySelectorAll("#board tbody tr").length ?? 0)`
	tab.Until(rows + ` > 0`)
	if n := Ask[int](tab, rows); n >= points {
		t.Fatalf("the sweep that was interrupted has %d points", n)
	}
	Ask[bool](tab, `(() => { const f = document.querySelector("#panel-sweep iframe").contentDocument.getElementById("filter"); f.value = "784"; f.dispatchEvent(new Event("input")); return true })()`)
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), nil) }()
	tab.Until(rows + fmt.Sprintf(` === %d`, points))
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	tab.Until(fmt.Sprintf(`document.querySelectorAll("#panel-sweep iframe").length === 1 && /^%d of %[1]d points/.test(document.querySelector("#panel-sweep .sentence").textContent)`, points))
	if got := Ask[string](tab, `document.querySelector("#panel-sweep iframe").contentDocument.getElementById("filter").value`); got != "784" {
		t.Errorf("the filter is %q", got)
	}
	arch := Ask[string](tab, `(() => { const row = document.querySelector("#panel-sweep iframe").contentDocument.querySelector("#board tbody tr"); row.click(); return row.cells[1].firstChild.data.trim() })()`)
	tab.Until(`document.querySelectorAll(".network").length === 2 && /^Trained: 3 of 3/.test(document.querySelector("#panel-train .sentence").textContent)`)
	if got := Ask[string](tab, `document.querySelector(".network .facts").textContent`); len(got) < len(arch) || got[:len(arch)] != arch {
		t.Errorf("%s was clicked, the network that is drawn is %s", arch, got)
	}
	tab.draw(three)
	if got := tab.answers(); len(got) != 2 || got[0] == "–" {
		t.Errorf("a 3 is read as %q", got)
	}
	if got := fmt.Sprint(Ask[bool](tab, `document.getElementById("panel-train").hidden`)); got != "false" {
		t.Error("the panel of training is not shown")
	}
}
