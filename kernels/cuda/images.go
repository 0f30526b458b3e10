package cuda

import (
	"errors"

	"vanilla/kernels"
)

// RefusesImages says why the executor cannot train on a variant's images or targets,
// nil if it can. Kernels move images, and targets are labels.
func RefusesImages(v kernels.Variant) error {
	switch {
	case v.Warps():
		return errors.New("images are turned, stretched, slanted, thickened or bent, which the executor cuda does not do so far: the device cpu does")
	case v.NoiseShare > 0:
		return errors.New("images of noise are among the examples, which the executor cuda does not do so far: the device cpu does")
	}
	return nil
}
