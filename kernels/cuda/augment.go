//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"

	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

// changes is what a device needs to change images, made when the first network
// does.
type changes struct {
	fields   map[float64]*field // by standard deviation
	gaussian buffer
}

// field is a field of elastic displacements on the device.
type field struct {
	*kernels.Field
	buffer
}

func (c *changes) buffers() []*buffer {
	all := []*buffer{&c.gaussian}
	for _, f := range c.fields {
		all = append(all, &f.buffer)
	}
	return all
}

// changed is the part of a training job that says what happens to its images.
type changed struct {
	targets, field, gaussian    uint64 // addresses
	noiseThreshold              uint64
	warps                       int32
	angle, scale, shear, stroke int32
	gain, fieldStride           int32
}

func (c *changed) set(j *packedJob) {
	j.Targets, j.Field, j.Gaussian, j.NoiseThreshold = c.targets, c.field, c.gaussian, c.noiseThreshold
	j.Warps, j.Angle, j.Scale, j.Shear, j.Stroke, j.Gain, j.FieldStride = c.warps, c.angle, c.scale, c.shear, c.stroke, c.gain, c.fieldStride
}

// moreThanMoved is whether more happens to a variant's images than that they are moved,
// which is all that resident kernels do.
func moreThanMoved(v *kernels.Variant) bool { return v.Warps() || v.NoiseShare > 0 }

// change is what happens to the images of a network in training. It copies to the
// device what that takes.
func (w *worker) change(v *kernels.Variant, d *kernels.Data) (c changed, err error) {
	c.targets = w.splits[kernels.Train].targetsOf(d.Train)
	if v.NoiseShare > 0 {
		if w.changes.gaussian.bytes == 0 {
			if err := w.put(&w.changes.gaussian, kernels.GaussianPixels(d)); err != nil {
				return c, fmt.Errorf("noise: %w", err)
			}
		}
		c.gaussian, c.noiseThreshold = uint64(w.changes.gaussian.at), v.NoiseThreshold()
	}
	if !v.Warps() {
		return c, nil
	}
	var elastic *kernels.Field
	if v.Elastic > 0 {
		f, err := w.field(v.ElasticSigma, d)
		if err != nil {
			return c, fmt.Errorf("elastic displacements: %w", err)
		}
		elastic, c.field, c.fieldStride = f.Field, uint64(f.at), int32(f.Stride)
	}
	a := v.Augment.Amounts(elastic)
	c.warps, c.angle, c.scale, c.shear, c.stroke, c.gain = 1, int32(a.Angle), int32(a.Scale), int32(a.Shear), int32(a.Stroke), int32(a.Gain)
	return c, nil
}

// field is the one of a standard deviation.
func (w *worker) field(sigma float64, d *kernels.Data) (*field, error) {
	if f := w.changes.fields[sigma]; f != nil {
		return f, nil
	}
	f := &field{Field: kernels.NewField(sigma, d.Rows, d.Cols)}
	if err := w.put(&f.buffer, driver.Bytes(f.Values)); err != nil {
		return nil, err
	}
	if w.changes.fields == nil {
		w.changes.fields = map[float64]*field{}
	}
	w.changes.fields[sigma] = f
	return f, nil
}
