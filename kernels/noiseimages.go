package kernels

import (
	"math"
	"sync"
)

// noiseImages makes images that show nothing, which take the place of examples in
// training: uniform noise, the example's own pixels in another order, Gaussian noise
// of the training set's mean and deviation, and blank greys, each as often as the
// others. Whether there is one at a position of an epoch, and which, is a function of
// (OrderSeed, epoch, position), in integer arithmetic.
type noiseImages struct {
	// threshold is what 32 bits are compared with.
	threshold uint64
	// gaussian is the pixels of Gaussian noise by 16 bits.
	gaussian []byte
	words    []uint32 // room
}

// The kinds of images that show nothing.
const (
	uniformNoise = iota
	shuffledPixels
	gaussianNoise
	blankGrey
	noiseKinds
)

func newNoiseImages(v *Variant, d *Data, s *shared) *noiseImages {
	return &noiseImages{threshold: v.NoiseThreshold(), gaussian: s.gaussian(d)}
}

// noiseWords are four words of what an image is made of: block 0 decides whether
// there is one and of which kind.
func noiseWords(seed uint64, epoch, position, block int) [4]uint32 {
	return philox([4]uint32{uint32(position), uint32(epoch), streamNoise, uint32(block)}, [2]uint32{uint32(seed), uint32(seed >> 32)})
}

// draw writes an image that shows nothing to to, if there is one at the position.
// from is the example that it takes the place of.
func (n *noiseImages) draw(to, from []byte, seed uint64, epoch, position int) bool {
	first := noiseWords(seed, epoch, position, 0)
	if uint64(first[0]) >= n.threshold {
		return false
	}
	words := func(count int) []uint32 {
		n.words = n.words[:0]
		for block := 1; len(n.words) < count; block++ {
			w := noiseWords(seed, epoch, position, block)
			n.words = append(n.words, w[:]...)
		}
		return n.words
	}
	switch kind := uint64(first[1]) * noiseKinds >> 32; kind {
	case uniformNoise:
		random := words((len(to) + 3) / 4)
		for i := range to {
			to[i] = byte(random[i/4] >> (i % 4 * 8))
		}
	case shuffledPixels:
		copy(to, from)
		random := words(len(to))
		for i := len(to) - 1; i > 0; i-- {
			k := int(uint64(random[len(to)-1-i]) * uint64(i+1) >> 32)
			to[i], to[k] = to[k], to[i]
		}
	case gaussianNoise:
		random := words((len(to) + 1) / 2)
		for i := range to {
			to[i] = n.gaussian[uint16(random[i/2]>>(i%2*16))]
		}
	case blankGrey:
		grey := byte(first[2] >> 24)
		for i := range to {
			to[i] = grey
		}
	}
	return true
}

// NoiseThreshold is what 32 random bits of a position are compared with: below it,
// there is an image of noise.
func (v *Variant) NoiseThreshold() uint64 { return uint64(math.Round(v.NoiseShare * (1 << 32))) }

// GaussianPixels is the pixels of Gaussian noise with the training set's mean and
// deviation, by 16 bits.
func GaussianPixels(d *Data) []byte {
	var sum, squares float64
	for _, p := range d.Train.Pixels {
		sum += float64(p)
		squares += float64(int(p) * int(p))
	}
	n := float64(len(d.Train.Pixels))
	mean := sum / n
	deviation := math.Sqrt(math.Max(0, squares/n-float64(mean*mean)))
	pixels := make([]byte, 1<<16)
	for i := range pixels {
		v := mean + float64(deviation*quantile((float64(i)+0.5)/(1<<16)))
		pixels[i] = byte(math.Max(0, math.Min(255, math.Round(v))))
	}
	return pixels
}

// shared is what a population's augmenters have in common, made when the first of
// them needs it.
type shared struct {
	mutex  sync.Mutex
	fields map[float64]*Field
	pixels []byte
}

// field is the one of a standard deviation.
func (s *shared) field(sigma float64, d *Data) *Field {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	f := s.fields[sigma]
	if f == nil {
		f = NewField(sigma, d.Rows, d.Cols)
		if s.fields == nil {
			s.fields = map[float64]*Field{}
		}
		s.fields[sigma] = f
	}
	return f
}

// gaussian is the pixels of Gaussian noise.
func (s *shared) gaussian(d *Data) []byte {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.pixels == nil {
		s.pixels = GaussianPixels(d)
	}
	return s.pixels
}
