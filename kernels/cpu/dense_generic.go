package cpu

// The inner loops, in portable Go. The compiler keeps float32 locals in
// registers, of which there are sixteen on amd64: eight sums, an operand or
// two, and temporaries. Widths that are no multiple of eight end with a block
// of four and single columns.
//
// Blocks of columns are the outer loop and examples the inner one, so that the
// block's part of the weights stays in the first-level cache for a whole batch.

// panel is the width of the column blocks of sparse kernels: 16 float32 are a
// cache line of weights.
const panel = 16

// sparseDense is Dense over records, with the weights transposed:
//
//	z[i, j] = bias[j] + Σ_{(c, x) in records[i]} pixel[x] · w[c, j]
//
// z [len(records), units], w [columns, units]; bias may be nil.
func sparseDense(z, w, bias []float32, units int, records []record, pixel *[256]float32) {
	for lo := 0; lo < units; lo += panel {
		hi := min(lo+panel, units)
		for i, r := range records {
			row := z[i*units : (i+1)*units]
			if bias == nil {
				clear(row[lo:hi])
			} else {
				copy(row[lo:hi], bias[lo:hi])
			}
			j := lo
			for ; j+8 <= hi; j += 8 {
				gather8((*[8]float32)(row[j:]), w[j:], units, r, pixel)
			}
			if j+4 <= hi {
				gather4((*[4]float32)(row[j:]), w[j:], units, r, pixel)
				j += 4
			}
			for ; j < hi; j++ {
				row[j] += gather1(w[j:], units, r, pixel)
			}
		}
	}
}

func gather8(z *[8]float32, w []float32, stride int, r record, pixel *[256]float32) {
	z0, z1, z2, z3, z4, z5, z6, z7 := z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7]
	for _, e := range r {
		x := pixel[uint8(e)]
		at := int(e>>8) * stride
		row := (*[8]float32)(w[at : at+8])
		z0 += x * row[0]
		z1 += x * row[1]
		z2 += x * row[2]
		z3 += x * row[3]
		z4 += x * row[4]
		z5 += x * row[5]
		z6 += x * row[6]
		z7 += x * row[7]
	}
	z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7] = z0, z1, z2, z3, z4, z5, z6, z7
}

func gather4(z *[4]float32, w []float32, stride int, r record, pixel *[256]float32) {
	z0, z1, z2, z3 := z[0], z[1], z[2], z[3]
	for _, e := range r {
		x := pixel[uint8(e)]
		at := int(e>>8) * stride
		row := (*[4]float32)(w[at : at+4])
		z0 += x * row[0]
		z1 += x * row[1]
		z2 += x * row[2]
		z3 += x * row[3]
	}
	z[0], z[1], z[2], z[3] = z0, z1, z2, z3
}

func gather1(w []float32, stride int, r record, pixel *[256]float32) float32 {
	sum := float32(0)
	for _, e := range r {
		sum += pixel[uint8(e)] * w[int(e>>8)*stride]
	}
	return sum
}

// sparseDWeight adds a multiple of DWeight over records to transposed weights
// or to their gradient:
//
//	w[c, j] += alpha · Σ_i Σ_{(c, x) in records[i]} pixel[x] · dz[i, j]
//
// w [columns, units], dz [len(records), units].
func sparseDWeight(w, dz []float32, units int, alpha float32, records []record, pixel *[256]float32) {
	var d [panel]float32
	for lo := 0; lo < units; lo += panel {
		n := min(panel, units-lo)
		for i, r := range records {
			for j, v := range dz[i*units+lo : i*units+lo+n] {
				d[j] = alpha * v
			}
			if n == panel {
				scatter16(w[lo:], units, &d, r, pixel)
				continue
			}
			j := 0
			for ; j+8 <= n; j += 8 {
				scatter8(w[lo+j:], units, (*[8]float32)(d[j:]), r, pixel)
			}
			if j+4 <= n {
				scatter4(w[lo+j:], units, (*[4]float32)(d[j:]), r, pixel)
				j += 4
			}
			for ; j < n; j++ {
				scatter1(w[lo+j:], units, d[j], r, pixel)
			}
		}
	}
}

