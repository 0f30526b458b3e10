package samples

func losses() []Sample {
	z := func(p *pen) *node { return p.dense(p.hidden(), "out", Classes) }
	return []Sample{
		{Name: "label smoothing 0.1", write: func(p *pen) {
			out := z(p)
			l := p.logsoftmax(out)
			t := p.plus(p.times(0.9, p.y), 0.1/Classes)
			p.end(out, p.neg(p.mean(p.sum(p.mul(t, l), 1))))
		}},
		{Name: "label smoothing as a mean of likelihoods", write: func(p *pen) {
			out := z(p)
			l := p.logsoftmax(out)
			p.end(out, p.neg(p.mean(p.add(p.times(0.8, p.sum(p.mul(p.y, l), 1)), p.times(0.2/Classes, p.sum(l, 1))))))
		}},
		{Name: "label smoothing 0.001", write: func(p *pen) {
			out := z(p)
			t := p.plus(p.times(0.999, p.y), 0.001/Classes)
			p.end(out, p.neg(p.mean(p.sum(p.mul(t, p.logsoftmax(out)), 1))))
		}},
		{Name: "temperature", write: func(p *pen) {
			out := z(p)
			p.end(out, p.crossEntropy(p.times(0.5, out)))
		}},
		{Name: "absolute error", write: func(p *pen) {
			a := p.sigmoid(z(p))
			p.end(a, p.mean(p.sum(p.f("abs", p.sub(a, p.y)), 1)))
		}},
		{Name: "binary cross-entropy", write: func(p *pen) {
			a := p.sigmoid(z(p))
			one := p.number(1)
			l := p.add(p.mul(p.y, p.f("log", a)), p.mul(p.sub(one, p.y), p.f("log", p.sub(one, a))))
			p.end(a, p.neg(p.mean(p.sum(l, 1))))
		}},
		{Name: "hinge", write: func(p *pen) {
			out := z(p)
			s := p.sub(p.times(2, p.y), p.number(1))
			p.end(out, p.mean(p.sum(p.relu(p.sub(p.number(1), p.mul(s, out))), 1)))
		}},
		{Name: "focal", write: func(p *pen) {
			out := z(p)
			l := p.likelihood(out)
			p.end(out, p.neg(p.mean(p.mul(p.square(p.sub(p.number(1), p.f("exp", l))), l))))
		}},
		{Name: "quadratic cost of linear outputs", Plain: true, write: func(p *pen) { p.quad(z(p)) }},
		{Name: "quadratic cost as a mean over outputs", Plain: true, write: func(p *pen) {
			a := p.sigmoid(z(p))
			p.end(a, p.mean(p.square(p.sub(a, p.y))))
		}},
		{Name: "quadratic cost of probabilities", write: func(p *pen) { p.quad(p.softmax(z(p))) }},
		{Name: "three times the cross-entropy", Plain: true, write: func(p *pen) {
			out := z(p)
			p.end(out, p.times(3, p.crossEntropy(out)))
		}},
		{Name: "sum over the batch", write: func(p *pen) {
			out := z(p)
			p.end(out, p.neg(p.sum(p.likelihood(out))))
		}},
		{Name: "Huber", write: func(p *pen) {
			a := z(p)
			d := p.f("abs", p.sub(a, p.y))
			q := p.atMost(d, 1)
			p.end(a, p.mean(p.sum(p.sub(p.mul(q, d), p.times(0.5, p.square(q))), 1)))
		}},
		{Name: "entropy bonus", write: func(p *pen) {
			out := z(p)
			l := p.logsoftmax(out)
			p.xent(out)
			p.also(0.05, p.mean(p.sum(p.mul(p.f("exp", l), l), 1)))
		}},
	}
}

func penalties() []Sample {
	with := func(term func(p *pen, w, h *node) (float64, *node)) func(p *pen) {
		return func(p *pen) {
			w := p.param("W1", Features, 5)
			h := p.tanh(p.along("add", 0, p.matmul(p.x, w), p.param("b1", 5)))
			p.logits(h)
			c, n := term(p, w, h)
			p.also(c, n)
		}
	}
	return []Sample{
		{Name: "decay of a weight", Plain: true, write: with(func(p *pen, w, _ *node) (float64, *node) { return 0.02, p.sum(p.square(w)) })},
		{Name: "decay as a mean", Plain: true, write: with(func(p *pen, w, _ *node) (float64, *node) { return 0.5, p.mean(p.square(w)) })},
		{Name: "decay written as a product", Plain: true, write: with(func(p *pen, w, _ *node) (float64, *node) { return 0.02, p.sum(p.mul(w, w)) })},
		{Name: "lasso", write: with(func(p *pen, w, _ *node) (float64, *node) { return 0.01, p.sum(p.f("abs", w)) })},
		{Name: "length of the weights", write: with(func(p *pen, w, _ *node) (float64, *node) { return 0.1, p.f("sqrt", p.sum(p.square(w))) })},
		{Name: "fourth powers", write: with(func(p *pen, w, _ *node) (float64, *node) { return 0.01, p.sum(p.square(p.square(w))) })},
		{Name: "activity", write: with(func(p *pen, _, h *node) (float64, *node) { return 0.1, p.mean(p.square(h)) })},
		{Name: "sparse activity", write: with(func(p *pen, _, h *node) (float64, *node) { return 0.1, p.mean(p.f("abs", h)) })},
		{Name: "balanced units", write: with(func(p *pen, _, h *node) (float64, *node) { return 0.1, p.sum(p.square(p.mean(h, 0))) })},
		{Name: "orthogonal weights", write: with(func(p *pen, w, _ *node) (float64, *node) {
			g := p.matmul(p.transpose(w), w)
			return 0.01, p.sum(p.square(g))
		})},
		{Name: "decay towards one", write: with(func(p *pen, w, _ *node) (float64, *node) { return 0.02, p.sum(p.square(p.sub(w, p.number(1)))) })},
		{Name: "logits kept small", write: func(p *pen) {
			z := p.dense(p.hidden(), "out", Classes)
			p.xent(z)
			p.also(0.01, p.mean(p.sum(p.square(z), 1)))
		}},
	}
}

