package cpu

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The inner loops in portable Go, the definition of those in assembly. The
// compiler keeps float32 locals in registers, of which there are sixteen on
// amd64: eight sums, an operand or two, and temporaries. So a panel is two
// halves.

const half = lanes / 2

// multiply is the matrix product of Dense and DInput, for rows of a and
// panels of b:
//
//	dst[p][i] = start[p][i] + Σ_k a[i, k] · b[p][k]
//
// dst and a hold panels of aRows rows, of which rows are computed. Panels of b
// are bPanel apart; rows of start are startRow apart and its panels startPanel,
// so it may be a bias (startRow 0) or dst itself.
func multiply(dst, start, a, b []float32, rows, aRows, depth, panels, startRow, startPanel, bPanel int) {
	for p := range panels {
		for from := 0; from < lanes; from += half {
			w := b[p*bPanel+from:]
			for i := range rows {
				s := (*[half]float32)(start[p*startPanel+i*startRow+from:])
				s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
				for k := 0; k < depth; k += lanes {
					wk := w[k*lanes:]
					for c, v := range a[(k/lanes*aRows+i)*lanes:][:min(lanes, depth-k)] {
						row := (*[half]float32)(wk[c*lanes : c*lanes+half])
						s0 += v * row[0]
						s1 += v * row[1]
						s2 += v * row[2]
						s3 += v * row[3]
						s4 += v * row[4]
						s5 += v * row[5]
						s6 += v * row[6]
						s7 += v * row[7]
					}
				}
				*(*[half]float32)(dst[(p*aRows+i)*lanes+from:]) = [half]float32{s0, s1, s2, s3, s4, s5, s6, s7}
			}
		}
	}
}

// accumulate is the matrix product of DWeight, for columns of a and panels
// of d, added to weights or their gradient:
//
//	dst[p][k] = keep · dst[p][k] + alpha · Σ_i a[i, k] · d[p][i]
//
// a and d hold panels of aRows rows, of which rows are summed. Panels of dst
// are dstPanel apart.
func accumulate(dst, a, d []float32, rows, aRows, columns, panels, dstPanel int, keep, alpha float32) {
	for p := range panels {
		for from := 0; from < lanes; from += half {
			for k := range columns {
				var s0, s1, s2, s3, s4, s5, s6, s7 float32
				x, dz := a[k/lanes*aRows*lanes+k%lanes:], d[p*aRows*lanes+from:]
				for i := range rows {
					v, row := x[i*lanes], (*[half]float32)(dz[i*lanes:])
					s0 += v * row[0]
					s1 += v * row[1]
					s2 += v * row[2]
					s3 += v * row[3]
					s4 += v * row[4]
					s5 += v * row[5]
					s6 += v * row[6]
					s7 += v * row[7]
				}
				w := (*[half]float32)(dst[p*dstPanel+k*lanes+from:])
				for l, s := range [half]float32{s0, s1, s2, s3, s4, s5, s6, s7} {
					w[l] = keep*w[l] + alpha*s
				}
			}
		}
	}
}

// transpose transposes blocks of 16 x 16, dstBlock and srcBlock apart.
func transpose(dst, src []float32, blocks, dstBlock, srcBlock int) {
	for b := range blocks {
		to, from := (*[lanes * lanes]float32)(dst[b*dstBlock:]), (*[lanes * lanes]float32)(src[b*srcBlock:])
		for i := range lanes {
			for j := range lanes {
				to[j*lanes+i] = from[i*lanes+j]
			}
		}
	}
}

// columnSums is DBias for one panel: dst = keep · dst + alpha · Σ_i d[i].
func columnSums(dst, d []float32, rows int, keep, alpha float32) {
	var sum [lanes]float32
	for i := range rows {
		for l, v := range (*[lanes]float32)(d[i*lanes:]) {
			sum[l] += v
		}
	}
	for l, s := range sum {
		dst[l] = keep*dst[l] + alpha*s
	}
}

// scale is w[k] *= factor.
func scale(w []float32, factor float32) {
	for k := range w {
		w[k] *= factor
	}
}

