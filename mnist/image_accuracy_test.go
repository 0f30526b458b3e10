package mnist_test

import (
	"bytes"
	"image"
	"testing"

	"vanilla/infer"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/mnist"
	"vanilla/model/zoo"
)

// accuracyLost is what the preparation of images may cost on MNIST's own test images, in images of 10,000: 0.1
// percentage points, which is what the command's help says.
const accuracyLost = 10

// MNIST's digits have been prepared already. Preparing them again leaves them what they are, nearly.
func TestFromImageKeepsAccuracy(t *testing.T) {
	if testing.Short() {
		t.Skip("prepares and classifies 10,000 images")
	}
	data, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	test := data.Test
	var prepared []byte
	for i := range test.Len() {
		picture := image.NewGray(image.Rect(0, 0, test.Cols, test.Rows))
		copy(picture.Pix, test.Image(i))
		pixels, err := mnist.FromImage(picture, test.Rows, test.Cols)
		if err != nil {
			t.Fatalf("image %d: %v", i, err)
		}
		prepared = append(prepared, pixels...)
	}
	if bytes.Equal(prepared, test.Pixels) {
		t.Error("no image was changed: nothing was tested")
	}
	for _, name := range zoo.Names() {
		m, err := zoo.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		network, err := infer.Open(cpu.New(), m, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		right := func(pixels []byte) (n int) {
			p, err := network.Probabilities(t.Context(), pixels)
			if err != nil {
				t.Fatal(err)
			}
			classes := len(p) / test.Len()
			for i, label := range test.Labels {
				if kernels.Argmax(p[i*classes:(i+1)*classes]) == int(label) {
					n++
				}
			}
			return n
		}
		before, after := right(test.Pixels), right(prepared)
		t.Logf("%s: %d of %d right before, %d after", name, before, test.Len(), after)
		if before-after > accuracyLost {
			t.Errorf("%s: preparation takes the accuracy from %d to %d of %d", name, before, after, test.Len())
		}
	}
}
