package kernels

import (
	"math/bits"
)

// Order is the sequence in which one epoch visits the n examples: a
// permutation that is computed at any position by itself, by a Feistel
// network over a power of two that walks until it lands below n (Black
// and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
type Order struct {
	n            uint32
	low          uint   // bits of the right half
	maskL, maskR uint32 // of the halves' bits
	roundKey     [orderRounds]uint32
	// rounds are the round functions of halves of up to 8 bits, as tables.
	// They are nil if n is so large that halves are wider, or so small that
	// tables do not pay.
	rounds *[orderRounds][1 << 8]uint8
}

const (
	// orderRounds: an even number returns the halves to their places. With 8,
	// no statistic that the tests compute differs from uniform ones.
	orderRounds = 8
	// orderBits is the smallest network. In smaller ones the rounds do not
	// reach all permutations evenly: of 7 examples in 2⁵ places they visibly
	// prefer some, in 2⁸ they do not.
	orderBits = 8
	// orderTables is the least n for which tables are made: they cost as much
	// as a few hundred positions and make each three times faster: BenchmarkOrderFill.
	orderTables = 1 << 11
)

// NewOrder is the order of the given epoch. n must be 1 to 2³¹.
func NewOrder(seed uint64, epoch, n int) Order {
	b := uint(max(orderBits, bits.Len32(uint32(n-1))))
	o := Order{n: uint32(n), low: (b + 1) / 2, maskL: 1<<(b/2) - 1, maskR: 1<<((b+1)/2) - 1}
	for i := 0; i < orderRounds; i += 4 {
		k := draw(seed, streamOrder, uint64(epoch)<<8|uint64(i))
		copy(o.roundKey[i:], k[:])
	}
	if n >= orderTables && b <= 16 {
		o.rounds = new([orderRounds][1 << 8]uint8)
		for i := range o.rounds {
			mask := o.maskL
			if i%2 == 1 {
				mask = o.maskR
			}
			for x := range o.rounds[i] {
				o.rounds[i][x] = uint8(mix(uint32(x)+o.roundKey[i]) & mask)
			}
		}
	}
	return o
}

// At is the example at the given position, 0 <= position < n.
func (o *Order) At(position int) int {
	v := uint32(position)
	for {
		v = o.encrypt(v)
		if v < o.n {
			return int(v)
		}
	}
}

// Fill writes the examples at positions from, from+1, … to rows.
func (o *Order) Fill(rows []int32, from int) {
	t := o.rounds
	if t == nil {
		for i := range rows {
			rows[i] = int32(o.At(from + i))
		}
		return
	}
	// encrypt with tables, written out: it is most of what an epoch's order takes.
	n, low, mask := o.n, o.low&31, o.maskR
	for i := range rows {
		v := uint32(from + i)
		for {
			l, r := uint8(v>>low), uint8(v&mask)
			l ^= t[0][r]
			r ^= t[1][l]
			l ^= t[2][r]
			r ^= t[3][l]
			l ^= t[4][r]
			r ^= t[5][l]
			l ^= t[6][r]
			r ^= t[7][l]
			if v = uint32(l)<<low | uint32(r); v < n {
				break
			}
		}
		rows[i] = int32(v)
	}
}

func (o *Order) encrypt(v uint32) uint32 {
	if t := o.rounds; t != nil {
		l, r := uint8(v>>(o.low&31)), uint8(v&o.maskR)
		l ^= t[0][r]
		r ^= t[1][l]
		l ^= t[2][r]
		r ^= t[3][l]
		l ^= t[4][r]
		r ^= t[5][l]
		l ^= t[6][r]
		r ^= t[7][l]
		return uint32(l)<<(o.low&31) | uint32(r)
	}
	l, r, k := v>>(o.low&31), v&o.maskR, &o.roundKey
	for i := 0; i < orderRounds; i += 2 {
		l ^= mix(r+k[i]) & o.maskL
		r ^= mix(l+k[i+1]) & o.maskR
	}
	return l<<(o.low&31) | r
}

// mix scatters 32 bits: "lowbias32" of Wellons' hash prospector, whose bias is
// about that of a random function.
func mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return x
}