// A record is one example's pixels: the bytes of the hot columns; of the cold
// ones those that are not zero, and then for each its row in the cold part of
// the weights, times 8, as 16 bits in little-endian order. Their number is
// padded to a multiple of coldStep by zeros that stand in a row of zeros.

// encode makes an example's record and returns how many cold pixels it holds,
// those of padding included. row begins with the example's pixels, runs are the
// hot columns. By column, cold is 255 where it is cold and 0 elsewhere, and index
// what records say for its row; both are padded to a multiple of encodeColumns,
// and after them index says 8 times what records say for the row of zeros.
//
// encodePadding bytes after the pixels may be read, and as many after the record
// written. scratch holds encodePadding numbers more than there are columns.
func encode(record, row []byte, runs []run, cold []byte, index, scratch []uint16, hot int) (count int) {
	to := 0
	for _, r := range runs {
		to += copy(record[to:hot], row[r[0]:][:r[1]])
	}
	clear(record[to:hot])
	values := record[hot:]
	for c := 0; c < len(cold); c += encodeColumns {
		// First which are not zero, then their list: a branch for each of them
		// would be mistaken too often.
		pixels, mask, used := (*[encodeColumns]byte)(row[c:]), (*[encodeColumns]byte)(cold[c:]), uint64(0)
		for k := encodeColumns - 8; k >= 0; k -= 8 {
			w := binary.LittleEndian.Uint64(pixels[k:]) & binary.LittleEndian.Uint64(mask[k:])
			used = used<<8 | nonZero(w)
		}
		at := (*[encodeColumns]uint16)(index[c:])
		for ; used != 0; used &= used - 1 {
			k := bits.TrailingZeros64(used) % encodeColumns
			values[count], scratch[count] = pixels[k], at[k]
			count++
		}
	}
	for ; count%coldStep != 0; count++ {
		values[count], scratch[count] = 0, index[len(cold)]
	}
	to16 := values[count:]
	for e, k := range scratch[:count] {
		binary.LittleEndian.PutUint16(to16[2*e:], k)
	}
	return count
}

// nonZero is eight bits: which bytes of w are not zero.
func nonZero(w uint64) uint64 {
	const low = 0x7f7f7f7f7f7f7f7f
	tops := (w&low + low | w) &^ low // the bytes' highest bits
	return tops >> 7 * 0x0102040810204080 >> 56
}

// entries are the cold columns of an example, converted.
func entries(cold []float32, records []byte, s example, hot int) (values []float32, index []byte) {
	count := int(s[exampleCount])
	return cold[s[exampleFirst]:][:count], records[int(s[exampleRecord])*recordLine+hot+count:][:2*count]
}

// coldRow is where the row of a record's first index stands in a panel.
func coldRow(index []byte) int { return int(binary.LittleEndian.Uint16(index)) * (lanes / 8) }

// convert makes float32 of a batch's records: panels of the hot columns, and
// the cold values of one example after the other.
func convert(x, cold []float32, records []byte, examples []example, hot int) {
	for i, s := range examples {
		r := records[int(s[exampleRecord])*recordLine:]
		for c := range hot {
			x[(c/lanes*len(examples)+i)*lanes+c%lanes] = pixel(r[c])
		}
		for e, v := range r[hot:][:s[exampleCount]] {
			cold[int(s[exampleFirst])+e] = pixel(v)
		}
	}
}

func pixel(v byte) float32 { return float32(v) * (1. / 255) }

// gather is Dense for the cold columns and panels of weights, wPanel apart:
//
//	z[i] += Σ_{(row, x) in record i} x · w[row]
//
// Routines that can fetch memory ahead fetch the records of other examples on
// the way, one for each of these.
func gather(z, w, cold []float32, records []byte, examples, _ []example, hot, panels, wPanel int) {
	for p := range panels {
		gatherPanel(z[p*len(examples)*lanes:], w[p*wPanel:], cold, records, examples, hot)
	}
}

