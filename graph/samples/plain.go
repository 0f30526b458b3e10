package samples

// chains are networks that the fast executors know: each must be proved one.
func chains() []Sample {
	acts := map[string]func(p *pen, z *node) *node{
		"identity":   func(_ *pen, z *node) *node { return z },
		"sigmoid":    (*pen).sigmoid,
		"tanh":       (*pen).tanh,
		"relu":       (*pen).relu,
		"rectify":    (*pen).rectify,
		"leaky-relu": func(p *pen, z *node) *node { return p.add(p.times(0.01, z), p.times(0.99, p.relu(z))) },
		"softplus":   func(p *pen, z *node) *node { return p.f("softplus", z) },
		"silu":       func(p *pen, z *node) *node { return p.mul(z, p.sigmoid(z)) },
		"gelu-tanh":  (*pen).gelu,
		"softsign":   func(p *pen, z *node) *node { return p.div(z, p.plus(p.f("abs", z), 1)) },
	}
	var all []Sample
	for _, act := range []string{"identity", "sigmoid", "tanh", "relu", "rectify", "leaky-relu", "softplus", "silu", "gelu-tanh", "softsign"} {
		f := acts[act]
		all = append(all, Sample{Name: "chain " + act, Plain: true, write: func(p *pen) {
			h := f(p, p.dense(p.x, "1", 7))
			h = f(p, p.dense(h, "2", 6))
			p.logits(h)
		}}, Sample{Name: "chain " + act + " quadratic", Plain: true, write: func(p *pen) {
			h := f(p, p.dense(p.x, "1", 7))
			p.quad(p.sigmoid(p.dense(h, "2", Classes)))
		}})
	}
	return append(all,
		Sample{Name: "linear classifier", Plain: true, write: func(p *pen) { p.logits(p.x) }},
		Sample{Name: "widths of one", Plain: true, write: func(p *pen) {
			p.logits(p.tanh(p.dense(p.tanh(p.dense(p.x, "1", 1)), "2", 1)))
		}},
		Sample{Name: "no biases", Plain: true, write: func(p *pen) {
			p.xent(p.linear(p.sigmoid(p.linear(p.x, "1", 6)), "2", Classes))
		}},
		Sample{Name: "weights out by in", Plain: true, write: func(p *pen) {
			w1, w2 := p.param("W1", 6, Features), p.param("W2", Classes, 6)
			h := p.tanh(p.matmul(p.x, p.transpose(w1)))
			p.xent(p.matmul(h, p.transpose(w2)))
		}},
	)
}

func (p *pen) gelu(z *node) *node {
	inner := p.add(z, p.times(0.044715, p.f("cube", z)))
	t := p.tanh(p.times(0.7978845608028654, inner))
	return p.mul(p.times(0.5, z), p.plus(t, 1))
}

func residuals() []Sample {
	block := func(p *pen, h *node, name string) *node { return p.tanh(p.dense(h, name, 5)) }
	return []Sample{
		{Name: "skip over one layer", Plain: true, write: func(p *pen) {
			h := p.hidden()
			p.logits(p.add(h, block(p, h, "2")))
		}},
		{Name: "skip over two layers", Plain: true, write: func(p *pen) {
			h := p.hidden()
			p.logits(p.add(block(p, block(p, h, "2"), "3"), h))
		}},
		{Name: "ten blocks", Plain: true, write: func(p *pen) {
			h := p.hidden()
			for i := range 10 {
				h = p.add(h, block(p, h, name("r%d", i)))
			}
			p.logits(h)
		}},
		{Name: "dense connections", Plain: true, write: func(p *pen) {
			a := p.hidden()
			b := block(p, a, "2")
			c := block(p, p.add(a, b), "3")
			p.logits(p.add(p.add(a, b), c))
		}},
		{Name: "skip from x to the logits", Plain: true, write: func(p *pen) {
			p.xent(p.add(p.dense(p.hidden(), "2", Classes), p.linear(p.x, "skip", Classes)))
		}},
		{Name: "skip before the activation", Plain: true, write: func(p *pen) {
			z := p.dense(p.x, "1", 5)
			p.logits(p.tanh(p.add(z, p.dense(p.tanh(z), "2", 5))))
		}},
		{Name: "relu after the sum", Plain: true, write: func(p *pen) {
			h := p.relu(p.dense(p.x, "1", 5))
			p.logits(p.relu(p.add(h, p.dense(h, "2", 5))))
		}},
		{Name: "scaled branch", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.add(h, p.times(0.1, block(p, h, "2"))))
		}},
		{Name: "branch with a learned scale", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.add(h, p.mul(p.param("s"), block(p, h, "2"))))
		}},
		{Name: "difference instead of a sum", write: func(p *pen) {
			h := p.hidden()
			p.logits(p.sub(h, block(p, h, "2")))
		}},
		{Name: "mean of two branches", write: func(p *pen) {
			p.logits(p.times(0.5, p.add(p.tanh(p.dense(p.x, "1", 5)), p.sigmoid(p.dense(p.x, "2", 5)))))
		}},
	}
}

