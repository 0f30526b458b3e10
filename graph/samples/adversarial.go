package samples

// wrong are graphs that agree with a plain chain wherever one would try them,
// and compute something else.
func wrong() []Sample {
	z := func(p *pen) *node { return p.dense(p.hidden(), "out", Classes) }
	tiny := func(c float64, loss func(p *pen, out *node) *node) func(p *pen) {
		return func(p *pen) {
			out := z(p)
			p.end(out, p.times(c, loss(p, out)))
		}
	}
	hiddenBy := func(act func(p *pen, z *node) *node) func(p *pen) {
		return func(p *pen) { p.logits(act(p, p.dense(p.x, "1", 5))) }
	}
	smooth := func(p *pen, out *node) *node {
		t := p.plus(p.times(0.9, p.y), 0.1/Classes)
		return p.neg(p.mean(p.sum(p.mul(t, p.logsoftmax(out)), 1)))
	}
	absolute := func(p *pen, out *node) *node { return p.mean(p.sum(p.f("abs", p.sub(out, p.y)), 1)) }
	hinge := func(p *pen, out *node) *node {
		return p.mean(p.sum(p.relu(p.sub(p.number(1), p.mul(p.sub(p.times(2, p.y), p.number(1)), out))), 1))
	}
	plus := func(c float64, term func(p *pen, out *node) *node) func(p *pen) {
		return func(p *pen) {
			out := z(p)
			p.xent(out)
			p.also(c, term(p, out))
		}
	}
	all := []Sample{
		{Name: "1e-6 times label smoothing", write: tiny(1e-6, smooth)},
		{Name: "1e-7 times an absolute error", write: tiny(1e-7, absolute)},
		{Name: "1e-8 times a hinge", write: tiny(1e-8, hinge)},
		{Name: "an added term of size 1e-7", write: plus(1e-7, func(p *pen, out *node) *node { return p.mean(p.sum(p.square(out), 1)) })},
		{Name: "a term beyond logits of 30", write: plus(1, func(p *pen, out *node) *node {
			return p.mean(p.sum(p.relu(p.sub(p.square(out), p.number(900))), 1))
		})},
		{Name: "a penalty of large weights only", write: func(p *pen) {
			w := p.param("W1", Features, 5)
			p.logits(p.tanh(p.matmul(p.x, w)))
			p.also(1, p.sum(p.relu(p.sub(p.f("abs", w), p.number(25)))))
		}},
		{Name: "a term that only biases beyond 12 wake", write: func(p *pen) {
			b := p.param("b1", 5)
			p.logits(p.tanh(p.along("add", 0, p.linear(p.x, "1", 5), b)))
			p.also(1, p.sum(p.relu(p.sub(b, p.number(12)))))
		}},
		{Name: "relu capped at 20.5", write: hiddenBy(func(p *pen, z *node) *node { return p.atMost(p.relu(z), 20.5) })},
		{Name: "identity capped at 25", write: hiddenBy(func(p *pen, z *node) *node { return p.atMost(z, 25) })},
		{Name: "the batch size inside an activation", write: func(p *pen) {
			p.logits(p.tanh(p.plus(p.dense(p.x, "1", 5), 1/float64(p.batch))))
		}},
		{Name: "a factor that grows with the batch by 2e-7", write: func(p *pen) {
			out := z(p)
			p.end(out, p.times(1+2e-7*float64(p.batch), p.crossEntropy(out)))
		}},
		{Name: "slope 0.0101", write: hiddenBy(func(p *pen, z *node) *node {
			return p.add(p.times(0.0101, z), p.times(0.9899, p.relu(z)))
		})},
		{Name: "tanh with a bend at 10", write: hiddenBy(func(p *pen, z *node) *node {
			return p.add(p.tanh(z), p.times(0.001, p.relu(p.sub(z, p.number(10)))))
		})},
		{Name: "sigmoid times 1.00001", write: hiddenBy(func(p *pen, z *node) *node { return p.times(1.00001, p.sigmoid(z)) })},
		{Name: "softplus of a tenth", write: hiddenBy(func(p *pen, z *node) *node { return p.times(10, p.f("softplus", p.times(0.1, z))) })},
		{Name: "a mean over the batch as a bias", write: func(p *pen) {
			h := p.dense(p.x, "1", 5)
			p.logits(p.tanh(p.along("add", 0, h, p.mean(p.dense(p.x, "2", 5), 0))))
		}},
	}
	for i := range all {
		all[i].Wrong = true
	}
	return append(all, Sample{Name: "1e-8 times a quadratic cost", Plain: true,
		write: tiny(1e-8, func(p *pen, out *node) *node { return p.quadratic(out) })})
}

// refused are graphs that no executor may run as they are.
func refused() []Sample {
	return []Sample{
		{Name: "two parameters of one name", Refused: "parameter W is in Params twice", write: func(p *pen) {
			h := p.tanh(p.matmul(p.hidden(), p.param("W", 5, 5)))
			p.logits(p.tanh(p.matmul(h, p.param("W", 5, 5))))
		}},
		{Name: "log2", Refused: "log2", write: func(p *pen) { p.logits(p.f("log2", p.sigmoid(p.dense(p.x, "1", 5)))) }},
		{Name: "inverse square root", Refused: "invSqrt", write: func(p *pen) { p.logits(p.f("inversesqrt", p.sigmoid(p.dense(p.x, "1", 5)))) }},
		{Name: "slices beyond 255", Refused: "255", write: func(p *pen) {
			h := p.dense(p.x, "1", 512)
			p.logits(p.mul(p.sigmoid(p.cols(h, 0, 256, 1)), p.tanh(p.cols(h, 256, 512, 1))))
		}},
		{Name: "a parameter that the loss does not use", Refused: "parameter v", write: func(p *pen) {
			p.param("v", 3)
			p.logits(p.hidden())
		}},
	}
}
