package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/device"
	"vanilla/train"
)

// placement is what runs a command's networks: --device and --executor.
type placement struct{ device, executor string }

func (p *placement) flags(c *cobra.Command) { p.addTo(c.Flags()) }

func (p *placement) addTo(f *pflag.FlagSet) {
	f.StringVar(&p.device, "device", "auto", "`name` of the hardware, see vanilla devices: auto, cpu, cuda (all GPUs) or cuda:N (one)")
	f.StringVar(&p.executor, "executor", device.Fast, "`name` of what runs the network: fast, tape (Gorgonia's own machine) or ref (the definition)")
}

// open returns the executor that runs networks.
func (p *placement) open(networks *train.Networks) (kernels.Executor, error) {
	exec, err := device.Open(p.device, p.executor, networks.Of)
	var name *device.NameError
	if errors.As(err, &name) {
		return nil, &train.SettingError{Flag: name.Flag, Value: name.Name, Problem: name.Problem}
	}
	return exec, err
}

// note says why auto means the CPU, if the binary was built for GPUs too.
func (p *placement) note(stderr io.Writer) {
	if !device.ForGPUs || p.device != "auto" || p.executor != device.Fast {
		return
	}
	if err := device.NoGPU(); err != nil {
		fmt.Fprintf(stderr, "no GPU: %v; training on the CPU\n", err)
	}
}

// plan says how the executor would run a network's program.
func (p *placement) plan(networks *train.Networks, program *ir.Program, o kernels.Optimizer) ([]string, error) {
	if _, err := p.open(networks); err != nil {
		return nil, err
	}
	return device.Explain(p.device, p.executor, program, o)
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
