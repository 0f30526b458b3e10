package viz

import (
	"bytes"
	"context"
	"image/png"
	"strings"
	"testing"

	"vanilla/model"
)

// Filters are the parameters of four axes; biases of convolutions and other weights
// are none. Of several channels as many filters stand beside each other as fit.
func TestFilters(t *testing.T) {
	weights := make([]float32, 16*6*5*5)
	weights[7] = -3
	m := &model.Model{Params: []model.Tensor{
		{Name: "F1", Shape: []int{6, 1, 5, 5}, Data: weights[:150]}, {Name: "c1", Shape: []int{1, 6, 1, 1}, Data: weights[:6]},
		{Name: "F2", Shape: []int{16, 6, 5, 5}, Data: weights}, {Name: "W3", Shape: []int{10, 400}, Data: nil},
	}}
	f, err := NewFilters(m, "lenet")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Convolutions) != 2 || f.Convolutions[1].Name != "F2" || f.Convolutions[1].Channels != 6 || f.Convolutions[0].Largest != 3 {
		t.Fatalf("found %+v", f.Convolutions)
	}
	for i, want := range []int{6, 2} {
		if got := f.Convolutions[i].filters(); got != want {
			t.Errorf("%d filters of %s stand beside each other, want %d", got, f.Convolutions[i].Name, want)
		}
	}
	var b bytes.Buffer
	if err := Write(context.Background(), &b, f, PNG, Light); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&b); err != nil {
		t.Error(err)
	}
	if _, err := NewFilters(&model.Model{Params: m.Params[3:]}, "dense"); err == nil || !strings.Contains(err.Error(), "dense has no convolutions") {
		t.Errorf("a model without convolutions: %v", err)
	}
}
