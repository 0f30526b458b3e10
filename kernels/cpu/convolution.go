package cpu

import (
	"math"
	"slices"

	"vanilla/graph/ir"
)

// A convolution runs example by example on plain images [channels, height, width],
// with 16 neighbouring pixels of a row of the result in the lanes. The windows over
// the image, which Im2Col writes out for the whole batch, are made for some panels of
// one example at a time: a matrix [panels][window's elements][16 pixels], whose rows
// are 16 contiguous pixels of the image where neighbouring windows are one pixel
// apart. Filters are the other factor of the products:
//
//	z[panel][filter][pixel]    = Σ_k F[filter, k] · windows[panel][k][pixel]
//	dwindows[panel][k][pixel]  = Σ_f F[f, k] · dz[panel][f][pixel]
//	dF[k's panel][filter][k]   = Σ_pixels dz[panel][filter][pixel] · windows[panel][pixel][k]
type convolution struct {
	kind              convolutionKind
	image, filter, dz ir.ID // as far as the kind reads them
	// bias is added to the result, a number for each filter; or it is where the
	// gradient in it goes, as a row. none without.
	bias ir.ID
	out  ir.ID
	// rectified results are zero where they would be negative.
	rectified bool
	ints      []ir.Extent // of Im2Col
	shape     ir.Shape    // of the image
	filters   int
}

type convolutionKind uint8

const (
	convolve        convolutionKind = iota // out is [B, filters, height, width]
	convolveFilters                        // the gradient in the filters
	convolveImage                          // the gradient in the image
)

func (k convolution) reads() []ir.ID {
	ids := map[convolutionKind][]ir.ID{convolve: {k.image, k.filter}, convolveFilters: {k.image, k.dz}, convolveImage: {k.filter, k.dz}}[k.kind]
	if k.bias != none && k.kind == convolve {
		ids = append(ids, k.bias)
	}
	return ids
}

func (k convolution) writes() []ir.ID {
	if k.bias != none && k.kind != convolve {
		return []ir.ID{k.out, k.bias}
	}
	return []ir.ID{k.out}
}

func (k convolution) line(p *ir.Program) string {
	what := [...]string{"convolution", "convolution's gradient in the filters", "convolution's gradient in the image"}[k.kind]
	what += " " + names(p, k.reads())
	if k.rectified {
		what += " + relu"
	}
	return what + to(p, k)
}

// windowChunk is how many numbers of windows are made before they are multiplied:
// they stay in the first-level cache, or near.
const windowChunk = 6144

// move is where a row of 16 numbers comes from and where it goes.
type move = [2]int32

// moves copies rows of a width to rows of another, which stand elsewhere: whole
// vectors, and a last one of which the lanes in use are copied and the others
// become zero.
type moves struct {
	whole, last []move
	used        []uint32
}

// rowMoves are those of rows of a width.
func rowMoves(rows, width int, from, to func(row, at int) int) moves {
	m := moves{used: usedLanes(width)}
	for r := range rows {
		for at := 0; at < width; at += lanes {
			x := move{int32(from(r, at)), int32(to(r, at))}
			if at+lanes <= width {
				m.whole = append(m.whole, x)
			} else {
				m.last = append(m.last, x)
			}
		}
	}
	return m
}

func (m moves) run(r *routines, to, from []float32) {
	r.moveRows(to, from, m.whole, allLanes)
	r.moveRows(to, from, m.last, m.used)
}

var allLanes = usedLanes(lanes)

// geometry is the sizes of a convolution.
type geometry struct {
	channels, height, width      int // of the image
	kh, kw, padH, padW           int
	strideH, strideW, dilH, dilW int
	outH, outW                   int
	filters                      int
	across, panels               int // panels in a row of the result, and in all
	window, windowPadded         int // elements of a window
	paddedH, pitch               int // of the image with its padding
	imageLen, outLen             int
	chunk                        int // panels at a time
	// windows lists for each panel and element where its pixels stand in the padded image,
	// and where in the windows.
	windows []move
}

