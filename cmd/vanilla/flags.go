package main

import (
	"fmt"
	"io"
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
