package samples

func gates() []Sample {
	return []Sample{
		{Name: "gate", write: func(p *pen) {
			p.logits(p.mul(p.sigmoid(p.dense(p.x, "g", 5)), p.tanh(p.dense(p.x, "1", 5))))
		}},
		{Name: "gated linear unit", write: func(p *pen) {
			p.logits(p.mul(p.dense(p.x, "1", 5), p.sigmoid(p.dense(p.x, "g", 5))))
		}},
		{Name: "gated gelu", write: func(p *pen) { p.logits(p.mul(p.dense(p.x, "1", 5), p.gelu(p.dense(p.x, "g", 5)))) }},
		{Name: "gated relu", write: func(p *pen) { p.logits(p.mul(p.dense(p.x, "1", 5), p.relu(p.dense(p.x, "g", 5)))) }},
		{Name: "bilinear layer", write: func(p *pen) { p.logits(p.mul(p.dense(p.x, "1", 5), p.dense(p.x, "2", 5))) }},
		{Name: "highway layer", write: func(p *pen) {
			h := p.hidden()
			t := p.sigmoid(p.dense(h, "t", 5))
			p.logits(p.add(p.mul(t, p.tanh(p.dense(h, "2", 5))), p.mul(p.sub(p.number(1), t), h)))
		}},
		{Name: "layer gated by itself", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.mul(h, p.sigmoid(p.dense(h, "g", 5))))
		}},
		{Name: "one gate for all units", write: func(p *pen) {
			h := p.hidden()
			g := p.sigmoid(p.dense(p.x, "g", 1))
			p.logits(p.along("mul", 1, h, p.reshape(g, -1)))
		}},
		{Name: "gated inputs", write: func(p *pen) {
			p.logits(p.tanh(p.dense(p.mul(p.x, p.sigmoid(p.dense(p.x, "g", Features))), "1", 5)))
		}},
		{Name: "learned mask of the inputs", write: func(p *pen) {
			p.logits(p.tanh(p.dense(p.along("mul", 0, p.x, p.param("m", Features)), "1", 5)))
		}},
		{Name: "mixture of two experts", write: func(p *pen) {
			g := p.softmax(p.dense(p.x, "g", 2))
			a := p.along("mul", 1, p.dense(p.hidden(), "a", Classes), p.col(g, 0))
			b := p.along("mul", 1, p.dense(p.x, "b", Classes), p.col(g, 1))
			p.xent(p.add(a, b))
		}},
	}
}

func random() []Sample {
	return []Sample{
		{Name: "dropout 0.5", write: func(p *pen) { p.logits(p.dropout(p.hidden(), 0.5)) }},
		{Name: "dropout 0.2", write: func(p *pen) { p.logits(p.dropout(p.hidden(), 0.2)) }},
		{Name: "dropout of two layers", write: func(p *pen) {
			h := p.dropout(p.hidden(), 0.5)
			p.logits(p.dropout(p.tanh(p.dense(h, "2", 6)), 0.3))
		}},
		{Name: "dropout of the inputs", write: func(p *pen) { p.logits(p.tanh(p.dense(p.dropout(p.x, 0.2), "1", 5))) }},
		{Name: "dropout of inputs and layer", write: func(p *pen) {
			p.logits(p.dropout(p.relu(p.dense(p.dropout(p.x, 0.1), "1", 5)), 0.5))
		}},
		{Name: "dropout after relu", write: func(p *pen) { p.logits(p.dropout(p.relu(p.dense(p.x, "1", 5)), 0.4)) }},
		{Name: "dropout in a residual branch", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.add(h, p.dropout(p.tanh(p.dense(h, "2", 5)), 0.5)))
		}},
		{Name: "dropout of nothing", Plain: true, write: func(p *pen) { p.logits(p.dropout(p.hidden(), 0)) }},
		{Name: "noise on a layer", write: func(p *pen) { p.logits(p.add(p.hidden(), p.noise(0.1, 5))) }},
		{Name: "noise on the inputs", write: func(p *pen) { p.logits(p.tanh(p.dense(p.add(p.x, p.noise(0.2, Features)), "1", 5))) }},
		{Name: "multiplied noise", write: func(p *pen) { p.logits(p.mul(p.hidden(), p.plus(p.noise(0.3, 5), 1))) }},
	}
}