// newGeometry is that of Im2Col's numbers on images.
func newGeometry(ints []ir.Extent, shape ir.Shape, filters int) *geometry {
	image := shape.At(1)
	v := make([]int, 8)
	for i, e := range ints {
		v[i] = e.At(1)
	}
	g := &geometry{channels: image[1], height: image[2], width: image[3], kh: v[0], kw: v[1], padH: v[2], padW: v[3],
		strideH: v[4], strideW: v[5], dilH: v[6], dilW: v[7], filters: filters}
	g.outH = (g.height+2*g.padH-(g.kh-1)*g.dilH-1)/g.strideH + 1
	g.outW = (g.width+2*g.padW-(g.kw-1)*g.dilW-1)/g.strideW + 1
	g.across = panels(g.outW)
	g.panels = g.outH * g.across
	g.window = g.channels * g.kh * g.kw
	g.windowPadded = padded(g.window)
	g.paddedH = g.height + 2*g.padH
	// Lanes that are no pixels of the result see none of the next row.
	g.pitch = max(g.width+2*g.padW, (g.across*lanes-1)*g.strideW+(g.kw-1)*g.dilW+1)
	g.imageLen, g.outLen = g.channels*g.height*g.width, g.filters*g.outH*g.outW
	return g
}

// plan lists the windows' moves for a set of routines.
func (g *geometry) plan(r *routines) {
	g.chunk = max(1, windowChunk/(g.windowPadded*lanes))
	g.chunk = (g.chunk + r.multiplyPanels - 1) / r.multiplyPanels * r.multiplyPanels
	for p := range g.panels {
		y, x := p/g.across, p%g.across*lanes
		// addRows would wait for what it has just stored where it goes to the same row
		// of the padded image again, as neighbouring elements of the filter do.
		for j := range g.kw {
			for i := range g.kh {
				for c := range g.channels {
					from := (c*g.paddedH+y*g.strideH+i*g.dilH)*g.pitch + x*g.strideW + j*g.dilW
					to := (p%g.chunk*g.windowPadded + (c*g.kh+i)*g.kw + j) * lanes
					g.windows = append(g.windows, move{int32(from), int32(to)})
				}
			}
		}
	}
}

// newPadded is memory for padded images.
func (g *geometry) newPadded() []float32 { return make([]float32, g.channels*g.paddedH*g.pitch+lanes) }

// inPadded is where a row of the image stands in the padded one.
func (g *geometry) inPadded(row, at int) int {
	return (row/g.height*g.paddedH+row%g.height+g.padH)*g.pitch + g.padW + at
}

func (g *geometry) inImage(row, at int) int { return row*g.width + at }

// inPanels is where a row of the result stands in panels, inResult where outside.
func (g *geometry) inPanels(row, at int) int {
	return ((row%g.outH*g.across+at/lanes)*g.filters + row/g.outH) * lanes
}

func (g *geometry) inResult(row, at int) int { return row*g.outW + at }

// overrun are moves in which a row's last vector is whole: the next row is written
// later.
func overrun(rows, width int, from, to func(row, at int) int) moves {
	var m moves
	for r := range rows {
		for at := 0; at < width; at += lanes {
			m.whole = append(m.whole, move{int32(from(r, at)), int32(to(r, at))})
		}
	}
	m.used = allLanes
	return m
}

// makeWindows makes those of some panels.
func (g *geometry) makeWindows(r *routines, to, image []float32, panel, count int) {
	moves := g.windows[panel*g.window : (panel+count)*g.window]
	if g.strideW == 1 {
		r.moveRows(to, image, moves, allLanes)
		return
	}
	for _, m := range moves {
		row := (*[lanes]float32)(to[m[1]:])
		for l := range row {
			row[l] = image[int(m[0])+l*g.strideW]
		}
	}
}

// addWindows adds windows up where they come from. Lanes that are no pixels hold
// zeros.
func (g *geometry) addWindows(r *routines, image, from []float32, panel, count int) {
	moves := g.windows[panel*g.window : (panel+count)*g.window]
	if g.strideW == 1 {
		r.addRows(image, from, moves, g.window)
		return
	}
	for _, m := range moves {
		for l, v := range (*[lanes]float32)(from[m[1]:]) {
			image[int(m[0])+l*g.strideW] += v
		}
	}
}

// multiplyInto is dst[p][i] = start[..] + Σ_k a[i, k] · b[p][k] for any number of
// panels.
func (m *machine) multiplyInto(dst, start, a, b []float32, rows, depth, count, startRow, startPanel, bPanel int) {
	for p := 0; p < count; p += m.multiplyPanels {
		m.multiply(dst[p*rows*lanes:], start[p*startPanel:], a, b[p*bPanel:], rows, rows, depth, min(m.multiplyPanels, count-p), startRow, startPanel, bPanel)
	}
}

