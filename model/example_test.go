package model_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"vanilla/model"
)

// A model is written as a safetensors file and read again.
func Example() {
	dir, err := os.MkdirTemp("", "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	m := &model.Model{
		Arch: "2-1", Activation: "sigmoid", Loss: "quadratic", Recipe: json.RawMessage("{}"),
		Params: []model.Tensor{
			{Name: "W1", Shape: []int{1, 2}, Data: []float32{0.5, -0.25}},
			{Name: "b1", Shape: []int{1}, Data: []float32{1}},
		},
	}
	path := filepath.Join(dir, "m.safetensors")
	if err := m.Write(path); err != nil {
		fmt.Println(err)
		return
	}
	again, err := model.Read(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	layers, err := again.Layers()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(again.Names(), layers[0].Weight, layers[0].Bias)
	// Output:
	// [0.weight 0.bias] [0.5 -0.25] [1]
}