func norms() []Sample {
	norm := func(p *pen, z *node) *node {
		d := p.along("sub", 1, z, p.mean(z, 1))
		return p.along("div", 1, d, p.f("sqrt", p.plus(p.mean(p.square(d), 1), 1e-5)))
	}
	batchNorm := func(p *pen, z *node) *node {
		d := p.along("sub", 0, z, p.mean(z, 0))
		return p.along("div", 0, d, p.f("sqrt", p.plus(p.mean(p.square(d), 0), 1e-5)))
	}
	affine := func(p *pen, z *node, name string) *node {
		return p.along("add", 0, p.along("mul", 0, z, p.param("g"+name, 5)), p.param("c"+name, 5))
	}
	return []Sample{
		{Name: "layer norm", write: func(p *pen) { p.logits(p.tanh(norm(p, p.dense(p.x, "1", 5)))) }},
		{Name: "layer norm with scale and shift", write: func(p *pen) {
			p.logits(p.relu(affine(p, norm(p, p.dense(p.x, "1", 5)), "1")))
		}},
		{Name: "layer norm after the activation", write: func(p *pen) { p.logits(norm(p, p.hidden())) }},
		{Name: "layer norm of two layers", write: func(p *pen) {
			h := p.relu(affine(p, norm(p, p.dense(p.x, "1", 5)), "1"))
			p.logits(p.relu(affine(p, norm(p, p.dense(h, "2", 5)), "2")))
		}},
		{Name: "root mean square norm", write: func(p *pen) {
			z := p.dense(p.x, "1", 5)
			p.logits(p.tanh(p.along("div", 1, z, p.f("sqrt", p.plus(p.mean(p.square(z), 1), 1e-6)))))
		}},
		{Name: "unit length", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.along("div", 1, h, p.f("sqrt", p.plus(p.sum(p.square(h), 1), 1e-6))))
		}},
		{Name: "centred rows", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.along("sub", 1, h, p.mean(h, 1)))
		}},
		{Name: "norm in a residual block", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.add(h, p.tanh(p.dense(norm(p, h), "2", 5))))
		}},
		{Name: "batch norm", write: func(p *pen) { p.logits(p.tanh(batchNorm(p, p.dense(p.x, "1", 5)))) }},
		{Name: "batch norm with scale and shift", write: func(p *pen) {
			p.logits(p.relu(affine(p, batchNorm(p, p.dense(p.x, "1", 5)), "1")))
		}},
		{Name: "centred over the batch", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.along("sub", 0, h, p.mean(h, 0)))
		}},
		{Name: "weight normalisation", write: func(p *pen) {
			v := p.param("V", Features, 5)
			l := p.f("sqrt", p.sum(p.square(v), 0))
			w := p.along("mul", 0, p.along("div", 0, v, l), p.param("g", 5))
			p.logits(p.tanh(p.matmul(p.x, w)))
		}},
	}
}