func softmaxes() []Sample {
	z := func(p *pen) *node { return p.dense(p.hidden(), "out", Classes) }
	return []Sample{
		{Name: "log of softmax", Plain: true, write: func(p *pen) {
			out := z(p)
			p.end(out, p.neg(p.mean(p.sum(p.mul(p.y, p.f("log", p.softmax(out))), 1))))
		}},
		{Name: "log of the sum of exponentials", Plain: true, write: func(p *pen) {
			out := z(p)
			lse := p.f("log", p.sum(p.f("exp", out), 1))
			p.end(out, p.mean(p.sub(lse, p.sum(p.mul(p.y, out), 1))))
		}},
		{Name: "exponentials divided by their sum", Plain: true, write: func(p *pen) {
			out := z(p)
			e := p.f("exp", out)
			s := p.along("div", 1, e, p.sum(e, 1))
			p.end(out, p.neg(p.mean(p.sum(p.mul(p.y, p.f("log", s)), 1))))
		}},
		{Name: "the target's probability", Plain: true, write: func(p *pen) {
			out := z(p)
			lse := p.f("log", p.sum(p.f("exp", out), 1))
			l := p.along("sub", 1, out, lse)
			p.end(out, p.neg(p.mean(p.sum(p.mul(l, p.y), 1))))
		}},
		{Name: "sum divided by the batch", Plain: true, write: func(p *pen) {
			out := z(p)
			p.end(out, p.times(-1/float64(p.batch), p.sum(p.mul(p.y, p.logsoftmax(out)))))
		}},
		{Name: "mean over all, times the classes", Plain: true, write: func(p *pen) {
			out := z(p)
			p.end(out, p.times(-Classes, p.mean(p.mul(p.y, p.logsoftmax(out)))))
		}},
		{Name: "minus inside", Plain: true, write: func(p *pen) {
			out := z(p)
			p.end(out, p.mean(p.sum(p.mul(p.neg(p.y), p.logsoftmax(out)), 1)))
		}},
		{Name: "logarithm of what the target gets", write: func(p *pen) {
			out := z(p)
			p.end(out, p.neg(p.mean(p.f("log", p.sum(p.mul(p.y, p.softmax(out)), 1)))))
		}},
		{Name: "softmax with a small number inside the logarithm", write: func(p *pen) {
			out := z(p)
			p.end(out, p.neg(p.mean(p.sum(p.mul(p.y, p.f("log", p.plus(p.softmax(out), 1e-7))), 1))))
		}},
		{Name: "softmax along the examples", write: func(p *pen) { p.logits(p.softmax(p.dense(p.x, "1", 5), 0)) }},
		{Name: "softmax of groups", write: func(p *pen) {
			h := p.softmax(p.reshape(p.dense(p.x, "1", 6), -1, 2, 3), 1)
			p.logits(p.reshape(h, -1, 6))
		}},
	}
}

func functions() []Sample {
	of := func(f string) Sample {
		return Sample{Name: f, write: func(p *pen) { p.logits(p.f(f, p.sigmoid(p.dense(p.x, "1", 5)))) }}
	}
	all := []Sample{of("cube"), of("cos"), of("expm1"), of("log1p"), of("inverse"), of("sqrt"), of("log")}
	return append(all,
		Sample{Name: "power", write: func(p *pen) { p.logits(p.do("pow", p.sigmoid(p.dense(p.x, "1", 5)), p.number(3))) }},
		Sample{Name: "smaller of two", write: func(p *pen) { p.logits(p.do("min", p.dense(p.x, "1", 5), p.dense(p.x, "2", 5))) }},
		Sample{Name: "minus the row's largest", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.along("sub", 1, h, p.largest(h, 1)))
		}},
		Sample{Name: "radial units", write: func(p *pen) {
			z := p.dense(p.x, "1", 5)
			p.logits(p.f("exp", p.neg(p.square(z))))
		}},
		Sample{Name: "distances to learned centres", write: func(p *pen) { // which are the first layer's weights, too
			c := p.param("C", Features, 5)
			d := p.along("add", 1, p.times(-2, p.matmul(p.x, c)), p.sum(p.square(p.x), 1))
			p.logits(p.f("exp", p.times(-0.1, p.along("add", 0, d, p.sum(p.square(c), 0)))))
		}},
		Sample{Name: "divided by a learned size", write: func(p *pen) {
			p.logits(p.along("div", 0, p.hidden(), p.f("exp", p.param("v", 5))))
		}},
	)
}
