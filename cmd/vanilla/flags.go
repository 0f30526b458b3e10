package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpColumns is the width of help texts.
const helpColumns = 100

// group makes a set of flags that help shows together, under a heading, in the
// order in which they are added.
func group(heading string) *pflag.FlagSet {
	f := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	f.SortFlags = false
	return f
}

// fitting makes flags of all commands below c refuse whole numbers that do not fit an
// int: pflag cuts them off where an int has 32 bits.
func fitting(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "int" {
			f.Value = fittingInt{f.Value}
		}
	})
	for _, below := range c.Commands() {
		fitting(below)
	}
}

type fittingInt struct{ pflag.Value }

func (v fittingInt) Set(text string) error {
	if _, err := strconv.ParseInt(text, 0, strconv.IntSize); err != nil {
		return err
	}
	return v.Value.Set(text)
}

// setFlagGroups gives a command its flags, and help that shows them by groups.
func setFlagGroups(c *cobra.Command, groups []*pflag.FlagSet) {
	c.Flags().SortFlags = false
	for _, g := range groups {
		c.Flags().AddFlagSet(g)
	}
	c.SetUsageFunc(func(c *cobra.Command) error {
		var b strings.Builder
		fmt.Fprintf(&b, "Usage:\n  %s\n\nExamples:\n%s\n", c.UseLine(), c.Example)
		for _, g := range groups {
			fmt.Fprintf(&b, "\n%s:\n%s", g.Name(), g.FlagUsagesWrapped(helpColumns))
		}
		_, err := io.WriteString(c.OutOrStderr(), b.String())
		return err
	})
}