func ties() []Sample {
	return []Sample{
		{Name: "one weight for two layers", Plain: true, write: func(p *pen) {
			w := p.param("W", 5, 5)
			h := p.tanh(p.matmul(p.hidden(), w))
			p.logits(p.tanh(p.matmul(h, w)))
		}},
		{Name: "decoder tied to the encoder", write: func(p *pen) {
			w := p.param("W", Features, 5)
			h := p.tanh(p.matmul(p.x, w))
			r := p.tanh(p.matmul(h, p.transpose(w)))
			p.logits(r)
		}},
		{Name: "autoencoder beside the classifier", write: func(p *pen) {
			w := p.param("W", Features, 5)
			h := p.sigmoid(p.matmul(p.x, w))
			p.logits(h)
			p.also(0.1, p.mean(p.square(p.sub(p.matmul(h, p.transpose(w)), p.x))))
		}},
		{Name: "one bias for two layers", Plain: true, write: func(p *pen) {
			b := p.param("b", 5)
			h := p.tanh(p.along("add", 0, p.linear(p.x, "1", 5), b))
			p.logits(p.tanh(p.along("add", 0, p.linear(h, "2", 5), b)))
		}},
		{Name: "one layer applied three times", Plain: true, write: func(p *pen) {
			w, b, h := p.param("W", 5, 5), p.param("b", 5), p.hidden()
			for range 3 {
				h = p.tanh(p.along("add", 0, p.matmul(h, w), b))
			}
			p.logits(h)
		}},
		{Name: "symmetric weights", write: func(p *pen) {
			w := p.param("W", 5, 5)
			p.logits(p.tanh(p.matmul(p.hidden(), p.add(w, p.transpose(w)))))
		}},
		{Name: "product of two weights", write: func(p *pen) {
			p.logits(p.tanh(p.matmul(p.x, p.matmul(p.param("U", Features, 2), p.param("V", 2, 5)))))
		}},
		{Name: "positive weights", write: func(p *pen) {
			p.logits(p.tanh(p.matmul(p.x, p.f("exp", p.param("W", Features, 5)))))
		}},
		{Name: "weights without some", write: func(p *pen) {
			mask := make([]float64, Features*5)
			for i := range mask {
				if i%3 != 0 {
					mask[i] = 1
				}
			}
			p.logits(p.tanh(p.matmul(p.x, p.mul(p.param("W", Features, 5), p.frozen("mask", mask, Features, 5)))))
		}},
		{Name: "frozen first layer", write: func(p *pen) {
			w := make([]float64, Features*5)
			for i := range w {
				w[i] = float64((i*37)%17-8) / 16
			}
			p.logits(p.tanh(p.matmul(p.x, p.frozen("F", w, Features, 5))))
		}},
		{Name: "learned temperature", write: func(p *pen) {
			p.xent(p.mul(p.param("t"), p.dense(p.hidden(), "2", Classes)))
		}},
	}
}

func views() []Sample {
	return []Sample{
		{Name: "two layers side by side", write: func(p *pen) {
			p.logits(p.concat(p.tanh(p.dense(p.x, "1", 3)), p.relu(p.dense(p.x, "2", 4))))
		}},
		{Name: "inputs beside the layer", write: func(p *pen) { p.logits(p.concat(p.hidden(), p.x)) }},
		{Name: "three layers side by side", write: func(p *pen) {
			p.logits(p.concat(p.tanh(p.dense(p.x, "1", 2)), p.sigmoid(p.dense(p.x, "2", 3)), p.dense(p.x, "3", 1)))
		}},
		{Name: "halves", write: func(p *pen) {
			h := p.dense(p.x, "1", 6)
			p.logits(p.mul(p.tanh(p.cols(h, 0, 3, 1)), p.sigmoid(p.cols(h, 3, 6, 1))))
		}},
		{Name: "upper and lower inputs", write: func(p *pen) {
			a := p.tanh(p.dense(p.cols(p.x, 0, 6, 1), "1", 3))
			p.logits(p.concat(a, p.tanh(p.dense(p.cols(p.x, 6, 12, 1), "2", 3))))
		}},
		{Name: "every other unit", write: func(p *pen) { p.logits(p.cols(p.tanh(p.dense(p.x, "1", 6)), 0, 6, 2)) }},
		{Name: "one unit scales the others", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.along("mul", 1, h, p.sigmoid(p.col(h, 2))))
		}},
		{Name: "part of a weight", write: func(p *pen) {
			p.logits(p.tanh(p.matmul(p.cols(p.x, 0, 6, 1), p.rows(p.param("W", Features, 5), 3, 9))))
		}},
		{Name: "unit by unit over groups", write: func(p *pen) {
			h := p.reshape(p.tanh(p.dense(p.x, "1", 6)), -1, 2, 3)
			p.logits(p.sum(h, 1))
		}},
		{Name: "the largest of a group", write: func(p *pen) {
			h := p.reshape(p.dense(p.x, "1", 6), -1, 3, 2)
			p.logits(p.largest(h, 2))
		}},
		{Name: "channels last", write: func(p *pen) {
			h := p.transpose(p.reshape(p.tanh(p.dense(p.x, "1", 6)), -1, 2, 3), 0, 2, 1)
			p.logits(p.reshape(h, -1, 6))
		}},
		{Name: "product over the batch, transposed", write: func(p *pen) {
			h := p.transpose(p.hidden())
			p.xent(p.transpose(p.matmul(p.transpose(p.param("W2", 5, Classes)), h)))
		}},
	}
}