func (k convolution) bind(m *machine) func() {
	g := newGeometry(k.ints, k.shape, k.filters)
	g.plan(m.routines)
	switch k.kind {
	case convolve:
		return k.forward(m, g)
	case convolveFilters:
		return k.filterGradient(m, g)
	}
	return k.imageGradient(m, g)
}

func (k convolution) forward(m *machine, g *geometry) func() {
	out, image, filter := m.values[k.out], m.values[k.image], m.values[k.filter]
	paddedImage, a := g.newPadded(), make([]float32, g.filters*g.windowPadded)
	windows, z := make([]float32, g.chunk*g.windowPadded*lanes), make([]float32, g.panels*g.filters*lanes)
	pad := rowMoves(g.channels*g.height, g.width, g.inImage, g.inPadded)
	result := overrun(g.filters*g.outH, g.outW, g.inPanels, g.inResult)
	start, startRow := m.zeros[:lanes], 0
	var bias []float32
	if k.bias != none {
		bias, start, startRow = m.values[k.bias], make([]float32, g.filters*lanes), lanes
	}
	return func() {
		for f := range g.filters {
			for c := 0; c < g.window; c += lanes {
				copy(a[(c/lanes*g.filters+f)*lanes:][:lanes], filter[f*g.window+c:(f+1)*g.window])
			}
			if bias != nil {
				for l := range lanes {
					start[f*lanes+l] = bias[f]
				}
			}
		}
		for e := range m.n {
			pad.run(m.routines, paddedImage, image[e*g.imageLen:])
			for p := 0; p < g.panels; p += g.chunk {
				n := min(g.chunk, g.panels-p)
				g.makeWindows(m.routines, windows, paddedImage, p, n)
				m.multiplyInto(z[p*g.filters*lanes:], start, a, windows, g.filters, g.window, n, startRow, 0, g.windowPadded*lanes)
			}
			if k.rectified {
				m.relu(z, z)
			}
			result.run(m.routines, out[e*g.outLen:], z)
		}
	}
}

func (k convolution) filterGradient(m *machine, g *geometry) func() {
	out, image, dz := m.values[k.out], m.values[k.image], m.values[k.dz]
	paddedImage, d := g.newPadded(), make([]float32, g.panels*g.filters*lanes)
	windows, turned := make([]float32, g.chunk*g.windowPadded*lanes), make([]float32, g.chunk*g.windowPadded*lanes)
	pad := rowMoves(g.channels*g.height, g.width, g.inImage, g.inPadded)
	gradient := rowMoves(g.filters*g.outH, g.outW, g.inResult, g.inPanels)
	sum := make([]float32, g.filters*g.windowPadded)
	var sums, all []float32 // of the gradients of an example and of all, for each filter
	if k.bias != none {
		sums, all = make([]float32, g.filters*lanes), make([]float32, g.filters*lanes)
	}
	return func() {
		clear(sum)
		clear(all)
		for e := range m.n {
			pad.run(m.routines, paddedImage, image[e*g.imageLen:])
			gradient.run(m.routines, d, dz[e*g.outLen:])
			if k.bias != none {
				m.rowSums(sums, d, allLanes, g.filters, g.panels)
				m.maps.add(all, all, sums, g.filters, 1, rowBytes, 0, rowBytes, 0)
			}
			for p := 0; p < g.panels; p += g.chunk {
				n := min(g.chunk, g.panels-p)
				g.makeWindows(m.routines, windows, paddedImage, p, n)
				for c := range g.windowPadded / lanes {
					m.transpose(turned[c*n*lanes*lanes:], windows[c*lanes*lanes:], n, lanes*lanes, g.windowPadded*lanes)
				}
				m.multiplyInto(sum, sum, d[p*g.filters*lanes:], turned, g.filters, n*lanes, g.windowPadded/lanes, lanes, g.filters*lanes, n*lanes*lanes)
			}
		}
		for f := range g.filters {
			for c := 0; c < g.window; c += lanes {
				copy(out[f*g.window+c:(f+1)*g.window], sum[(c/lanes*g.filters+f)*lanes:][:lanes])
			}
			if k.bias != none {
				m.values[k.bias][f] = all[f*lanes]
			}
		}
	}
}

