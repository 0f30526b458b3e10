package cpu

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

var rewrite = flag.Bool("update", false, "write the results of this version of the arithmetic to testdata")

// TestArithmeticName: sets of vectors have one arithmetic, and portable Go, which
// runs on other processors too, has its own.
func TestArithmeticName(t *testing.T) {
	for _, r := range available() {
		want := `^x86 vectors \d+, Go on amd64( with FMA)?$`
		if r == &portable {
			want = `^portable \d+, Go on \w+( with FMA)?$`
		}
		if got := only(r).Arithmetic(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: arithmetic %q, want %s", r.name, got, want)
		}
	}
}

// resultsFile holds the results of each arithmetic, a line for each: its name, a
// tab, and a digest.
const resultsFile = "testdata/arithmetic.txt"

// TestArithmetic: an arithmetic of one name has the results that it had. Where
// they are meant to change, its version goes up, and with -update the new ones
// are written down, for the sets of this processor.
func TestArithmetic(t *testing.T) {
	known := map[string]string{}
	file, err := os.ReadFile(resultsFile)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(strings.NewReader(string(file))); lines.Scan(); {
		name, digest, _ := strings.Cut(lines.Text(), "\t")
		known[name] = digest
	}
	for _, r := range available() {
		name := only(r).Arithmetic()
		got := results(t, r)
		switch want, ok := known[name]; {
		case !ok && !*rewrite:
			t.Logf("%s: no results of %q to compare with", r.name, name)
		case ok && got != want:
			t.Errorf("%s: the results of %q have changed from %s to %s: its version must go up, and the tests run with -update", r.name, name, want, got)
		default:
			known[name] = got
		}
	}
	if *rewrite {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(known)) {
			fmt.Fprintf(&b, "%s\t%s\n", name, known[name])
		}
		if err := os.WriteFile(resultsFile, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// results is a digest of what training gives: every activation, loss and
// optimizer, widths of several kinds, on digits.
func results(t *testing.T, r *routines) string {
	d := digits(t)
	const examples = 2000
	d.Train.Pixels, d.Train.Labels = d.Train.Pixels[:examples*784], d.Train.Labels[:examples]
	all := sha256.New()
	optimizers := kernels.OptimizerNames()
	for i, f := range ir.Activations() {
		for k, code := range []ir.Code{ir.Xent, ir.Quad} {
			o, err := kernels.NewOptimizer(optimizers[(i+k)%len(optimizers)])
			if err != nil {
				t.Fatal(err)
			}
			o.WeightDecay = 1e-3
			widths := [][]int{{784, 16, 16, 10}, {784, 8, 8, 10}, {784, 40, 24, 10}, {784, 70, 10}}[(i+3*k)%4]
			v := variant(chain(t, f, code, widths...), []int{32, 10, 7}[(i+k)%3], 0)
			v.Optimizer, v.Schedule = o, kernels.Schedule{LR: 0.01, Name: "cosine"}
			v.Shift = k
			population, err := only(r).Prepare(d, []kernels.Variant{v})
			if err != nil {
				t.Fatal(err)
			}
			if err := population.Advance(t.Context(), []int{60}, func(kernels.Report) {}); err != nil {
				t.Fatal(err)
			}
			state, err := population.State(0)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range slices.Concat(state.Params, state.Slots) {
				for _, x := range a {
					if x != x {
						t.Fatalf("%s %v: a parameter is %v", r.name, widths, x)
					}
					binary.Write(all, binary.LittleEndian, math.Float32bits(x))
				}
			}
			binary.Write(all, binary.LittleEndian, state.LossSum)
			if err := population.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return fmt.Sprintf("%x", all.Sum(nil)[:16])
}
