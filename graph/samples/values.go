package samples

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"

	"vanilla/graph/ir"
)

// Batch is the batch size of the committed gradients.
const Batch = 6

// The formulas of the committed gradients: peers/pytorch.py has them too. All
// numbers are exact in float32 but the pixels, which are n/255.

// Pixels are the inputs [batch, Features] as bytes, Labels the classes.
func Pixels(batch int) (pixels, labels []byte) {
	for i := range batch * Features {
		v := 0
		if i%3 != 0 {
			v = (i*37 + 11) % 256
		}
		pixels = append(pixels, byte(v))
	}
	for i := range batch {
		labels = append(labels, byte((i*i+2*i+1)%Classes))
	}
	return pixels, labels
}

// Parameter is the k-th parameter, of n numbers in the graph's own layout.
func Parameter(k, n int) []float64 {
	v := make([]float64, n)
	for j := range v {
		v[j] = float64((j*7919+(k+1)*104729+13)%2003-1001) / 2048
	}
	return v
}

// Draw is the k-th random operation's result.
func Draw(op *ir.Op, k int, out []float64) {
	for e := range out {
		switch op.Fn {
		case ir.FnKeep:
			if float64((e*7919+k*40503+7)%1009)/1009 < op.Draw[0] {
				out[e] = 1 / op.Draw[0]
			} else {
				out[e] = 0
			}
		case ir.FnGauss:
			out[e] = op.Draw[0] + op.Draw[1]*float64((e*7919+k*311)%2003-1001)/512
		}
	}
}

// Expected is what PyTorch computes of a sample in float64.
type Expected struct {
	Name   string
	Loss   float64
	Output []float64   // [Batch, Classes]
	Grads  [][]float64 // in the graph's own layout
}

//go:embed testdata/pytorch.json.gz
var pytorch []byte

// PyTorch returns the committed results by name, and PyTorch's version.
func PyTorch() (map[string]Expected, string, error) {
	r, err := gzip.NewReader(bytes.NewReader(pytorch))
	if err != nil {
		return nil, "", err
	}
	var file struct {
		PyTorch string
		Results []Expected
	}
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, "", err
	}
	all := map[string]Expected{}
	for _, e := range file.Results {
		all[e.Name] = e
	}
	return all, file.PyTorch, nil
}
