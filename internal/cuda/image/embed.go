//go:build gpu && !cpu && linux && amd64 && cgo

package image

import (
	"embed"
	"fmt"
	"sync"
)

//go:embed *.fatbin.zst
var fatbins embed.FS

//go:embed stamp.txt
var stampText []byte

// Load is the compiled code of a .cu file, by its name without the suffix.
func Load(name string) ([]byte, error) {
	packed, err := fatbins.ReadFile(name + Packed)
	if err != nil {
		return nil, fmt.Errorf("the kernels of %s.cu were not compiled into this binary: make kernels", name)
	}
	return Unpack(packed)
}

// Ahead begins to unpack images, all at once. What it returns waits for one.
func Ahead(names ...string) map[string]func() ([]byte, error) {
	ahead := map[string]func() ([]byte, error){}
	for _, name := range names {
		load := sync.OnceValues(func() ([]byte, error) { return Load(name) })
		ahead[name] = load
		go load()
	}
	return ahead
}

// Identity is a hash of all compiled code, and of what it was compiled with.
func Identity() string { return HashBytes(stampText)[:32] }
