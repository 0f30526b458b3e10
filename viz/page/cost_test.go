//go:build unix

package page

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/train"
)

var measure = flag.String("measure", "", "`file` to keep what following a run costs in processor time")

// TestCostOfEvents measures the processor time of an epoch of 784-16-16-10 while one client follows the run's events, and
// throws them away, beside the same without one; both take turns. The client's own time is in it. It is a measurement, and
// runs where -measure says where to keep it.
func TestCostOfEvents(t *testing.T) {
	if *measure == "" {
		t.Skip("no measurement was asked for: want -measure")
	}
	const rounds, epochs = 9, 300
	data, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	c := client{t, "http://" + serve(t, Options{Trainer: Trainer{Executor: cpu.New(), Data: data, Version: "test"}})}
	r := train.Default()
	r.Epochs = epochs
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
	}
	one := func(run int, followed bool) float64 {
		before := used()
		c.post("/api/train/start", ordered(false, r))
		if followed {
			answer, err := http.Get(c.base + "/api/train/events")
			if err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, answer.Body)
			defer answer.Body.Close()
		}
		// The end is waited for without following.
		for code := 0; code != http.StatusOK; time.Sleep(50 * time.Millisecond) {
			code, _ = c.get(fmt.Sprintf("/api/train/%d/0/model?as=safetensors", run))
		}
		return (used() - before) / epochs
	}
	var alone, followed, ratios []float64
	one(1, false) // which prepares what all share
	for round := range rounds {
		a, b := one(2*round+2, false), one(2*round+3, true)
		alone, followed, ratios = append(alone, a), append(followed, b), append(ratios, b/a)
	}
	median := func(v []float64) float64 {
		slices.Sort(v)
		return v[len(v)/2]
	}
	line, err := json.Marshal(map[string]any{"suite": "page-events", "case": "784-16-16-10, batch 32, one client that discards", "rounds": rounds, "epochs": epochs,
		"cpu_milliseconds_per_epoch": median(followed), "without": median(alone), "ratio": median(ratios), "limit": 1.03, "device": cpu.New().Device()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", line)
	if err := os.WriteFile(*measure, append(line, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
