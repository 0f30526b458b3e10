package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"vanilla/dataset"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/train"
	"vanilla/train/sweep"
)

// planReport is what --dry-run --json prints.
type planReport struct {
	sweep.Cost
	Devices []deviceReport `json:"devices"`
}

// deviceReport is what the plan takes on a device: by the median of the
// measurements of its speed, and by the fastest and the slowest of them.
type deviceReport struct {
	Device   string  `json:"device"`
	Name     string  `json:"name"`
	Seconds  float64 `json:"seconds"`
	Least    float64 `json:"seconds_least"`
	Most     float64 `json:"seconds_most"`
	Largest  float64 `json:"seconds_if_largest"` // if the costliest points go on
	Measured int     `json:"measurements"`
}

// devices are where the sweep could run: for auto, every device that has the
// precision.
func (s *sweepFlags) devices() []executorFlags {
	if s.device != "auto" {
		return []executorFlags{s.executorFlags}
	}
	var all []executorFlags
	for _, d := range device.Devices() {
		if d.Name == "cpu" && cmp.Or(s.precision, kernels.DefaultPrecision) != kernels.DefaultPrecision {
			continue
		}
		all = append(all, executorFlags{d.Name, s.executor, s.precision})
	}
	return all
}

// estimate is --dry-run.
func (s *sweepFlags) estimate(ctx context.Context, stdout, stderr io.Writer) error {
	options, err := s.options()
	if err != nil {
		return err
	}
	data, err := s.read(ctx, stderr)
	if err != nil {
		return err
	}
	plan, err := sweep.NewPlan(ctx, s.spec, train.FingerprintOf(data))
	if err != nil {
		return err
	}
	if err := plan.Check(options.Shard); err != nil {
		return err
	}
	report := planReport{}
	if report.Cost, err = plan.Cost(options.Shard, options.Memory); err != nil {
		return err
	}
	if report.Devices, err = s.speeds(ctx, plan, data, report.Cost); err != nil {
		return err
	}
	if s.json {
		return writeJSON(stdout, report)
	}
	var b strings.Builder
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range s.spaceLines() {
		fmt.Fprintf(rows, "%s\t%s\n", line[0], line[1])
	}
	fmt.Fprintf(rows, "points\t%s in %s\n", words.Thousands(report.Points), words.Plural(report.Brackets, "bracket"))
	if text := plan.LeftOutText(); text != "" {
		fmt.Fprintf(rows, "left out\t%s\n", text)
	}
	fmt.Fprintf(rows, "variants\t%s, %s of them finals\n", words.Thousands(report.Variants), words.Thousands(report.Finals))
	fmt.Fprintf(rows, "training\t%s network-epochs, %.3g FLOP\n", words.Thousands(int(report.NetworkEpochs)), report.FLOP)
	fmt.Fprintf(rows, "memory\t%.0f MB of networks at once, at most\n", float64(report.MemoryBytes)/1e6)
	for _, d := range report.Devices {
		second := func(seconds float64) time.Duration {
			return time.Duration(seconds * float64(time.Second)).Round(time.Second)
		}
		largest := ""
		if d.Largest > 1.1*d.Seconds {
			largest = fmt.Sprintf("; about %v if the largest networks are kept", second(d.Largest))
		}
		fmt.Fprintf(rows, "time\tabout %v on %s: %s (%v to %v by %s)%s\n", second(d.Seconds), d.Device, d.Name, second(d.Least), second(d.Most), words.Plural(d.Measured, "measurement"), largest)
	}
	rows.Flush()
	_, err = io.WriteString(stdout, b.String())
	return err
}

// speeds measures the devices in turns, and says how long each takes for so much
// work.
func (s *sweepFlags) speeds(ctx context.Context, plan *sweep.Plan, data *dataset.Dataset, cost sweep.Cost) (found []deviceReport, err error) {
	var meters []*sweep.Speedometer
	for _, where := range s.devices() {
		exec, failure := where.open()
		if failure != nil && s.device == "auto" {
			continue // this binary or machine has none
		} else if failure != nil {
			return nil, failure
		}
		defer closing(exec, &err)
		meter, failure := plan.NewSpeedometer(ctx, exec, data)
		if failure != nil {
			return nil, failure
		}
		defer closing(meter, &err)
		meters = append(meters, meter)
		found = append(found, deviceReport{Device: where.device, Name: exec.Device()})
	}
	for more := true; more; {
		more = false
		for i, meter := range meters {
			left, err := meter.Round(ctx)
			if err != nil {
				return nil, err
			}
			found[i].Measured++
			more = more || left
		}
	}
	for i, meter := range meters {
		slowest, median, fastest := meter.Speed()
		found[i].Seconds, found[i].Least, found[i].Most, found[i].Largest = cost.FLOP/median, cost.FLOP/fastest, cost.FLOP/slowest, cost.MostFLOP/median
	}
	return found, nil
}