func scatter16(w []float32, stride int, d *[16]float32, r record, pixel *[256]float32) {
	for _, e := range r {
		x := pixel[uint8(e)]
		at := int(e>>8) * stride
		row := (*[16]float32)(w[at : at+16])
		row[0] += x * d[0]
		row[1] += x * d[1]
		row[2] += x * d[2]
		row[3] += x * d[3]
		row[4] += x * d[4]
		row[5] += x * d[5]
		row[6] += x * d[6]
		row[7] += x * d[7]
		row[8] += x * d[8]
		row[9] += x * d[9]
		row[10] += x * d[10]
		row[11] += x * d[11]
		row[12] += x * d[12]
		row[13] += x * d[13]
		row[14] += x * d[14]
		row[15] += x * d[15]
	}
}

func scatter8(w []float32, stride int, d *[8]float32, r record, pixel *[256]float32) {
	d0, d1, d2, d3, d4, d5, d6, d7 := d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]
	for _, e := range r {
		x := pixel[uint8(e)]
		at := int(e>>8) * stride
		row := (*[8]float32)(w[at : at+8])
		row[0] += x * d0
		row[1] += x * d1
		row[2] += x * d2
		row[3] += x * d3
		row[4] += x * d4
		row[5] += x * d5
		row[6] += x * d6
		row[7] += x * d7
	}
}

func scatter4(w []float32, stride int, d *[4]float32, r record, pixel *[256]float32) {
	d0, d1, d2, d3 := d[0], d[1], d[2], d[3]
	for _, e := range r {
		x := pixel[uint8(e)]
		at := int(e>>8) * stride
		row := (*[4]float32)(w[at : at+4])
		row[0] += x * d0
		row[1] += x * d1
		row[2] += x * d2
		row[3] += x * d3
	}
}

func scatter1(w []float32, stride int, d float32, r record, pixel *[256]float32) {
	for _, e := range r {
		w[int(e>>8)*stride] += pixel[uint8(e)] * d
	}
}

// dense is Dense:
//
//	z[i, j] = bias[j] + Σ_k a[i, k] · w[j, k]
//
// z [rows, units], a [rows, depth], w [units, depth]; bias may be nil.
func dense(z, a, w, bias []float32, rows, units, depth int) {
	j := 0
	for ; j+4 <= units; j += 4 {
		w0, w1 := w[j*depth:][:depth], w[(j+1)*depth:][:depth]
		w2, w3 := w[(j+2)*depth:][:depth], w[(j+3)*depth:][:depth]
		var b [4]float32
		if bias != nil {
			b = [4]float32(bias[j:])
		}
		i := 0
		for ; i+2 <= rows; i += 2 {
			a0, a1 := a[i*depth:][:depth], a[(i+1)*depth:][:depth]
			s00, s01, s02, s03 := b[0], b[1], b[2], b[3]
			s10, s11, s12, s13 := b[0], b[1], b[2], b[3]
			for k, x0 := range a0 {
				x1 := a1[k]
				v0, v1, v2, v3 := w0[k], w1[k], w2[k], w3[k]
				s00 += x0 * v0
				s01 += x0 * v1
				s02 += x0 * v2
				s03 += x0 * v3
				s10 += x1 * v0
				s11 += x1 * v1
				s12 += x1 * v2
				s13 += x1 * v3
			}
			*(*[4]float32)(z[i*units+j:]) = [4]float32{s00, s01, s02, s03}
			*(*[4]float32)(z[(i+1)*units+j:]) = [4]float32{s10, s11, s12, s13}
		}
		if i < rows {
			s0, s1, s2, s3 := b[0], b[1], b[2], b[3]
			for k, x := range a[i*depth:][:depth] {
				s0 += x * w0[k]
				s1 += x * w1[k]
				s2 += x * w2[k]
				s3 += x * w3[k]
			}
			*(*[4]float32)(z[i*units+j:]) = [4]float32{s0, s1, s2, s3}
		}
	}
	for ; j < units; j++ {
		wj := w[j*depth:][:depth]
		b := float32(0)
		if bias != nil {
			b = bias[j]
		}
		i := 0
		for ; i+4 <= rows; i += 4 {
			a0, a1 := a[i*depth:][:depth], a[(i+1)*depth:][:depth]
			a2, a3 := a[(i+2)*depth:][:depth], a[(i+3)*depth:][:depth]
			s0, s1, s2, s3 := b, b, b, b
			for k, v := range wj {
				s0 += v * a0[k]
				s1 += v * a1[k]
				s2 += v * a2[k]
				s3 += v * a3[k]
			}
			z[i*units+j], z[(i+1)*units+j], z[(i+2)*units+j], z[(i+3)*units+j] = s0, s1, s2, s3
		}
		for ; i < rows; i++ {
			s := b
			ai := a[i*depth:][:depth]
			for k, v := range wj {
				s += v * ai[k]
			}
			z[i*units+j] = s
		}
	}
}

