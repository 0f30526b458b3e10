//go:build gpu && !cpu && linux && amd64 && cgo

package image

import (
	"embed"
	"fmt"
)

//go:embed *.fatbin.gz
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

// Identity is a hash of all compiled code, and of what it was compiled with.
func Identity() string { return HashBytes(stampText)[:32] }
