//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"

	"vanilla/kernels"
)

// checkPlain refuses what kernels do not do so far: images that are more than moved,
// and targets other than labels.
func checkPlain(v kernels.Variant, d *kernels.Data) error {
	switch {
	case v.Warps():
		return errors.New("images are turned, stretched, slanted, thickened or bent, which the executor cuda does not do so far: the device cpu does")
	case v.NoiseShare > 0 || d.Train.Targets != nil:
		return errors.New("targets are other than labels, which the executor cuda does not take so far: the device cpu does")
	}
	return nil
}
