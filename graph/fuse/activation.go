package fuse

import "vanilla/graph/ir"

// activation is an activation's value and slope as forms. They are those of
// package ir, which a test confirms.
type activation struct {
	act ir.Activation
	// atom is the kind of an atom that the value has, whatever z is.
	atom         string
	value, slope func(a *algebra, z form) form
}

func sigmoidSlope(a *algebra, z form) form {
	s := a.apply(ir.FnSigmoid, z)
	return sum(s, a.mul(s, s), -1)
}

// The constants of package ir's GELU and leaky ReLU.
const (
	leak  = 0.01
	gelu0 = 0.7978845608028654
	gelu1 = 0.044715
)

func geluTanh(a *algebra, z form) form {
	return a.apply(ir.FnTanh, scale(sum(z, a.apply(ir.FnCube, z), gelu1), gelu0))
}

var activations = []activation{
	{ir.Identity, "",
		func(_ *algebra, z form) form { return z },
		func(*algebra, form) form { return number(1) }},
	{ir.Sigmoid, "sigmoid",
		func(a *algebra, z form) form { return a.apply(ir.FnSigmoid, z) },
		sigmoidSlope},
	{ir.Tanh, "sigmoid",
		func(a *algebra, z form) form { return a.apply(ir.FnTanh, z) },
		func(a *algebra, z form) form {
			t := a.apply(ir.FnTanh, z)
			return sum(number(1), a.mul(t, t), -1)
		}},
	{ir.ReLU, "stepgt",
		func(a *algebra, z form) form { return a.mul(z, a.step(ir.FnGt, z)) },
		func(a *algebra, z form) form { return a.step(ir.FnGt, z) }},
	{ir.Rectify, "stepge",
		func(a *algebra, z form) form { return a.mul(z, a.step(ir.FnGe, z)) },
		func(a *algebra, z form) form { return a.step(ir.FnGe, z) }},
	{ir.LeakyReLU, "stepgt",
		func(a *algebra, z form) form { return sum(scale(z, leak), a.mul(z, a.step(ir.FnGt, z)), 1-leak) },
		func(a *algebra, z form) form { return sum(number(leak), a.step(ir.FnGt, z), 1-leak) }},
	{ir.Softplus, "softplus",
		func(a *algebra, z form) form { return a.apply(ir.FnSoftplus, z) },
		func(a *algebra, z form) form { return a.apply(ir.FnSigmoid, z) }},
	{ir.SiLU, "sigmoid",
		func(a *algebra, z form) form { return a.mul(z, a.apply(ir.FnSigmoid, z)) },
		func(a *algebra, z form) form {
			return sum(a.apply(ir.FnSigmoid, z), a.mul(z, sigmoidSlope(a, z)), 1)
		}},
	{ir.GELUTanh, "sigmoid",
		func(a *algebra, z form) form { return scale(a.mul(z, sum(number(1), geluTanh(a, z), 1)), 0.5) },
		func(a *algebra, z form) form {
			t := geluTanh(a, z)
			inner := scale(sum(number(1), a.mul(z, z), 3*gelu1), gelu0)
			curve := a.mul(z, a.mul(sum(number(1), a.mul(t, t), -1), inner))
			return sum(scale(sum(number(1), t, 1), 0.5), curve, 0.5)
		}},
	{ir.Softsign, "",
		func(a *algebra, z form) form { return a.mul(z, a.inverse(sum(number(1), a.apply(ir.FnAbs, z), 1))) },
		func(a *algebra, z form) form {
			i := a.inverse(sum(number(1), a.apply(ir.FnAbs, z), 1))
			return sum(i, a.mul(a.mul(z, a.apply(ir.FnSign, z)), a.mul(i, i)), -1)
		}},
}
