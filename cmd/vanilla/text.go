package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"vanilla/internal/words"
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
		words = append(words, quoted(a))
	}
	return strings.Join(words, " ")
}

// quoted is a word as shells take it. What could not be printed is written as bash, zsh and ksh read it.
func quoted(word string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	switch {
	case strings.ContainsFunc(word, odd):
		var b strings.Builder
		for len(word) > 0 {
			r, n := utf8.DecodeRuneInString(word)
			switch {
			case odd(r):
				for _, c := range []byte(word[:n]) {
					fmt.Fprintf(&b, `\%03o`, c)
				}
			case r == '\'' || r == '\\':
				b.WriteString("\\" + string(r))
			default:
				b.WriteRune(r)
			}
			word = word[n:]
		}
		return "$'" + b.String() + "'"
	case word == "" || strings.ContainsAny(word, " '\"$&|;<>()*?`\\[]{}#~!"):
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// printRow prints a row of a table: a name, and a text that may have other people's names in it.
func printRow(w io.Writer, name, format string, args ...any) {
	fmt.Fprintf(w, "%s\t%s\n", name, words.OneLine(fmt.Sprintf(format, args...)))
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