func (k convolution) imageGradient(m *machine, g *geometry) func() {
	out, filter, dz := m.values[k.out], m.values[k.filter], m.values[k.dz]
	paddedImage, d := g.newPadded(), make([]float32, g.panels*g.filters*lanes)
	a, windows := make([]float32, padded(g.filters)*g.windowPadded), make([]float32, g.chunk*g.windowPadded*lanes)
	gradient := rowMoves(g.filters*g.outH, g.outW, g.inResult, g.inPanels)
	result := overrun(g.channels*g.height, g.width, g.inPadded, g.inImage)
	return func() {
		for f := range g.filters {
			for c, v := range filter[f*g.window : (f+1)*g.window] {
				a[(f/lanes*g.windowPadded+c)*lanes+f%lanes] = v
			}
		}
		for e := range m.n {
			clear(paddedImage)
			gradient.run(m.routines, d, dz[e*g.outLen:])
			for p := 0; p < g.panels; p += g.chunk {
				n := min(g.chunk, g.panels-p)
				m.multiplyInto(windows, m.zeros[:lanes], a, d[p*g.filters*lanes:], g.windowPadded, g.filters, n, 0, 0, g.filters*lanes)
				g.addWindows(m.routines, paddedImage, windows, p, n)
			}
			result.run(m.routines, out[e*g.imageLen:], paddedImage)
		}
	}
}

// moveRows copies rows of 16 numbers, zero in lanes that are not in use.
func moveRows(to, from []float32, moves []move, used []uint32) {
	for _, m := range moves {
		a, b := (*[lanes]float32)(to[m[1]:]), (*[lanes]float32)(from[m[0]:])
		for l, v := range b {
			a[l] = math.Float32frombits(math.Float32bits(v) & used[l])
		}
	}
}

// addRows adds rows of 16 numbers where moveRows takes them from: every period-th
// move from the first one on, then from the second one on, and so on.
func addRows(to, from []float32, moves []move, period int) {
	for k := range period {
		for i := k; i < len(moves); i += period {
			a, b := (*[lanes]float32)(to[moves[i][0]:]), (*[lanes]float32)(from[moves[i][1]:])
			for l := range a {
				a[l] += b[l]
			}
		}
	}
}

// fuseConvolutions finds the products of Im2Col's windows with filters, and their
// gradients.
var fuseConvolutions = pass{"fuse convolutions", func(s *schedule) {
	windows, turned := map[ir.ID]indexed{}, map[ir.ID]indexed{} // Im2Cols, and what brings channels to the back
	shape := func(id ir.ID) ir.Shape { return s.program.Value(id).Shape }
	for _, k := range s.kernels {
		if x, ok := k.(indexed); ok && x.op.Code == ir.Im2Col {
			windows[x.op.Out] = x
		} else if ok && x.op.Code == ir.Transpose && slices.Equal(x.op.Axes, []int{0, 2, 3, 1}) {
			turned[x.op.Out] = x
		}
	}
	// result is the shape of a convolution's result, product that of the product
	// which it comes from.
	result := func(g *geometry) ir.Shape {
		return ir.Tensor(ir.PerBatch(1), ir.Fixed(g.filters), ir.Fixed(g.outH), ir.Fixed(g.outW))
	}
	rows := func(g *geometry, cols int) ir.Shape { return ir.Tensor(ir.PerBatch(g.outH*g.outW), ir.Fixed(cols)) }
	// reader is the one operation of a kind that reads a value.
	reader := func(id ir.ID, code ir.Code) (indexed, int) {
		if j := s.onlyReader(id); j >= 0 {
			if x, ok := s.kernels[j].(indexed); ok && x.op.Code == code {
				return x, j
			}
		}
		return indexed{}, -1
	}
	for i, k := range s.kernels {
		p, ok := k.(product)
		if !ok {
			continue
		}
		a, b := p.op.Args[0], p.op.Args[1]
		left, right := p.shapes[0], p.shapes[1]
		switch dz, gradient := turned[a]; {
		case windows[a].op.Code == ir.Im2Col && !p.op.TransA && p.op.TransB && right.Matrix():
			im := windows[a]
			g := newGeometry(im.op.Ints, im.shapes[0], right.Rows)
			t, j := reader(p.op.Out, ir.Transpose)
			if j < 0 || !slices.Equal(t.op.Axes, []int{0, 3, 1, 2}) || left != rows(g, g.window) || shape(t.op.Out) != result(g) {
				continue
			}
			s.kernels[i], s.kernels[j] = nil, convolution{kind: convolve, image: im.op.Args[0], filter: b, bias: none, out: t.op.Out,
				ints: im.op.Ints, shape: im.shapes[0], filters: g.filters}
			s.addBias(j)
		case gradient && p.op.TransA && !p.op.TransB && windows[b].op.Code == ir.Im2Col:
			im := windows[b]
			g := newGeometry(im.op.Ints, im.shapes[0], shape(p.op.Out).Rows)
			if right != rows(g, g.window) || left != rows(g, g.filters) || dz.shapes[0] != result(g) {
				continue
			}
			s.kernels[i] = convolution{kind: convolveFilters, image: im.op.Args[0], dz: dz.op.Args[0], bias: none, out: p.op.Out,
				ints: im.op.Ints, shape: im.shapes[0], filters: g.filters}
			s.sumGradient(i)
		case gradient && !p.op.TransA && !p.op.TransB && right.Matrix():
			t, j := reader(p.op.Out, ir.Col2Im)
			if j < 0 {
				continue
			}
			g := newGeometry(t.op.Ints, shape(t.op.Out), right.Rows)
			if left != rows(g, g.filters) || right.Cols != g.window || dz.shapes[0] != result(g) {
				continue
			}
			s.kernels[i], s.kernels[j] = nil, convolution{kind: convolveImage, filter: b, dz: dz.op.Args[0], bias: none, out: t.op.Out,
				ints: t.op.Ints, shape: shape(t.op.Out), filters: g.filters}
		}
	}
	s.compact()
}}

