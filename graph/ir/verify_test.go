package ir_test

import (
	"math"
	"strings"
	"testing"

	"vanilla/graph/ir"
)

// TestVerifyRejects breaks one rule at a time in a valid program.
func TestVerifyRejects(t *testing.T) {
	rows := func(n int) ir.Shape { return ir.Shape{Rows: ir.Batch, Cols: n} }
	matrix := func(n, m int) ir.Shape { return ir.Shape{Rows: n, Cols: m} }
	scalar := matrix(1, 1)
	value := func(p *ir.Program, name string, s ir.Shape) ir.ID {
		p.Values = append(p.Values, ir.Value{Name: name, Shape: s})
		return ir.ID(len(p.Values) - 1)
	}
	shape := func(id ir.ID, s ir.Shape) func(*ir.Program) {
		return func(p *ir.Program) { p.Values[id].Shape = s }
	}
	for _, c := range []struct {
		name, want string
		change     func(p *ir.Program)
	}{
		// Values.
		{"value without a name", `value 4 is called "": names must be unique`, func(p *ir.Program) { p.Values[w2].Name = "" }},
		{"two values with one name", `value 4 is called "W1": names must be unique`, func(p *ir.Program) { p.Values[w2].Name = "W1" }},
		{"no columns", "value W2 has extent 3 x 0", shape(w2, matrix(3, 0))},
		{"no rows", "value W2 has extent 0 x 3", shape(w2, matrix(0, 3))},
		{"negative rows", "value W2 has extent -2 x 3", shape(w2, matrix(-2, 3))},
		{"input unknown", "the input is value 25 of 25", func(p *ir.Program) { p.Input = 25 }},
		{"target unknown", "the target is value -1 of 25", func(p *ir.Program) { p.Target = -1 }},
		{"output unknown", "the output is value 25 of 25", func(p *ir.Program) { p.Output = 25 }},
		{"loss unknown", "the loss is value 99 of 25", func(p *ir.Program) { p.Loss = 99 }},
		{"x without a row per example", "x is x[7,2] and y is y[B,2]", shape(x, matrix(7, 2))},
		{"y without a row per example", "x is x[B,2] and y is y[7,2]", shape(y, matrix(7, 2))},
		{"x is y", "x and y are both x", func(p *ir.Program) { p.Target = x }},

		// Operations.
		{"negative number of forward operations", "-1 forward operations of 18", func(p *ir.Program) { p.Forward = -1 }},
		{"more forward operations than there are", "19 forward operations of 18", func(p *ir.Program) { p.Forward = 19 }},
		{"parameter unknown", "a parameter is value 25 of 25", func(p *ir.Program) { p.Params[1].Value = 25 }},
		{"parameter listed twice", "parameter W1 is listed twice", func(p *ir.Program) { p.Params[1].Value = w1 }},
		{"parameter is the input", "parameter x is listed twice or is an input", func(p *ir.Program) { p.Params[1].Value = x }},
		{"code zero", "operation 1 unknown: code 0", func(p *ir.Program) { p.Ops[opAct].Code = 0 }},
		{"code too large", "operation 1 unknown: code 28", func(p *ir.Program) { p.Ops[opAct].Code = ir.MaxPoolGrad + 1 }},
		{"too few operands", "operation 3 add: 1 operands, want 2 to 2", func(p *ir.Program) { p.Ops[opAdd].Args = p.Ops[opAdd].Args[:1] }},
		{"too many operands", "operation 0 dense: 4 operands, want 2 to 3", func(p *ir.Program) { p.Ops[opDense].Args = append(p.Ops[opDense].Args, b1) }},
		{"gradient among the forward operations", "operation 7 dxent: a gradient among the 8 forward", func(p *ir.Program) { p.Forward++ }},
		{"operand unknown", "operation 1 act: operand 25 of 25 values", func(p *ir.Program) { p.Ops[opAct].Args[0] = 25 }},
		{"operand read too early", "operation 1 act: z2 is read before", func(p *ir.Program) { p.Ops[opAct].Args[0] = z2 }},
		{"operand read by its own operation", "operation 1 act: h1 is read before", func(p *ir.Program) { p.Ops[opAct].Args[0] = h1 }},
		{"result unknown", "operation 1 act: result -1 of 25 values", func(p *ir.Program) { p.Ops[opAct].Out = -1 }},
		{"result written twice", "operation 1 act: z1 is written a second time", func(p *ir.Program) { p.Ops[opAct].Out = z1 }},
		{"parameter overwritten", "operation 1 act: W1 is written a second time", func(p *ir.Program) { p.Ops[opAct].Out = w1 }},
		{"input overwritten", "operation 1 act: x is written a second time", func(p *ir.Program) { p.Ops[opAct].Out = x }},
		{"activation zero", "operation 1 act: activation 0 is unknown", func(p *ir.Program) { p.Ops[opAct].Act = 0 }},
		{"activation of a gradient", "operation 14 dact: activation 200 is unknown", func(p *ir.Program) { p.Ops[14].Act = 200 }},
		{"scale NaN", "operation 5 xent: scale NaN", func(p *ir.Program) { p.Ops[opXent].Scale = math.NaN() }},
		{"scale infinite", "operation 5 xent: scale -Inf", func(p *ir.Program) { p.Ops[opXent].Scale = math.Inf(-1) }},

		// The target.
		{"target as a layer's input", "operation 0 dense: operand 0 is y: the target is read by losses", func(p *ir.Program) { p.Ops[opDense].Args[0] = y }},
		{"target as an output", "operation 5 xent: operand 0 is y: the target is read by losses", func(p *ir.Program) { p.Ops[opXent].Args[0] = y }},
		{"loss without the target", "operation 5 xent: operand 1 is z3: the target is read by losses", func(p *ir.Program) { p.Ops[opXent].Args[1] = z3 }},
		{"loss gradient without the target", "operation 7 dxent: operand 1 is z3: the target is read", func(p *ir.Program) { p.Ops[forward].Args[1] = z3 }},
		{"quadratic cost without the target", "operation 5 quad: operand 1 is z3: the target is read", func(p *ir.Program) { quadratic(p).Ops[opXent].Args[1] = z3 }},
		{"its gradient without the target", "operation 7 dquad: operand 1 is z3: the target is read", func(p *ir.Program) { quadratic(p).Ops[forward].Args[1] = z3 }},

		// Shapes, operation by operation.
		{"dense: input", "operation 0 dense: x has shape [-1 4], want [-1 2]", shape(x, rows(4))},
		{"dense: weights per example", "operation 2 dense: z2 has shape [-1 3], want [-1 -1]", shape(w2, rows(3))},
		{"dense: bias", "operation 0 dense: b1 has shape [3 1], want [1 3]", shape(b1, matrix(3, 1))},
		{"dense: result", "operation 0 dense: z1 has shape [-1 4], want [-1 3]", shape(z1, rows(4))},
		{"act", "operation 1 act: z1 has shape [-1 3], want [-1 4]", shape(h1, rows(4))},
		{"act: a parameter", "operation 1 act: W1 has shape [3 2], want [-1 3]", func(p *ir.Program) { p.Ops[opAct].Args[0] = w1 }},
		{"add: left", "operation 3 add: z1 has shape [-1 5], want [-1 3]", func(p *ir.Program) {
			p.Ops[opAdd].Args[0] = z1
			p.Values[z1].Shape, p.Values[h1].Shape = rows(5), rows(5)
			p.Values[w1].Shape, p.Values[b1].Shape, p.Values[w2].Shape = matrix(5, 2), matrix(1, 5), matrix(3, 5)
		}},
		{"add: right", "operation 3 add: x has shape [-1 2], want [-1 3]", func(p *ir.Program) { p.Ops[opAdd].Args[1] = x }},
		{"xent: output", "operation 5 xent: sum has shape [-1 3], want [-1 2]", func(p *ir.Program) { p.Ops[opXent].Args[0] = sum }},
		{"xent: result", "operation 5 xent: data has shape [1 2], want [1 1]", shape(data, matrix(1, 2))},
		{"quad: output", "operation 5 quad: sum has shape [-1 3], want [-1 2]", func(p *ir.Program) { quadratic(p).Ops[opXent].Args[0] = sum }},
		{"l2: loss", "operation 6 l2: b1 has shape [1 3], want [1 1]", func(p *ir.Program) { p.Ops[opL2].Args[0] = b1 }},
		{"l2: result", "operation 6 l2: loss has shape [2 1], want [1 1]", shape(loss, matrix(2, 1))},
		{"l2: not a parameter", "operation 6 l2: data is not a parameter", func(p *ir.Program) { p.Ops[opL2].Args[1] = data }},
		{"l2: values per example", "operation 6 l2: sum[B,3] is not a parameter", func(p *ir.Program) { p.Ops[opL2].Args[1] = sum }},
		{"dxent: output", "operation 7 dxent: sum has shape [-1 3], want [-1 2]", func(p *ir.Program) { p.Ops[forward].Args[0] = sum }},
		{"dxent: result", "operation 7 dxent: z3 has shape [-1 2], want [-1 3]", shape(dz3, rows(3))},
		{"dquad: result", "operation 7 dquad: z3 has shape [-1 2], want [-1 3]", func(p *ir.Program) { quadratic(p).Values[dz3].Shape = rows(3) }},
		{"dbias: result", "operation 8 dbias: db3 has shape [-1 2], want [1 2]", shape(db3, rows(2))},
		{"dbias: operand", "operation 8 dbias: W3 has shape [2 3], want [-1 3]", func(p *ir.Program) { p.Ops[8].Args[0] = w3 }},
		{"dweight: result", "operation 9 dweight: dW3 has shape [3 2], want [2 3]", shape(dw3, matrix(3, 2))},
		{"dweight: operand", "operation 9 dweight: W3 has shape [2 3], want [-1 3]", func(p *ir.Program) { p.Ops[9].Args[1] = w3 }},
		{"dinput: operand", "operation 10 dinput: dz3 has shape [-1 2], want [-1 3]", func(p *ir.Program) { p.Ops[10].Args[1] = w2 }},
		{"dinput: result", "operation 10 dinput: dsum has shape [-1 2], want [-1 3]", shape(dsum, rows(2))},
		{"dact: gradient", "operation 14 dact: dz3 has shape [-1 2], want [-1 3]", func(p *ir.Program) { p.Ops[14].Args[0] = dz3 }},
		{"dact: argument", "operation 14 dact: z3 has shape [-1 2], want [-1 3]", func(p *ir.Program) { p.Ops[14].Args[1] = z3 }},

		// The loss.
		{"no data loss", "0 losses are computed", func(p *ir.Program) {
			p.Ops[opXent] = ir.Op{Code: ir.Add, Out: data, Args: []ir.ID{x, x}}
			p.Values[data].Shape = rows(2)
			p.Ops[opL2] = ir.Op{Code: ir.Act, Out: loss, Args: []ir.ID{data}, Act: ir.Tanh}
			p.Values[loss].Shape = rows(2)
		}},
		{"two data losses", "2 losses are computed", func(p *ir.Program) {
			p.Ops[opL2] = ir.Op{Code: ir.Quad, Out: loss, Args: []ir.ID{z3, y}}
		}},
		{"loss is no loss", "the loss z3 is not an Xent or Quad", func(p *ir.Program) { p.Loss = z3 }},
		{"loss is given", "the loss x is not an Xent or Quad", func(p *ir.Program) { p.Loss = x }},
		{"loss is a sum", "the loss loss is not an Xent or Quad", func(p *ir.Program) {
			p.Ops[opL2] = ir.Op{Code: ir.Add, Out: loss, Args: []ir.ID{data, data}}
		}},
		{"penalty outside the loss", "1 penalties are not part of the loss data", func(p *ir.Program) { p.Loss = data }},

		// Results.
		{"output is given", "x is not computed by the 7 forward", func(p *ir.Program) { p.Output = x }},
		{"output is a gradient", "dz3 is not computed by the 7 forward", func(p *ir.Program) { p.Output = dz3 }},
		{"loss is computed too late", "loss is not computed by the 6 forward", func(p *ir.Program) { p.Forward-- }},
		{"output has another width", "the output has shape [B,3], the target [B,2]", func(p *ir.Program) { p.Output = sum }},
		{"no parameters", "no parameters", func(p *ir.Program) {
			p.Params = nil
			p.Ops = []ir.Op{
				{Code: ir.Act, Out: z3, Args: []ir.ID{x}, Act: ir.Tanh},
				{Code: ir.Xent, Out: loss, Args: []ir.ID{z3, y}},
			}
			p.Forward = 2
		}},
		{"gradient unknown", "the gradient of b1 is value 25 of 25", func(p *ir.Program) { p.Params[1].Grad = 25 }},
		{"gradient of another shape", "parameter b1[3] has the gradient db3[2]", func(p *ir.Program) { p.Params[1].Grad = db3 }},
		{"parameter per example", "parameter more[B,2] has the gradient dz3[B,2]", func(p *ir.Program) {
			p.Params = append(p.Params, ir.Param{Value: value(p, "more", rows(2)), Grad: dz3})
		}},
		{"gradient not computed", "b1, the gradient of b1, is not computed after", func(p *ir.Program) { p.Params[1].Grad = b1 }},
		{"gradient among the forward results", "data, the gradient of more, is not computed after", func(p *ir.Program) {
			p.Params = append(p.Params, ir.Param{Value: value(p, "more", scalar), Grad: data})
		}},

		// Nothing is left over.
		{"unused result", "operation 18 act: nothing uses more", func(p *ir.Program) {
			p.Ops = append(p.Ops, ir.Op{Code: ir.Act, Out: value(p, "more", rows(2)), Args: []ir.ID{x}, Act: ir.Tanh})
		}},
		{"unused value", "more is neither given nor computed", func(p *ir.Program) { value(p, "more", rows(2)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := skipProgram()
			c.change(p)
			err := p.Verify()
			if err == nil {
				t.Fatal("accepted")
			}
			want := `program "2-3-3-2 with a skip connection": ` + c.want
			if !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v\nwant %s...", err, want)
			}
		})
	}
}
