package cuda

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"vanilla/internal/cuda/image"
)

// The model's table is of the committed kernels, has every one that trains on
// tensor cores, and says what the documents do: at least 50,000 network-epochs a
// second in bf16 and 12,000 in fp32 for 784-16-16-10, 1,500 in bf16 for 784-128-64-10.
// Modelled, not measured.
func TestModelTable(t *testing.T) {
	stamp, err := image.ParseStamp(source(t, "../../internal/cuda/image/stamp.txt"))
	if err != nil {
		t.Fatal(err)
	}
	table := source(t, "model/cycles.txt")
	if !strings.Contains(table, "\nsources: "+stamp.Sources+"\n") {
		t.Error("model/cycles.txt is not of the compiled sources: make model")
	}
	type row struct {
		kernel, arch, optimizer string
		batch                   int
	}
	rates := map[row]float64{}
	for line := range strings.Lines(table) {
		var r row
		var blocks, instructions int
		var cycles, from, to, rate float64
		if n, _ := fmt.Sscan(line, &r.kernel, &r.arch, &r.optimizer, &r.batch, &blocks, &instructions, &cycles, &from, &to, &rate); n == 10 {
			rates[r] = rate
		}
	}
	archs := map[int]string{narrowUnits: "784-16-16-10", wideUnits: "784-32-16-10"}
	for _, c := range slices.Concat(classes(BF16), classes(FP32)) {
		if c.stream && c.spread { // of momentum there are none
			for _, batch := range []int{32, 128} {
				if r := (row{c.kernel(), "784-2500-2000-1500-1000-500-10", []string{"sgd", "", "adam"}[c.slots], batch}); c.slots != 1 && rates[r] == 0 {
					t.Errorf("model/cycles.txt lacks %v", r)
				}
			}
			continue
		}
		if c.stream { // of momentum there are none: see modelledStream
			for _, arch := range []string{"784-16-16-10", "784-32-16-10", "784-128-64-10"} {
				for _, batch := range []int{10, 32, 128} {
					if c.slots != 1 && rates[row{c.kernel(), arch, []string{"sgd", "", "adam"}[c.slots], batch}] == 0 {
						t.Errorf("model/cycles.txt lacks %s of %s at batch %d", c.kernel(), arch, batch)
					}
				}
			}
			if wide := (row{c.kernel(), "784-512-512-10", "sgd", 32}); c.slots == 0 && rates[wide] == 0 {
				t.Errorf("model/cycles.txt lacks %v", wide)
			}
			continue
		}
		for _, batch := range []int{10, 32, 128} {
			if c.parts != (batch > 32) { // a part has 32 examples
				continue
			}
			if rates[row{c.kernel(), archs[c.units], []string{"sgd", "momentum", "adam"}[c.slots], batch}] == 0 {
				t.Errorf("model/cycles.txt lacks %s at batch %d", c.kernel(), batch)
			}
		}
	}
	for _, arch := range []string{"784-16-16-10", "784-32-16-10", "784-128-64-10"} {
		for _, optimizer := range []string{"sgd", "adam"} {
			for _, batch := range []int{10, 32, 128} {
				if r := (row{"kernel_network", arch, optimizer, batch}); rates[r] == 0 {
					t.Errorf("model/cycles.txt lacks %v", r)
				}
			}
		}
	}
	for precision, want := range map[string]float64{BF16: 50000, FP32: 12000} {
		c := class{units: narrowUnits, precision: precision}
		if rate := rates[row{c.kernel(), "784-16-16-10", "sgd", 32}]; rate < want {
			t.Errorf("%s is modelled at %g network-epochs/s, want %g", c, rate, want)
		}
	}
	c := class{precision: BF16, stream: true}
	if rate := rates[row{c.kernel(), "784-128-64-10", "sgd", 32}]; rate < 1500 {
		t.Errorf("%s is modelled at %g network-epochs/s for 784-128-64-10, want 1500", c, rate)
	}
}
