package report

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vanilla/train/sweep"
)

// writePage writes a report's page to a file.
func writePage(t *testing.T, r *Report) (path, text string) {
	t.Helper()
	var b bytes.Buffer
	rows, columns, _ := r.HeatDefault()
	if err := r.WriteHTML(&b, rows, columns); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, b.String()
}

var (
	elsewhere = regexp.MustCompile(`(?i)\b(src|href|url|import|fetch)\b\s*[=(]`)
	refused   = regexp.MustCompile(`ZgotmplZ|NaN|Inf\b|%!`)
)

// Pages of all kinds of sweeps need nothing else, and hold no number that is none.
func TestPageIsWhole(t *testing.T) {
	for name, r := range sweeps(t) {
		_, text := writePage(t, r)
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s: the page loads something: %s", name, found)
		}
		if found := refused.FindString(text); found != "" {
			t.Errorf("%s: found %s", name, found)
		}
	}
}

// What a hostile directory is called is text.
func TestPageEscapes(t *testing.T) {
	r := open(t, simulate(t, study(), outcome, nil))
	r.Path = `<script>alert(1)`
	r.DataName = `"><img onerror=alert(1)>`
	if _, text := writePage(t, r); strings.Contains(text, "<script>alert") || strings.Contains(text, "<img") {
		t.Error("a name became part of the page")
	}
}

// A page of very many points stays small enough to open.
func TestPageOfMany(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	spec := halving(20_000)
	_, text := writePage(t, open(t, simulate(t, spec, outcome, func(r sweep.Record) bool { return true })))
	if len(text) > 3<<20 || strings.Count(text, "<tr data-point") != mostRows {
		t.Errorf("the page has %d bytes and %d rows", len(text), strings.Count(text, "<tr data-point"))
	}
}
