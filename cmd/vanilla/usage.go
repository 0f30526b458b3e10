package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vanilla/internal/mapping"
	"vanilla/internal/words"
	"vanilla/train"
)

// usageError is wrong usage that shows only after a command has started.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// flagError puts pflag's errors into the words of the others: the flag, the
// value, and what would be right.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		if near := flagsLike(c, unknown.GetSpecifiedName()); len(near) > 0 {
			return fmt.Errorf("%w: did you mean --%s?", err, strings.Join(near, " or --"))
		}
		return fmt.Errorf("%w: %s --help lists them", err, c.CommandPath())
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		want := map[string]string{
			"int":      "a whole number",
			"uint64":   "a whole number from 0 to 18446744073709551615",
			"float64":  "a number",
			"bool":     "true or false",
			"duration": "a time like 90s or 9m",
			"intSlice": "whole numbers, separated by commas",
		}[f.Value.Type()]
		if errors.Is(err, strconv.ErrRange) && f.Value.Type() == "int" {
			want = fmt.Sprintf("a whole number of at most %d", math.MaxInt)
		}
		return &train.SettingError{Field: fieldOf(f), Value: invalid.GetValue(), Problem: "want " + want}
	}
	return err
}

// typed is a flag's value as it was written: of one that is only there or not, true.
func typed(f *pflag.Flag) any {
	if f.Value.Type() == "bool" && f.Value.String() == "true" {
		return true
	}
	return f.Value.String()
}

// refuse reports the first flag that was given and that useless says has no effect here: problem says why.
func refuse(flags *pflag.FlagSet, problem string, useless func(name string) bool) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && useless(f.Name) {
			value := typed(f)
			if list, ok := f.Value.(pflag.SliceValue); ok {
				value = strings.Join(list.GetSlice(), ",")
			}
			err = &train.SettingError{Field: fieldOf(f), Value: value, Problem: problem}
		}
	})
	return err
}

// among is a refuse's useless: the flags that names has.
func among(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

// besides is a refuse's useless: all flags but those that names has.
func besides(names ...string) func(string) bool {
	return func(name string) bool { return !slices.Contains(names, name) }
}

// fieldOf is the field of a recipe or of other settings that a flag is for.
func fieldOf(f *pflag.Flag) string { return strings.ReplaceAll(f.Name, "-", "_") }

// flagOf is the flag for a field. Some fields are the command's own, and are
// called what their flags are.
func flagOf(field string) string {
	return "--" + strings.ReplaceAll(strings.TrimPrefix(field, "--"), "_", "-")
}

// quotedField is how errors name fields.
var quotedField = regexp.MustCompile(`"[a-z][a-z_]*"`)

// inFlags is an error's text for those who give a command its settings by flags:
// where fields are named, it names flags, but for what is said of a file, in which they are fields, and for words of the
// command line.
func inFlags(c *cobra.Command, args []string, err error) string {
	text := inWords(err)
	typed := map[string]bool{}
	for _, arg := range args {
		for word := range strings.FieldsFuncSeq(arg, func(r rune) bool { return r == ',' || r == '=' }) {
			typed[word] = true
		}
	}
	var setting *train.SettingError
	if errors.As(err, &setting) {
		if _, ok := setting.Value.(mapping.Place); ok {
			if before, after, ok := strings.Cut(text, words.OneLine(setting.Problem)); ok {
				return fieldsToFlags(c.Flags(), typed, before) + words.OneLine(setting.Problem) + fieldsToFlags(c.Flags(), typed, after)
			}
		}
	}
	return fieldsToFlags(c.Flags(), typed, text)
}

// inWords is an error's text on one line, with flags for fields. Errors that were joined are separated by semicolons;
// other control characters are those of names.
func inWords(err error) string {
	text := err.Error()
	var parts []error
	switch e := err.(type) {
	case *train.SettingError:
		return flagOf(e.Field) + words.OneLine(strings.TrimPrefix(text, e.Field))
	case interface{ Unwrap() error }:
		parts = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		parts = e.Unwrap()
	}
	var own, shown []string
	for _, part := range parts {
		if part != nil {
			own, shown = append(own, part.Error()), append(shown, inWords(part))
		}
	}
	if len(own) > 1 && text == strings.Join(own, "\n") {
		return strings.Join(shown, "; ")
	}
	for i := range own {
		text = strings.Replace(text, own[i], shown[i], 1)
	}
	text, suggestions, suggested := strings.Cut(text, "\n\nDid you mean this?\n\t")
	if suggested {
		text += ": did you mean " + strings.ReplaceAll(strings.TrimSpace(suggestions), "\n\t", " or ") + "?"
	}
	return words.OneLine(text)
}

// fieldsToFlags is a text in which fields that the flags are for are called as these are. What was typed is no field: it
// is quoted because it is a name.
func fieldsToFlags(flags *pflag.FlagSet, typed map[string]bool, text string) string {
	return quotedField.ReplaceAllStringFunc(text, func(quoted string) string {
		name := strings.Trim(quoted, `"`)
		if flag := flagOf(name); !typed[name] && flags.Lookup(flag[2:]) != nil {
			return flag
		}
		return quoted
	})
}

// flagsLike lists the command's flags that name may be a misspelling of. Cobra
// knows how to do that for commands.
func flagsLike(c *cobra.Command, name string) []string {
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	return flags.SuggestionsFor(name)
}

// noArguments is the Args of commands that have only flags.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Show the help of a command",
		Long:  "Help shows what a command does, its flags, and examples.",
		Example: `  vanilla help train
  vanilla train --help`,
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil {
				return &usageError{err}
			}
			if len(rest) > 0 {
				return usagef("unexpected argument %q: want one command", rest[0])
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Print a script that lets a shell complete commands and flags",
		Long:      "Completion prints a script for bash, zsh, fish or powershell that lets the shell complete\ncommands and flags.",
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Example: `  vanilla completion bash > vanilla.bash
  vanilla completion fish`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("want one shell: bash, zsh, fish or powershell")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			root, out := c.Root(), c.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usagef("%q: want bash, zsh, fish or powershell", args[0])
		},
	}
}
