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

// explained lists the kinds of a table by their names, each with what it is in brackets.
func explained[K any](kinds []K, of func(K) (name, help string)) string {
	var all []string
	for _, k := range kinds {
		name, help := of(k)
		all = append(all, name+" ("+help+")")
	}
	return list(all)
}

// commandLine is how the user types this program with the given arguments: as
// it was called, or with go run if that built it, in a directory that is called
// go-build and a number, or in Go's cache, go-build.
func commandLine(args ...string) string {
	words := []string{os.Args[0]}
	for dir := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(os.Args[0])), "/") {
		if strings.HasPrefix(dir, "go-build") {
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
