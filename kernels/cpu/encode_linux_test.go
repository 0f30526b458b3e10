package cpu

import (
	"testing"

	"golang.org/x/sys/unix"

	"vanilla/kernels"
)

// TestWriteReads: nothing is read behind the last example. Whoever does meets
// memory that must not be read.
func TestWriteReads(t *testing.T) {
	page := unix.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	if err := unix.Mprotect(memory[page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	eachSet(t, func(t *testing.T, r *routines) {
		for columns := 1; columns <= 129; columns++ {
			for name, pattern := range patterns {
				e := drawn(columns, 9, pattern)
				d := encodeData(kernels.Data{Train: e}, withDensity(r, 0.5))
				end := memory[page-len(e.Pixels) : page : page]
				copy(end, e.Pixels)
				in := &input{Examples: kernels.Examples{Pixels: end, Labels: e.Labels, Features: columns}}
				d.write(in, nil)
				for i, s := range in.examples {
					if want, _ := recordOf(d, e.Row(i)); string(in.records[int(s>>32)*recordLine:][:len(want)]) != string(want) {
						t.Fatalf("%d columns, %s: record %d is not what it should be", columns, name, i)
					}
				}
			}
		}
	})
}
