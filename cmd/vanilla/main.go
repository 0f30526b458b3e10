// Command vanilla trains plain neural networks on labelled images.
//
// Results go to standard output, progress and errors to standard error. It
// exits with 0 when done, 2 after wrong usage, and 1 after any other failure.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"vanilla/train"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes.
const (
	done   = 0
	failed = 1
	misuse = 2
)

// run executes the command line and returns the exit code. When ctx is done,
// commands keep what they have finished.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	// What fails before a command starts is wrong usage.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetIn(stdin)
	out, errs := &screen{w: stdout}, &screen{w: stderr}
	root.SetOut(out)
	root.SetErr(errs)
	root.SetArgs(append([]string{}, args...)) // not nil, for which cobra takes os.Args
	command, err := root.ExecuteContextC(ctx)
	if err == nil && out.err != nil {
		started, err = true, out.err // of help texts, whose errors cobra drops
	}
	if err == nil {
		return done
	}
	text := inFlags(command, args, err)
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		text = "interrupted"
	}
	fmt.Fprintf(errs, "%s: %s\n", command.CommandPath(), text)
	var usage *usageError
	var setting *train.SettingError
	if !started || errors.As(err, &usage) || errors.As(err, &setting) && setting.Err == nil {
		return misuse
	}
	return failed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "vanilla",
		Short: "Train plain neural networks on labelled images",
		Long: `Vanilla trains plain neural networks on labelled images: MNIST's digits, which are built
in, or your own (--data).

Results go to standard output, progress and errors to standard error. Exit codes:
0 done, 2 wrong usage, 1 any other failure.`,
		Example: `  vanilla train
  vanilla train --help`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	root.SetFlagErrorFunc(flagError)
	root.Version = version
	root.SetVersionTemplate(versionText())
	root.Flags().Bool("version", false, "print the version and how this binary was built")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(trainCommand(), evalCommand(), predictCommand(), exportCommand(), sweepCommand(), resultsCommand(), benchCommand(), vizCommand(), serveCommand(), dataCommand(), devicesCommand(), versionCommand(), completionCommand())
	root.SetHelpCommand(helpCommand())
	fitting(root)
	return root
}
