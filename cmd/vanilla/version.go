package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vanilla/kernels/device"
)

// version is what files say that are written. A run or sweep is gone on with by the
// version that began it, so it changes with a release and not with a build.
const version = "0.1.0"

// buildVersion is what the command version says: the release that the main module was
// built from, as Go found it in the repository's tags ("v0.2.0", or
// "v0.2.1-0.20270101000000-abcdef123456" after it) or was asked to install.
// Without one it is version.
func buildVersion(main string) string {
	if main == "" || main == "(devel)" || strings.HasPrefix(main, "v0.0.0-") {
		return version
	}
	return strings.TrimPrefix(main, "v")
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version and how this binary was built",
		Long:    "Version prints the version, how this binary was built, and the executors in it.",
		Example: "  vanilla version",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), versionText())
			return err
		},
	}
}

// versionText is what the command version and --version print.
func versionText() string {
	var b strings.Builder
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	main := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		main = info.Main.Version
	}
	fmt.Fprintf(rows, "vanilla\t%s\n", buildVersion(main))
	fmt.Fprintf(rows, "go\t%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if tags := buildSettings()["-tags"]; tags != "" {
		fmt.Fprintf(rows, "tags\t%s\n", tags)
	}
	if revision := revision(); revision != "" {
		fmt.Fprintf(rows, "revision\t%s\n", revision)
	}
	fmt.Fprintf(rows, "executors\t%s\n", strings.Join([]string{device.Fast, device.Tape, device.Ref}, " "))
	rows.Flush()
	return b.String()
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
