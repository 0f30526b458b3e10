package cuda

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Work is repeated until a sample takes long enough, then measured, and looked at
// every time.
func TestSampled(t *testing.T) {
	var now time.Duration
	const one = 3 * time.Millisecond
	var done, looked []int
	do := func(times int) error {
		now += time.Duration(times) * one
		done = append(done, times)
		return nil
	}
	check := func(times int) error {
		now += time.Hour // is not measured
		looked = append(looked, times)
		return nil
	}
	rates, err := sampled(3, do, check, func() time.Duration { return now })
	if err != nil || len(rates) != 3 {
		t.Fatal(rates, err)
	}
	for _, r := range rates {
		if want := 1 / one.Seconds(); r < 0.999*want || r > 1.001*want {
			t.Errorf("%v a second, want %v", rates, want)
		}
	}
	if want := []int{1, 2, 4, 8, 8, 8, 8}; !slices.Equal(done, want) || !slices.Equal(looked, want) {
		t.Errorf("done %v times, looked at %v; want %v", done, looked, want)
	}
	wrong := errors.New("wrong")
	if rates, err := sampled(3, do, func(int) error { return wrong }, func() time.Duration { return now }); err != wrong {
		t.Errorf("what is wrong has the rates %v, %v", rates, err)
	}
}
