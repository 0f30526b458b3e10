package warp

// portable is every processor's set, and the definition of the others.
var portable = routines{name: "portable", pad: pad, thicken: thicken, quads: quads, resample: resample, bend: bend}

// pad copies an image into padded, whose rows have stride bytes: one of zeros
// before the image's and two behind them, and in each a zero before the image's
// columns and at least one behind. mask has a byte of ones for each column.
func pad(padded, from, mask []byte, rows, cols, stride int) {
	for y := range rows {
		copy(padded[(y+1)*stride+1:][:cols], from[y*cols:])
	}
}

// thicken moves each pixel of a padded image towards the largest of itself and its
// four neighbours, by more 256ths of the way, or towards the smallest, by less.
// mask has a byte of ones for each pixel of a padded row.
func thicken(to, padded, mask []byte, rows, stride, more, less int) {
	for y := 1; y <= rows; y++ {
		for x := range stride {
			if mask[x] == 0 {
				to[y*stride+x] = 0
				continue
			}
			at := y*stride + x
			p, l, r, u, d := padded[at], padded[at-1], padded[at+1], padded[at-stride], padded[at+stride]
			up, down := int(max(p, l, r, u, d)-p), int(p-min(p, l, r, u, d))
			to[at] = p + byte((up*more+128)>>8) - byte((down*less+128)>>8)
		}
	}
}

// quads packs what is around n places of a padded image: the pixel itself in the
// lowest byte, the one to the right, the one below, and the one below to the right.
func quads(quads []uint32, padded []byte, n, stride int) {
	for i := range quads[:n] {
		quads[i] = uint32(padded[i]) | uint32(padded[i+1])<<8 | uint32(padded[i+stride])<<16 | uint32(padded[i+stride+1])<<24
	}
}

// resample writes a result in groups of eight pixels. Those beyond a row's end are
// written over by the next row.
func resample(to []byte, quads []uint32, j *job, rows, cols, stride int) {
	for y := range rows {
		for x := 0; x < cols; x += lanes {
			for l := range lanes {
				u := j[jobU][l] + int32(y)*j[jobRowU][l] + int32(x/lanes)*j[jobStepU][l]
				v := j[jobV][l] + int32(y)*j[jobRowV][l] + int32(x/lanes)*j[jobStepV][l]
				to[y*cols+x+l] = sample(quads, j, u, v, stride)
			}
		}
	}
}

// bend is resample, with places moved by a field.
func bend(to []byte, quads []uint32, dx, dy []int16, j *job, rows, cols, stride, fieldStride int) {
	gain := int32(int16(j[jobGain][0]))
	for y := range rows {
		for x := 0; x < cols; x += lanes {
			for l := range lanes {
				u := j[jobU][l] + int32(y)*j[jobRowU][l] + int32(x/lanes)*j[jobStepU][l]
				v := j[jobV][l] + int32(y)*j[jobRowV][l] + int32(x/lanes)*j[jobStepV][l]
				at := y*fieldStride + x + l
				u += (int32(dx[at])*gain + 1<<14) >> 15 << 8
				v += (int32(dy[at])*gain + 1<<14) >> 15 << 8
				to[y*cols+x+l] = sample(quads, j, u, v, stride)
			}
		}
	}
}

// sample reads place (u, v). quads has a row and a column before the image's.
func sample(quads []uint32, j *job, u, v int32, stride int) byte {
	u = min(max(u, j[jobLeast][0]), j[jobMaxU][0])
	v = min(max(v, j[jobLeast][0]), j[jobMaxV][0])
	q := quads[(int(v>>16)+1)*stride+int(u>>16)+1]
	fx, fy := uint32(u>>10)&63, uint32(v>>10)&63
	top := (64-fx)*(q&255) + fx*(q>>8&255)
	bottom := (64-fx)*(q>>16&255) + fx*(q>>24)
	return byte(((64-fy)*top + fy*bottom + 1<<11) >> 12)
}
