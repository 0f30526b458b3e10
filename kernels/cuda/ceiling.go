package cuda

import "time"

// Ceiling is what a device does at most of one thing, in 10⁹ a second.
type Ceiling struct {
	Device  string // in words
	What    string // "L2, read"
	Unit    string // "GB/s" or "GFLOP/s"
	Samples []float64
}

// ceilingTime is how long a sample takes at least: what a launch costs is nothing beside it.
const ceilingTime = 20 * time.Millisecond

// sampled measures how often work is done in a second, so many times. do does it a
// number of times, check looks at what came of it; since is a clock. First that number
// is doubled until it takes long enough, which also warms the device up.
func sampled(n int, do, check func(times int) error, since func() time.Duration) ([]float64, error) {
	rate := func(times int) (float64, time.Duration, error) {
		start := since()
		err := do(times)
		took := since() - start
		if err == nil {
			err = check(times)
		}
		return float64(times) / took.Seconds(), took, err
	}
	times := 1
	for {
		_, took, err := rate(times)
		if err != nil {
			return nil, err
		}
		if took >= ceilingTime {
			break
		}
		times *= 2
	}
	samples := make([]float64, n)
	for i := range samples {
		var err error
		if samples[i], _, err = rate(times); err != nil {
			return nil, err
		}
	}
	return samples, nil
}
