package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// percent prints 0.9627 as "96.27 %".
func percent(fraction float64) string { return fmt.Sprintf("%.2f %%", 100*fraction) }

func list(names []string) string { return strings.Join(names, ", ") }

// commandLine is how the user types this program with the given arguments: as
// it was called, or with go run if that is what put it into a cache.
func commandLine(args ...string) string {
	words := []string{os.Args[0]}
	for _, variable := range []func() (string, error){os.UserCacheDir, func() (string, error) { return os.TempDir(), nil }} {
		if dir, err := variable(); err == nil && strings.HasPrefix(os.Args[0], dir+string(filepath.Separator)) {
			words = []string{"go", "run", "./cmd/vanilla"}
		}
	}
	for _, a := range args {
		if strings.ContainsAny(a, " \t'\"$&|;<>()*?`\\") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
