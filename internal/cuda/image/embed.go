//go:build gpu && !cpu && linux && amd64 && cgo

package image

import (
	"embed"
	"fmt"
)

//go:embed *.fatbin
var fatbins embed.FS

// Load is the compiled code of a .cu file, by its name without the suffix.
func Load(name string) ([]byte, error) {
	code, err := fatbins.ReadFile(name + ".fatbin")
	if err != nil {
		return nil, fmt.Errorf("the kernels of %s.cu were not compiled into this binary: make kernels", name)
	}
	return code, nil
}
