package main

import (
	"bytes"
	"fmt"
	"io"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/kernels/device"
)

// plan says which executor would train a network, and how.
func (t *trainFlags) plan(network *graph.Network) (lines []string, err error) {
	opened, err := t.open()
	if err != nil {
		return nil, err
	}
	defer closing(opened, &err)
	variants := t.variants(network)
	exec, err := device.For(opened, func() ([]kernels.Variant, error) { return variants, nil })
	if err != nil {
		return nil, err
	}
	if lines, err = exec.Explain(network, variants[0].Optimizer); err != nil {
		return nil, err
	}
	first := []string{fmt.Sprintf("executor %s: %s", exec.Name(), exec.Device())}
	if text, err := device.Estimate(opened, variants); err != nil {
		return nil, err
	} else if text != "" {
		first = append(first, text)
	}
	return append(first, lines...), nil
}

// show is --print-recipe, --explain and --dot.
func (t *trainFlags) show(stdout io.Writer) error {
	if t.json {
		return usagef("--json: there is no result to print with --print-recipe, --explain or --dot: want one or the other")
	}
	r := t.Recipe
	network, err := r.Build(new(graph.Cache))
	if err != nil {
		return err
	}
	var explanation bytes.Buffer
	if t.printRecipe {
		recipe, err := r.YAML()
		if err != nil {
			return err
		}
		explanation.Write(recipe)
	}
	if t.explain {
		plan, err := t.plan(network)
		if err != nil {
			return err
		}
		fmt.Fprintf(&explanation, "%s\n%s\n", network.Explain(), plan[0])
		for _, line := range plan[1:] {
			fmt.Fprintf(&explanation, "    %s\n", line)
		}
	}
	if t.dot != "" {
		if err := keepApart(t.inputs(), output{"--dot", t.dot}); err != nil {
			return err
		}
		if err := writeDOT(network, t.dot); err != nil {
			return err
		}
	}
	_, err = stdout.Write(explanation.Bytes())
	return err
}

func writeDOT(network *graph.Network, path string) error {
	var dot bytes.Buffer
	if err := network.WriteDOT(&dot); err != nil {
		return err
	}
	return saveFile("--dot", path, dot.Bytes())
}