// product is the matrix product behind DInput and DWeight, with a read by
// strides so that it may be transposed:
//
//	dst[r, c] = beta · dst[r, c] + alpha · Σ_t a[r·across + t·along] · b[t, c]
//
// dst [rows, cols], b [depth, cols]. With beta zero dst is not read.
func product(dst []float32, beta float32, rows, cols int, alpha float32, a []float32, across, along, depth int, b []float32) {
	c := 0
	for ; c+8 <= cols; c += 8 {
		for r := range rows {
			combine8((*[8]float32)(dst[r*cols+c:]), beta, alpha, a[r*across:], along, depth, b[c:], cols)
		}
	}
	if c+4 <= cols {
		for r := range rows {
			combine4((*[4]float32)(dst[r*cols+c:]), beta, alpha, a[r*across:], along, depth, b[c:], cols)
		}
		c += 4
	}
	for ; c < cols; c++ {
		for r := range rows {
			ar, bc, sum := a[r*across:], b[c:], float32(0)
			for t := range depth {
				sum += ar[t*along] * bc[t*cols]
			}
			mix(&dst[r*cols+c], beta, alpha*sum)
		}
	}
}

func combine8(dst *[8]float32, beta, alpha float32, a []float32, along, depth int, b []float32, stride int) {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	at, bt := 0, 0
	for range depth {
		v, row := a[at], (*[8]float32)(b[bt:bt+8])
		s0 += v * row[0]
		s1 += v * row[1]
		s2 += v * row[2]
		s3 += v * row[3]
		s4 += v * row[4]
		s5 += v * row[5]
		s6 += v * row[6]
		s7 += v * row[7]
		at += along
		bt += stride
	}
	mix(&dst[0], beta, alpha*s0)
	mix(&dst[1], beta, alpha*s1)
	mix(&dst[2], beta, alpha*s2)
	mix(&dst[3], beta, alpha*s3)
	mix(&dst[4], beta, alpha*s4)
	mix(&dst[5], beta, alpha*s5)
	mix(&dst[6], beta, alpha*s6)
	mix(&dst[7], beta, alpha*s7)
}

func combine4(dst *[4]float32, beta, alpha float32, a []float32, along, depth int, b []float32, stride int) {
	var s0, s1, s2, s3 float32
	at, bt := 0, 0
	for range depth {
		v, row := a[at], (*[4]float32)(b[bt:bt+4])
		s0 += v * row[0]
		s1 += v * row[1]
		s2 += v * row[2]
		s3 += v * row[3]
		at += along
		bt += stride
	}
	mix(&dst[0], beta, alpha*s0)
	mix(&dst[1], beta, alpha*s1)
	mix(&dst[2], beta, alpha*s2)
	mix(&dst[3], beta, alpha*s3)
}

// mix is *d = beta · *d + v, or v alone where beta is zero.
func mix(d *float32, beta, v float32) {
	if beta != 0 {
		v += beta * *d
	}
	*d = v
}

// columnSums is DBias: dst[j] = beta · dst[j] + alpha · Σ_i dz[i, j].
// dst holds one row of dz's length.
func columnSums(dst []float32, beta, alpha float32, dz []float32, rows int) {
	cols := len(dst)
	for j := range dst {
		sum := float32(0)
		for i := range rows {
			sum += dz[i*cols+j]
		}
		mix(&dst[j], beta, alpha*sum)
	}
}

// scale is w[k] *= factor.
func scale(w []float32, factor float32) {
	for k := range w {
		w[k] *= factor
	}
}