func convolutions() []Sample {
	image := func(p *pen) *node { return p.reshape(p.x, -1, 1, 3, 4) }
	flat := func(p *pen, h *node) *node {
		s := h.Shape()
		return p.reshape(h, -1, s[1]*s[2]*s[3])
	}
	return []Sample{
		{Name: "one convolution", write: func(p *pen) {
			p.logits(flat(p, p.tanh(p.conv(image(p), p.param("F", 2, 1, 2, 2), 0, 1, 1))))
		}},
		{Name: "padded convolution", write: func(p *pen) {
			p.logits(flat(p, p.tanh(p.conv(image(p), p.param("F", 2, 1, 3, 3), 1, 1, 1))))
		}},
		{Name: "two convolutions and a pool", write: func(p *pen) {
			h := p.tanh(p.conv(image(p), p.param("F1", 2, 1, 3, 3), 1, 1, 1))
			h = p.tanh(p.conv(h, p.param("F2", 3, 2, 2, 2), 1, 1, 1))
			p.logits(flat(p, p.maxpool(h, 0, 2)))
		}},
		{Name: "convolution with a bias", write: func(p *pen) {
			h := p.conv(image(p), p.param("F", 2, 1, 3, 3), 1, 1, 1)
			p.logits(flat(p, p.tanh(p.everywhere("add", h, p.param("b", 1, 2, 1, 1), 0, 2, 3))))
		}},
		{Name: "convolutions, rectifiers and pools in turn", write: func(p *pen) {
			h := p.convolved(p.reshape(p.dense(p.x, "1", 36), -1, 1, 6, 6), "2", 3, 3, 1)
			h = p.convolved(h, "3", 2, 2, 0)
			p.logits(p.relu(p.dense(p.reshape(h, -1, 2), "4", 5)))
		}},
		{Name: "a convolution that skips", write: func(p *pen) {
			im := p.reshape(p.tanh(p.dense(p.x, "1", 49)), -1, 1, 7, 7)
			h := p.conv(im, p.param("F", 3, 1, 3, 3), 1, 2, 1)
			p.logits(flat(p, p.relu(p.conv(h, p.param("G", 2, 3, 2, 2), 0, 2, 1))))
		}},
		{Name: "strides and dilation", write: func(p *pen) {
			im := p.reshape(p.tanh(p.dense(p.x, "1", 36)), -1, 1, 6, 6)
			p.logits(flat(p, p.tanh(p.conv(im, p.param("F", 2, 1, 2, 2), 1, 2, 2))))
		}},
		{Name: "pool", write: func(p *pen) {
			p.logits(flat(p, p.maxpool(p.reshape(p.dense(p.x, "1", 12), -1, 1, 3, 4), 0, 1)))
		}},
		{Name: "overlapping padded pool", write: func(p *pen) {
			p.logits(flat(p, p.maxpool(p.reshape(p.dense(p.x, "1", 12), -1, 1, 3, 4), 1, 1)))
		}},
		{Name: "convolution over a line", write: func(p *pen) {
			im := p.reshape(p.x, -1, 1, 1, 12)
			p.logits(flat(p, p.tanh(p.conv(im, p.param("F", 2, 1, 1, 3), 0, 1, 1))))
		}},
		{Name: "convolution to classes", write: func(p *pen) {
			h := p.conv(image(p), p.param("F", Classes, 1, 3, 4), 0, 1, 1)
			p.xent(p.reshape(h, -1, Classes))
		}},
		{Name: "mean over the image", write: func(p *pen) {
			h := p.tanh(p.conv(image(p), p.param("F", 5, 1, 2, 2), 0, 1, 1))
			p.logits(p.mean(p.mean(h, 3), 2))
		}},
		{Name: "convolution and skip", write: func(p *pen) {
			h := p.conv(image(p), p.param("F", 1, 1, 3, 3), 1, 1, 1)
			p.logits(flat(p, p.tanh(p.add(h, image(p)))))
		}},
	}
}

