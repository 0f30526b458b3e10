package bench

import "time"

// Budget limits how long a run may take, by what it begins: no case after the first is begun
// unless what is left would do for one as long as the longest so far. A nil Budget has no end.
type Budget struct {
	Limit time.Duration
	// Elapsed is the time since the run began.
	Elapsed func() time.Duration

	began, longest time.Duration
	begun, running bool
}

// Begin is called before each case, and says whether that may begin.
func (b *Budget) Begin() bool {
	if b == nil {
		return true
	}
	now := b.Elapsed()
	if b.running {
		b.longest = max(b.longest, now-b.began)
	}
	b.began, b.running = now, !b.begun || b.Limit-now > b.longest
	b.begun = true
	return b.running
}

// patience is how long a peer is waited for: what is left, at most peerPatience.
func (b *Budget) patience() time.Duration {
	if b == nil {
		return peerPatience
	}
	return max(0, min(peerPatience, b.Limit-b.Elapsed()))
}