// addBias makes a sum with a number for each channel part of the convolution at i,
// which alone it reads.
func (s *schedule) addBias(i int) {
	c := s.kernels[i].(convolution)
	j := s.onlyReader(c.out)
	if j < 0 {
		return
	}
	sum, ok := s.kernels[j].(elementwise)
	if !ok || sum.fn != ir.FnAdd || sum.kind != inPlain {
		return
	}
	other := sum.args[0]
	if other == c.out {
		other = sum.args[1]
	}
	shape := s.program.Value(other).Shape
	for { // what is repeated
		k := s.producer(other)
		if k < 0 {
			break
		}
		r, ok := s.kernels[k].(indexed)
		if !ok || r.op.Code != ir.Repeat {
			break
		}
		other, shape = r.op.Args[0], r.shapes[0]
	}
	if shape != ir.Tensor(ir.Fixed(1), ir.Fixed(c.filters), ir.Fixed(1), ir.Fixed(1)) || s.layout[other] != plain {
		return
	}
	c.bias, c.out = other, sum.out
	s.kernels[i], s.kernels[j] = nil, c
}

// sumGradient lets the gradient in the filters, at i, sum that in a bias too:
// Gorgonia sums along one axis after the other, the examples last.
func (s *schedule) sumGradient(i int) {
	c := s.kernels[i].(convolution)
	at := c.dz
	var summed []int
	for _, axis := range []int{3, 2} {
		j := -1
		for x, k := range s.kernels {
			if r, ok := k.(indexed); ok && r.op.Code == ir.Reduce && r.op.Fn == ir.FnSum && r.op.Args[0] == at && slices.Equal(r.op.Axes, []int{axis}) {
				j = x
			}
		}
		if j < 0 || axis == 2 && s.onlyReader(at) != j {
			return
		}
		summed, at = append(summed, j), s.kernels[j].(indexed).op.Out
	}
	j := s.onlyReader(at)
	if j < 0 {
		return
	}
	if _, ok := s.kernels[j].(relayout); !ok {
		return
	}
	last := s.onlyReader(s.kernels[j].writes()[0])
	if last < 0 {
		return
	}
	b, ok := s.kernels[last].(biasGradient)
	if !ok || b.matrix {
		return
	}
	for _, x := range append(summed, j, last) {
		s.kernels[x] = nil
	}
	c.bias = b.out
	// Where the last of them stood, and still before what reads the sum.
	s.kernels[i] = c
	if i > last {
		s.kernels[i], s.kernels[last] = nil, c
	}
}
