package dataset

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"vanilla/internal/memory"
	"vanilla/internal/store"
	"vanilla/internal/words"
	"vanilla/kernels"
)

const (
	// longestLine is how many bytes a line of a CSV file may have.
	longestLine = 16 << 20
	// rowsBetween is after how many lines it is looked whether to stop, and whether there is memory left.
	rowsBetween = 256
)

func isCSV(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".csv.gz")
}

// readCSV reads an image from each line, whose label is the first or the last field. The first line may name the columns:
// those that are called label:NAME hold the probability of a class, in place of labels.
func readCSV(ctx context.Context, path string, files []string, o Options) (*found, error) {
	sorted, err := bySplit(path, files)
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(filepath.Base(absolute), ".csv")
	f := &found{name: name, path: path, form: csvForm, labels: newLabels()}
	column := o.Label
	for i, file := range sorted {
		if file == "" {
			continue
		}
		t := &table{ctx: ctx, file: file, labels: f.labels, column: column}
		if f.sets[i], err = t.read(o); err != nil {
			return nil, err
		}
		if t.soft != nil && o.Label != "" {
			return nil, &kernels.SettingError{Field: "label_column", Value: o.Label, Problem: fmt.Sprintf("%s has columns of probabilities in place of labels: want none", file)}
		}
		column = t.column // what the training images showed
	}
	if a, b := &f.sets[training], &f.sets[test]; b.len() > 0 && (a.rows != b.rows || a.cols != b.cols) {
		return nil, fmt.Errorf("%s: expected images of %d pixels, as in %s, found %d", sorted[test], a.rows*a.cols, sorted[training], b.rows*b.cols)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		f.labels.names, err = classNames(os.DirFS(path), path, "")
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// table reads one CSV file.
type table struct {
	ctx    context.Context
	file   string
	labels *labels
	column string // first, last, or "" as long as that is not known

	csv    *csv.Reader
	fields int
	soft   []int // the columns of probabilities, if there are any
	row    []float64
	set    set
}

func (t *table) fail(format string, args ...any) error {
	return fmt.Errorf("%s: %w", t.file, fmt.Errorf(format, args...))
}

func (t *table) read(o Options) (set, error) {
	stream, err := os.Open(t.file)
	if err != nil {
		return set{}, fmt.Errorf("%s: %w", t.file, store.Cause(err))
	}
	defer stream.Close()
	info, err := stream.Stat()
	if err != nil {
		return set{}, err
	}
	// A pixel takes two bytes of text at least, and one to four of memory.
	if err := memory.Check(t.file, uint64(info.Size())); err != nil {
		return set{}, err
	}
	var in io.Reader = stream
	if strings.HasSuffix(strings.ToLower(t.file), ".gz") {
		if in, err = gzip.NewReader(in); err != nil {
			return set{}, t.fail("expected a gzip file: %w", err)
		}
	}
	t.csv = csv.NewReader(&lines{in: in, left: longestLine, all: maxSizeBytes})
	t.csv.ReuseRecord = true
	t.csv.TrimLeadingSpace = true
	t.set.pixels = &values{}
	if err := t.rows(); err != nil {
		return set{}, err
	}
	if t.set.len() == 0 {
		return set{}, t.fail("expected images, found no line")
	}
	pixels := t.fields - max(1, len(t.soft))
	side := int(math.Sqrt(float64(pixels)))
	size := o.Size
	if o.Transpose {
		size.Rows, size.Cols = size.Cols, size.Rows
	}
	switch {
	case size.Rows*size.Cols == pixels:
		t.set.rows, t.set.cols = size.Rows, size.Cols
	case side*side == pixels:
		t.set.rows, t.set.cols = side, side
	default:
		return set{}, t.fail(`expected lines of a label and a square image, found %d pixels: "size" says how many rows and columns they are`, pixels)
	}
	return t.set, nil
}

// rows reads all lines.
func (t *table) rows() error {
	var waiting [][]string // records that were read before it was known where the label is
	var at []int           // and their lines
	for n := 0; ; n++ {
		if n%rowsBetween == 0 {
			if t.ctx.Err() != nil {
				return context.Cause(t.ctx)
			}
			held := uint64(len(t.set.pixels.bytes) + 4*len(t.set.pixels.floats) + 4*len(t.set.targets))
			if err := memory.Check(t.file, held); err != nil { // as much again, when it grows
				return err
			}
		}
		record, err := t.csv.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var parse *csv.ParseError
			if errors.As(err, &parse) && errors.Is(err, csv.ErrFieldCount) {
				return t.fail("line %d: expected %d fields, as in the first line, found %d", parse.Line, t.fields, len(record))
			}
			return t.fail("%w", err)
		}
		if n == 0 {
			if t.fields = len(record); t.fields < 2 {
				return t.fail("line 1: expected a label and pixels, joined by commas, found %s", words.Plural(t.fields, "field"))
			}
			if isHeader(record) {
				if err := t.header(record); err != nil {
					return err
				}
				continue
			}
		}
		line, _ := t.csv.FieldPos(0)
		if t.column == "" && t.soft == nil {
			waiting, at = append(waiting, slices.Clone(record)), append(at, line)
			if len(waiting) < rowsBetween {
				continue
			}
		}
		if err := t.findLabels(waiting); err != nil {
			return err
		}
		for k, w := range waiting {
			if err := t.line(w, at[k]); err != nil {
				return err
			}
		}
		if waiting == nil {
			if err := t.line(record, line); err != nil {
				return err
			}
		}
		waiting = nil
	}
	if waiting != nil {
		if err := t.findLabels(waiting); err != nil {
			return err
		}
		for k, w := range waiting {
			if err := t.line(w, at[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// labelNames are what the labels' column is called.
var labelNames = []string{"label", "labels", "class", "target", "y", "digit", "category"}

func isLabelName(field string) bool {
	return slices.Contains(labelNames, strings.ToLower(strings.TrimSpace(strings.TrimPrefix(field, "\ufeff"))))
}

// targetName is the class whose probability a column called label:NAME holds.
func targetName(field string) (class string, ok bool) {
	name, class, ok := strings.Cut(field, ":")
	return strings.TrimSpace(class), ok && isLabelName(name)
}

func isTargetName(field string) bool {
	_, ok := targetName(field)
	return ok
}

// isHeader says whether a line names columns: one of them the label or a target, or neither the first two nor the last two
// by a number.
func isHeader(record []string) bool {
	n := len(record)
	if isLabelName(record[0]) || isLabelName(record[n-1]) || slices.ContainsFunc(record, isTargetName) {
		return true
	}
	for _, field := range []string{record[0], record[1], record[n-2], record[n-1]} {
		if _, err := strconv.ParseFloat(field, 64); err == nil {
			return false
		}
	}
	return true
}

// header looks for the labels' column in the names, or for those of probabilities.
func (t *table) header(record []string) error {
	for column, field := range record {
		class, ok := targetName(field)
		if !ok {
			continue
		}
		i, err := t.labels.text(class)
		if err != nil {
			return t.fail("line 1, column %d: %w", column+1, err)
		}
		if slices.Contains(t.set.columns, i) {
			return t.fail("line 1: expected one column of probabilities for each class, found two for %s", class)
		}
		t.soft, t.set.columns = append(t.soft, column), append(t.set.columns, i)
	}
	if t.soft != nil {
		return t.checkTargets(record)
	}
	first, last := isLabelName(record[0]), isLabelName(record[len(record)-1])
	switch {
	case t.column != "" || first == last:
	case first:
		t.column = "first"
	default:
		t.column = "last"
	}
	return nil
}

// checkTargets reports a header with columns of probabilities that cannot be.
func (t *table) checkTargets(record []string) error {
	target := record[t.soft[0]]
	if i := slices.IndexFunc(record, isLabelName); i >= 0 {
		return t.fail("line 1: expected either labels or probabilities, found the columns %.60q and %.60q", record[i], target)
	}
	switch len(t.soft) {
	case 1:
		return t.fail("line 1: expected a column of probabilities for each class, found %.60q alone", target)
	case len(record):
		return t.fail("line 1: expected columns of pixels beside those of probabilities, found none")
	}
	return nil
}

// findLabels finds the labels' column by what is in it: text, or more than one value where the other side has but one.
func (t *table) findLabels(rows [][]string) error {
	if t.column != "" || t.soft != nil {
		return nil
	}
	varied := func(column int) (different int, text bool) {
		seen := map[string]bool{}
		for _, r := range rows {
			field := r[column]
			seen[field] = true
			if _, err := strconv.ParseFloat(field, 64); err != nil {
				text = true
			}
		}
		return len(seen), text
	}
	first, firstText := varied(0)
	last, lastText := varied(t.fields - 1)
	switch {
	case firstText != lastText && firstText, firstText == lastText && first > 1 && last == 1:
		t.column = "first"
	case firstText != lastText, first == 1 && last > 1:
		t.column = "last"
	default:
		return t.fail(`expected labels in the first column or in the last one, found that either may be: "label_column" says which, first or last`)
	}
	return nil
}

// line takes a record apart, which begins in line n.
func (t *table) line(record []string, n int) error {
	if t.soft != nil {
		return t.softLine(record, n)
	}
	label, pixels := record[0], record[1:]
	if t.column == "last" {
		label, pixels = record[len(record)-1], record[:len(record)-1]
	}
	at := func() string { return fmt.Sprintf("line %d", n) }
	label = strings.TrimSpace(strings.TrimPrefix(label, "\ufeff"))
	// 3.0 is a label of programs that have but one kind of numbers.
	if v, err := strconv.ParseFloat(label, 64); err == nil {
		if v != math.Trunc(v) || math.Abs(v) > 1e9 {
			return t.fail("%s: expected a label, found %s", at(), label)
		}
		label = strconv.Itoa(int(v))
	}
	i, err := t.labels.text(label)
	if err != nil {
		return t.fail("%s: %w", at(), err)
	}
	t.set.labels = append(t.set.labels, i)
	for k, field := range pixels {
		v, err := number(field)
		if err != nil {
			column := k
			if t.column == "first" {
				column++
			}
			return t.noNumber(record, n, column)
		}
		t.set.pixels.add(v)
	}
	return nil
}

func (t *table) noNumber(record []string, n, column int) error {
	return t.fail("line %d, column %d: expected a finite number, found %.30q", n, column+1, record[column])
}

// softLine is line where targets stand in place of a label.
func (t *table) softLine(record []string, n int) error {
	t.row = t.row[:0]
	for column, field := range record {
		k := len(t.row)
		if k == len(t.soft) || t.soft[k] != column {
			v, err := number(field)
			if err != nil {
				return t.noNumber(record, n, column)
			}
			t.set.pixels.add(v)
			continue
		}
		p, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil {
			return t.noNumber(record, n, column)
		}
		t.row = append(t.row, p)
	}
	if err := t.set.target(t.row); err != nil {
		return t.fail("line %d: %w", n, err)
	}
	return nil
}

var errNumber = errors.New("no finite number")

// number reads a pixel: mostly whole numbers of one to three digits.
func number(field string) (float32, error) {
	if n := len(field); n >= 1 && n <= 3 {
		v := 0
		for i := range n {
			d := field[i] - '0'
			if d > 9 {
				v = -1
				break
			}
			v = 10*v + int(d)
		}
		if v >= 0 {
			return float32(v), nil
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(field), 32)
	if err != nil || v-v != 0 {
		return 0, errNumber
	}
	return float32(v), nil
}

// lines is a stream that fails where a line, or all of it, is too long: a CSV reader would take all memory for it.
type lines struct {
	in   io.Reader
	left int   // of the line
	all  int64 // of the stream
}

func (l *lines) Read(p []byte) (int, error) {
	n, err := l.in.Read(p[:min(len(p), 64<<10)])
	for _, b := range p[:n] {
		if l.left--; b == '\n' {
			l.left = longestLine
		}
		if l.left < 0 {
			return 0, fmt.Errorf("expected lines of at most %d bytes, found a longer one", longestLine)
		}
	}
	if l.all -= int64(n); l.all < 0 {
		return 0, fmt.Errorf("expected at most %d bytes, found more", int64(maxSizeBytes))
	}
	return n, err
}
