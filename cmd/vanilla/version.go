package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vanilla/kernels/device"
)

// version is what model files and the command version say.
const version = "0.1.0"

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version and how this binary was built",
		Long:    "Version prints the version, how this binary was built, and the executors in it.",
		Example: "  vanilla version",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			rows := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(rows, "vanilla\t%s\n", version)
			fmt.Fprintf(rows, "go\t%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if tags := buildSettings()["-tags"]; tags != "" {
				fmt.Fprintf(rows, "tags\t%s\n", tags)
			}
			if revision := revision(); revision != "" {
				fmt.Fprintf(rows, "revision\t%s\n", revision)
			}
			fmt.Fprintf(rows, "executors\t%s\n", strings.Join([]string{device.Fast, device.Tape, device.Ref}, " "))
			return rows.Flush()
		},
	}
}

// buildSettings are what the binary was built with.
func buildSettings() map[string]string {
	settings := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	return settings
}

// revision is the commit that the binary was built from, or "" if it does not
// know.
func revision() string {
	settings := buildSettings()
	r := settings["vcs.revision"]
	if r != "" && settings["vcs.modified"] == "true" {
		r += ", modified"
	}
	return r
}
