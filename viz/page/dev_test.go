package page

import (
	"os"
	"testing"

	"vanilla/mnist"
	"vanilla/model/zoo"
)

func TestDev(t *testing.T) {
	var n []Network
	for _, name := range zoo.Names() {
		m, err := zoo.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, Network{name, m})
	}
	data, err := mnist.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create("/tmp/page-demo.html")
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(f, n, NewSample(data.Test, 100, []int{8, 33, 247})); err != nil {
		t.Fatal(err)
	}
	f.Close()
}