func attention() []Sample {
	split := func(p *pen, n *node) *node { return p.reshape(n, -1, 3, 4) }
	cell := func(p *pen, in, h *node, u, r, n *node) *node {
		z, reset := p.sigmoid(p.add(in, p.matmul(h, u))), p.sigmoid(p.add(in, p.matmul(h, r)))
		next := p.tanh(p.add(in, p.matmul(p.mul(reset, h), n)))
		return p.add(p.mul(p.sub(p.number(1), z), next), p.mul(z, h))
	}
	return []Sample{
		{Name: "self-attention", write: func(p *pen) {
			q, k, v := split(p, p.dense(p.x, "q", 12)), split(p, p.dense(p.x, "k", 12)), split(p, p.dense(p.x, "v", 12))
			a := p.softmax(p.times(0.5, p.do("bmm", q, p.transpose(k, 0, 2, 1))), 2)
			p.logits(p.reshape(p.do("bmm", a, v), -1, 12))
		}},
		{Name: "batched product", write: func(p *pen) {
			q := p.reshape(p.dense(p.x, "1", 6), -1, 2, 3)
			k := p.reshape(p.dense(p.x, "2", 6), -1, 3, 2)
			p.logits(p.tanh(p.reshape(p.do("bmm", q, k), -1, 4)))
		}},
		{Name: "attention over units", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.mul(h, p.softmax(p.dense(h, "a", 5))))
		}},
		{Name: "softmax inside", write: func(p *pen) { p.logits(p.softmax(p.dense(p.x, "1", 5))) }},
		{Name: "examples attend to each other", write: func(p *pen) {
			h := p.dense(p.x, "1", 5)
			a := p.softmax(p.matmul(h, p.transpose(p.dense(p.x, "2", 5))))
			p.logits(p.matmul(a, h))
		}},
		{Name: "recurrent cell, three steps", Plain: true, write: func(p *pen) {
			u, in, h := p.param("U", 5, 5), p.dense(p.x, "1", 5), p.tanh(p.dense(p.x, "0", 5))
			for range 3 {
				h = p.tanh(p.add(in, p.matmul(h, u)))
			}
			p.logits(h)
		}},
		{Name: "gated recurrent cell", write: func(p *pen) {
			u, r, n := p.param("U", 5, 5), p.param("R", 5, 5), p.param("N", 5, 5)
			in := p.dense(p.x, "1", 5)
			h := p.tanh(in)
			for range 2 {
				h = cell(p, in, h, u, r, n)
			}
			p.logits(h)
		}},
		{Name: "rows of the image in turn", write: func(p *pen) {
			w, u, h := p.param("W", 4, 5), p.param("U", 5, 5), p.tanh(p.linear(p.cols(p.x, 0, 4, 1), "0", 5))
			for i := 1; i < 3; i++ {
				h = p.tanh(p.add(p.matmul(p.cols(p.x, 4*i, 4*i+4, 1), w), p.matmul(h, u)))
			}
			p.logits(h)
		}},
		{Name: "channel attention", write: func(p *pen) {
			h := p.hidden()
			s := p.sigmoid(p.dense(p.relu(p.dense(h, "s1", 2)), "s2", 5))
			p.logits(p.mul(h, s))
		}},
		{Name: "two heads", write: func(p *pen) {
			head := func(name string) *node {
				q, k, v := p.reshape(p.linear(p.x, name+"q", 6), -1, 3, 2), p.reshape(p.linear(p.x, name+"k", 6), -1, 3, 2), p.reshape(p.linear(p.x, name+"v", 6), -1, 3, 2)
				a := p.softmax(p.do("bmm", q, p.transpose(k, 0, 2, 1)), 2)
				return p.reshape(p.do("bmm", a, v), -1, 6)
			}
			p.logits(p.concat(head("a"), head("b")))
		}},
	}
}
