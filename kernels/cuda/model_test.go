package cuda

import (
	"fmt"
	"strings"
	"testing"

	"vanilla/internal/cuda/image"
)

// The model's table is of the committed kernels, has every one that trains on
// tensor cores, and says what the documents do: at least 50,000 network-epochs a
// second in bf16 and 12,000 in fp32 for 784-16-16-10. Modelled, not measured.
func TestModelTable(t *testing.T) {
	stamp, err := image.ParseStamp(source(t, "../../internal/cuda/image/stamp.txt"))
	if err != nil {
		t.Fatal(err)
	}
	table := source(t, "model/cycles.txt")
	if !strings.Contains(table, "\nsources: "+stamp.Sources+"\n") {
		t.Error("model/cycles.txt is not of the compiled sources: make model")
	}
	rates := map[string]float64{}
	for line := range strings.Lines(table) {
		var kernel string
		var blocks, instructions int
		var cycles, from, to, rate float64
		if n, _ := fmt.Sscan(line, &kernel, &blocks, &instructions, &cycles, &from, &to, &rate); n == 7 {
			rates[kernel] = rate
		}
	}
	for _, precision := range []string{BF16, FP32} {
		for slots := range 3 {
			for _, parts := range []bool{false, true} {
				if c := (class{precision, slots, parts}); rates[c.kernel()] == 0 {
					t.Errorf("model/cycles.txt lacks %s", c.kernel())
				}
			}
		}
	}
	for precision, want := range map[string]float64{BF16: 50000, FP32: 12000} {
		if c := (class{precision: precision}); rates[c.kernel()] < want {
			t.Errorf("%s is modelled at %g network-epochs/s, want %g", c, rates[c.kernel()], want)
		}
	}
}
