package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"vanilla/internal/sample"
	"vanilla/kernels/device"
)

// CeilingsSuite is the name of the suite of [Ceilings].
const CeilingsSuite = "ceilings"

// Ceiling is what a device does at most of one thing.
type Ceiling struct {
	Suite    string `json:"suite"`
	What     string `json:"what"`
	Executor string `json:"executor"` // that it is a ceiling of
	Device   string `json:"device"`
	Cores    int    `json:"cores,omitempty"` // of the processor
	// Samples are in Unit, one of each of N rounds.
	Unit          string    `json:"unit"`
	N             int       `json:"n"`
	Samples       []float64 `json:"samples"`
	Median        float64   `json:"median"`
	LowerQuartile float64   `json:"lower_quartile"`
	UpperQuartile float64   `json:"upper_quartile"`
	Version       string    `json:"version"`
	Revision      string    `json:"revision"`
	Date          string    `json:"date"`
	Machine       Machine   `json:"machine"`
}

// coreCeilingTime is how long a core's ceiling is measured in a round.
const coreCeilingTime = 100 * time.Millisecond

// Ceilings measures what "cpu", the processor's cores, or "cuda", each GPU, does at
// most, so many times: of the cores multiply-adds in registers, of GPUs what
// device.Ceilings lists.
func Ceilings(ctx context.Context, executor string, rounds int) ([]Ceiling, error) {
	var all []Ceiling
	if executor == "cuda" {
		found, err := device.Ceilings(ctx, rounds)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			all = append(all, Ceiling{What: c.What, Device: c.Device, Unit: c.Unit, Samples: c.Samples})
		}
	} else {
		name, _ := device.Processor()
		for _, cores := range coresAlike() {
			c := Ceiling{What: "float32 multiply-adds, " + plural(cores, "core"), Device: name, Cores: cores, Unit: "GFLOP/s"}
			for range rounds {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				c.Samples = append(c.Samples, device.Ceiling(cores, coreCeilingTime))
			}
			all = append(all, c)
		}
	}
	for i := range all {
		c := &all[i]
		c.Suite, c.Executor, c.N = CeilingsSuite, executor, len(c.Samples)
		c.LowerQuartile, c.Median, c.UpperQuartile = sample.Quartiles(c.Samples)
		c.Revision, c.Date, c.Machine = Revision(), time.Now().UTC().Format(time.DateOnly), ThisMachine()
	}
	return all, nil
}

// coresAlike are one core and all, once each.
func coresAlike() []int {
	if all := runtime.GOMAXPROCS(0); all > 1 {
		return []int{1, all}
	}
	return []int{1}
}

// WriteCeilings prints them as text, a row each.
func WriteCeilings(w io.Writer, all []Ceiling) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range all {
		fmt.Fprintf(t, "%s\t%s\t%.4g\t[%.4g %.4g]\t%s\t%s\n", c.Executor, c.What, c.Median, c.LowerQuartile, c.UpperQuartile, c.Unit, c.Device)
	}
	return t.Flush()
}