func gatherPanel(z, w, cold []float32, records []byte, examples []example, hot int) {
	for i, s := range examples {
		values, index := entries(cold, records, s, hot)
		for from := 0; from < lanes; from += half {
			zi := (*[half]float32)(z[i*lanes+from:])
			z0, z1, z2, z3, z4, z5, z6, z7 := zi[0], zi[1], zi[2], zi[3], zi[4], zi[5], zi[6], zi[7]
			index := index
			for _, x := range values {
				at := coldRow(index) + from
				index = index[2:]
				row := (*[half]float32)(w[at : at+half])
				z0 += x * row[0]
				z1 += x * row[1]
				z2 += x * row[2]
				z3 += x * row[3]
				z4 += x * row[4]
				z5 += x * row[5]
				z6 += x * row[6]
				z7 += x * row[7]
			}
			*zi = [half]float32{z0, z1, z2, z3, z4, z5, z6, z7}
		}
	}
}

// scatter is DWeight for the cold columns and panels of d, added to weights or
// their gradient, whose panels are wPanel apart:
//
//	w[row] += alpha · Σ_i Σ_{(row, x) in record i} x · d[i]
func scatter(w, d, cold []float32, records []byte, examples []example, hot, panels, wPanel int, alpha float32) {
	for p := range panels {
		scatterPanel(w[p*wPanel:], d[p*len(examples)*lanes:], cold, records, examples, hot, alpha)
	}
}

func scatterPanel(w, d, cold []float32, records []byte, examples []example, hot int, alpha float32) {
	for i, s := range examples {
		values, index := entries(cold, records, s, hot)
		g := *(*[lanes]float32)(d[i*lanes:])
		for l := range g {
			g[l] *= alpha
		}
		for _, x := range values {
			at := coldRow(index)
			index = index[2:]
			row := (*[lanes]float32)(w[at : at+lanes])
			row[0] += x * g[0]
			row[1] += x * g[1]
			row[2] += x * g[2]
			row[3] += x * g[3]
			row[4] += x * g[4]
			row[5] += x * g[5]
			row[6] += x * g[6]
			row[7] += x * g[7]
			row[8] += x * g[8]
			row[9] += x * g[9]
			row[10] += x * g[10]
			row[11] += x * g[11]
			row[12] += x * g[12]
			row[13] += x * g[13]
			row[14] += x * g[14]
			row[15] += x * g[15]
		}
	}
}

// softmax computes cross-entropies and their gradient with examples in the
// lanes: t holds blocks of 16 examples, block apart, in each the logits
// [classes][16]. losses = −log softmax(t)[label], t = scale · (softmax(t) −
// onehot).
func softmax(t, losses []float32, labels []byte, block, classes int, scale float32) {
	for i := range losses {
		t := t[i/lanes*block+i%lanes:]
		top := float32(math.Inf(-1))
		for c := range classes {
			top = max(top, t[c*lanes])
		}
		label := int(labels[i]) * lanes
		picked, sum := t[label]-top, float32(0)
		for c := range classes {
			e := exp32(t[c*lanes] - top)
			t[c*lanes] = e
			sum += e
		}
		losses[i] = float32(math.Log(float64(sum))) - picked
		factor := scale / sum
		for c := range classes {
			v := t[c*lanes] * factor
			if c*lanes == label {
				v -= scale
			}
			t[c*lanes] = flush(v)
		}
	}
}

// ceiling is sums[i] = sums[i] · factor + addend, so many turns, for twelve
// numbers or, in assembly, registers: enough to fill the time until a result is
// there.
func ceiling(sums []float32, factor, addend float32, turns int) {
	s := (*[12]float32)(sums)
	s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11]
	for range turns {
		s0 = s0*factor + addend
		s1 = s1*factor + addend
		s2 = s2*factor + addend
		s3 = s3*factor + addend
		s4 = s4*factor + addend
		s5 = s5*factor + addend
		s6 = s6*factor + addend
		s7 = s7*factor + addend
		s8 = s8*factor + addend
		s9 = s9*factor + addend
		s10 = s10*factor + addend
		s11 = s11*factor + addend
	}
	*s = [12]float32{s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11}
}