func activations() []Sample {
	one := func(act func(p *pen, z *node) *node) func(p *pen) {
		return func(p *pen) { p.logits(act(p, p.dense(p.x, "1", 5))) }
	}
	two := func(act func(p *pen, z *node) *node) func(p *pen) {
		return func(p *pen) { p.logits(act(p, p.add(p.dense(p.x, "1", 5), p.dense(p.x, "2", 5)))) }
	}
	return []Sample{
		{Name: "relu of a sum", Plain: true, write: two((*pen).relu)},
		{Name: "rectify of a sum", Plain: true, write: two((*pen).rectify)},
		{Name: "silu of a sum", Plain: true, write: two(func(p *pen, z *node) *node { return p.mul(z, p.sigmoid(z)) })},
		{Name: "tanh of a sum", Plain: true, write: two((*pen).tanh)},
		{Name: "tanh of sigmoid", Plain: true, write: one(func(p *pen, z *node) *node { return p.tanh(p.sigmoid(z)) })},
		{Name: "tanh by exponentials", Plain: true, write: one(func(p *pen, z *node) *node {
			e := p.f("exp", p.times(-2, z))
			return p.div(p.sub(p.number(1), e), p.add(p.number(1), e))
		})},
		{Name: "sigmoid by exponentials", Plain: true, write: one(func(p *pen, z *node) *node {
			return p.f("inverse", p.plus(p.f("exp", p.neg(z)), 1))
		})},
		{Name: "Gorgonia's LeakyRelu 0.01", write: one(func(p *pen, z *node) *node { return p.leaky(z, 0.01) })},
		{Name: "Gorgonia's LeakyRelu 0.2", write: one(func(p *pen, z *node) *node { return p.leaky(z, 0.2) })},
		{Name: "parametric relu", write: func(p *pen) {
			z := p.dense(p.x, "1", 5)
			p.logits(p.sub(p.relu(z), p.along("mul", 0, p.relu(p.neg(z)), p.param("a", 5))))
		}},
		{Name: "learned swish", write: func(p *pen) {
			z := p.dense(p.x, "1", 5)
			p.logits(p.mul(z, p.sigmoid(p.mul(p.param("beta"), z))))
		}},
		{Name: "mish", write: one(func(p *pen, z *node) *node { return p.f("mish", z) })},
		{Name: "elu", write: one(func(p *pen, z *node) *node {
			on := p.do("gt", z, p.number(0))
			return p.add(p.mul(on, z), p.mul(p.sub(p.number(1), on), p.f("expm1", z)))
		})},
		{Name: "half of z plus its magnitude", write: one(func(p *pen, z *node) *node {
			return p.times(0.5, p.add(z, p.f("abs", z)))
		})},
		{Name: "sine", write: one(func(p *pen, z *node) *node { return p.f("sin", z) })},
		{Name: "scaled tanh", write: one(func(p *pen, z *node) *node { return p.times(1.7159, p.tanh(p.times(2./3, z))) })},
		{Name: "maxout", write: func(p *pen) {
			p.logits(p.do("max", p.dense(p.x, "1", 5), p.dense(p.x, "2", 5)))
		}},
	}
}
