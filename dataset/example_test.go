package dataset_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vanilla/dataset"
)

// A CSV file of 2x2 pixels, whose labels are words, becomes a set with a quarter of each class held back.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "corners.csv")
	text := ""
	for i := range 4 {
		text += fmt.Sprintf("upper,%d,255,0,0\nlower,0,%d,0,255\n", 250-i, i)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	data, err := dataset.Open(context.Background(), path, dataset.Options{Test: 0.25})
	if err != nil {
		fmt.Println(err)
		return
	}
	set := data.Train
	fmt.Printf("%s: %d training and %d test images of %dx%d\n", data.Form, set.Len(), data.Test.Len(), set.Rows, set.Cols)
	fmt.Println("classes:", set.Names)
	fmt.Println("the first one is", set.ClassName(int(set.Labels[0])), set.Image(0))
	// Output:
	// CSV: 6 training and 2 test images of 2x2
	// classes: [lower upper]
	// the first one is upper [250 255 0 0]
}
