package page

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"vanilla/kernels/cpu"
	"vanilla/train"
	"vanilla/train/sweep"
)

// A sweep is followed as it runs, from its first record to its last; its report is the one that vanilla results writes, and
// its networks can be trained again.
func TestSweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small <sweep>")
	// Without memory to spare a wave has a network a core. When its first record is told,
	// the sweep may be a wave further.
	points := 6 * runtime.GOMAXPROCS(0)
	spec := sweep.Spec{Recipe: recipe(4), Seed: 1, Seeds: 2, Points: points, Halving: []int{1, 4}, Finalists: 2, FinalSeeds: 2, Space: map[string]string{"layers": "1..2", "hidden": "2..8", "lr": "0.1,1"}}
	spec.Recipe.Validation = 0.2
	// It is interrupted after its first record, and goes on as soon as it is followed.
	run := func(ctx context.Context, observe func(sweep.Record)) error {
		_, err := sweep.Run(ctx, cpu.New(), striped(), dir, spec, sweep.Options{Version: "test", Resume: true, Memory: 1, Observe: observe})
		return err
	}
	short, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	if err := run(short, func(sweep.Record) { interrupt() }); err == nil {
		t.Fatal("the sweep ended at its first record")
	}
	ended := make(chan error, 1)
	address := serve(t, Options{Sweep: dir, Trainer: trains()})
	r, err := http.Get("http://" + address + "/api/sweep/events")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var versions []int
	var n sweepNews
	for lines := bufio.NewScanner(r.Body); n.Points < points && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(text), &n); err != nil || n.Problem != "" || n.Planned != points {
				t.Fatalf("found %s: %v", text, err)
			}
			if versions = append(versions, n.Version); len(versions) == 1 {
				go func() { ended <- run(t.Context(), nil) }()
			}
		}
	}
	if len(versions) < 2 || n.Points != points {
		t.Errorf("%d of %d points are seen, in the versions %v", n.Points, points, versions)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	c := client{t, "http://" + address}
	answer, err := http.Get(c.base + "/sweep/report")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if csp := answer.Header.Get("Content-Security-Policy"); answer.StatusCode != http.StatusOK || !strings.Contains(csp, "script-src 'sha256-") || strings.Contains(csp, "script-src 'unsafe") {
		t.Errorf("the report is answered %s with %s", answer.Status, csp)
	}
	_, body := c.get("/api/sweep/point/3")
	var again struct {
		Recipe train.Recipe
		Seed   uint64
	}
	d, err := sweep.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &again); err != nil || again.Recipe != d.Plan.Points[3].Recipe || again.Seed == 0 {
		t.Errorf("found %s: %v", body, err)
	}
	for _, path := range []string{fmt.Sprint(points), "-1", "x", "9999999999999999999999"} {
		if status, _ := c.get("/api/sweep/point/" + path); status != http.StatusNotFound {
			t.Errorf("point %s is answered %d", path, status)
		}
	}
	if _, err := New(t.Context(), Options{Sweep: t.TempDir(), Trainer: trains()}); err == nil {
		t.Error("a directory without a sweep is followed")
	}
}

// Of a point's variants the best is trained again: one of the finals, the one that got furthest, the most accurate.
func TestBetter(t *testing.T) {
	variant := func(stage sweep.Stage, rungs int, accuracy float64) *sweep.Variant {
		v := &sweep.Variant{Identity: sweep.Identity{Stage: stage}}
		for range rungs {
			v.Records = append(v.Records, sweep.Record{ValidationAccuracy: &accuracy})
		}
		return v
	}
	order := []*sweep.Variant{variant(sweep.Search, 1, 0.99), variant(sweep.Search, 2, 0.5), variant(sweep.Search, 2, 0.6), variant(sweep.Final, 1, 0.4), variant(sweep.Final, 1, 0.5)}
	order = append([]*sweep.Variant{{Identity: sweep.Identity{Stage: sweep.Search}, Records: []sweep.Record{{}}}}, order...)
	for i, a := range order {
		for j, b := range order {
			if i != j && better(a, b) != (i > j) {
				t.Errorf("better(%d, %d) is %t", i, j, better(a, b))
			}
		}
	}
}
