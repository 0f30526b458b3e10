package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/kernels"
	"vanilla/kernels/device"
)

// executorFlags is what runs a command's networks: --device and --executor, and, to
// train them, --precision.
type executorFlags struct{ device, executor, precision string }

func (p *executorFlags) flags(c *cobra.Command) { p.addTo(c.Flags()) }

func (p *executorFlags) addTo(f *pflag.FlagSet) {
	f.StringVar(&p.device, "device", "auto", "hardware to run on, by `name`, as vanilla devices lists it: auto, cpu, cuda (all GPUs) or cuda:N (one)")
	f.StringVar(&p.executor, "executor", device.Fast, "what runs the network, by `name`: fast, tape (Gorgonia's own machine) or ref (the reference definition)")
}

// trainingTo adds the flags of commands that train.
func (p *executorFlags) trainingTo(f *pflag.FlagSet) {
	p.addTo(f)
	f.StringVar(&p.precision, "precision", "", "products on GPUs use this `number` format: fp32, or bf16, which is faster; weights and sums are float32 in both (default: "+device.PrecisionOnGPUs+" on GPUs, "+kernels.DefaultPrecision+" on the CPU)")
}

// openExecutor is device.OpenPrecise, but in tests, which count what is opened and closed.
var openExecutor = device.OpenPrecise

// open returns the executor that runs networks. The caller closes it.
func (p *executorFlags) open() (kernels.Executor, error) {
	return openExecutor(p.device, p.executor, p.precision)
}

// goOn makes what was begun in an arithmetic go on in its precision, where no flag says
// another. What GPUs train in unasked is not asked for: that would take the CPU from auto.
func (p *executorFlags) goOn(flags *pflag.FlagSet, arithmetic string) {
	if was := kernels.Precision(arithmetic); was != device.PrecisionOnGPUs && !flags.Changed("precision") {
		p.precision = was
	}
}

// note says why auto means the CPU, if the binary was built for GPUs too, or why it
// means both.
func (p *executorFlags) note(exec kernels.Executor, stderr io.Writer) {
	device.Tell(exec, func(line string) { fmt.Fprintln(stderr, line) })
	if !device.ForGPUs || p.device != "auto" || p.executor != device.Fast {
		return
	}
	if err := device.NoGPU(); err != nil {
		fmt.Fprintf(stderr, "no GPU: %v; training on the CPU\n", err)
	}
}

// closing closes what a function used until its end. What keeps it from being
// closed is the function's error if it has no other.
func closing(c io.Closer, err *error) {
	if failure := c.Close(); *err == nil {
		*err = failure
	}
}

func devicesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "List the hardware that networks can run on",
		Long:  "Devices lists what --device can be on this machine, or why there is no GPU.",
		Example: `  vanilla devices
  vanilla train --device cpu`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			rows := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, d := range device.Devices() {
				fmt.Fprintf(rows, "%s\t%s\n", d.Name, d.Description)
			}
			return rows.Flush()
		},
	}
}
