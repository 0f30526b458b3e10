package bench

import (
	"testing"
	"time"
)

// Cases begin while one as long as the longest so far would end in time.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		limit int
		cases []int // seconds that each takes
		begun int
	}{
		{0, []int{1, 1}, 1},              // the first one always
		{10, []int{3, 3, 3, 3}, 3},       // a second is left
		{10, []int{3, 6, 1}, 2},          // of 10, 9 are used up
		{10, []int{2, 5, 1, 1}, 2},       // 3 are left, and one took 5
		{10, []int{1, 1, 1, 20, 1}, 4},   // nobody knew
		{600, []int{100, 200, 50, 1}, 4}, // all
	} {
		now := 0
		b := &Budget{Limit: time.Duration(c.limit) * time.Second, Elapsed: func() time.Duration { return time.Duration(now) * time.Second }}
		begun := 0
		for _, took := range c.cases {
			if !b.Begin() {
				continue
			}
			begun++
			now += took
		}
		if begun != c.begun {
			t.Errorf("of %v in %d s, %d began, want %d", c.cases, c.limit, begun, c.begun)
		}
		if left := max(0, time.Duration(c.limit-now)*time.Second); b.patience() != min(left, peerPatience) {
			t.Errorf("with %v left, a peer is waited for for %v", left, b.patience())
		}
	}
	var none *Budget
	if !none.Begin() || none.patience() != peerPatience {
		t.Error("no budget ends")
	}
}
