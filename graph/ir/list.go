package ir

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"vanilla/internal/words"
)

// String lists the program as [Parse] reads it: what is given, then one line for
// each operation, then what is asked for. After a semicolon stands what the line
// means and which of the graph's nodes it stands for; Parse does not read that.
func (p *Program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "; %s parameters, %d operations, %s FLOP per example\n", words.Thousands(p.Parameters()), len(p.Ops), words.Thousands(p.FLOPs()))
	fmt.Fprintf(&b, "program %s\n", strconv.Quote(p.Name))
	declared := func(id ID) string { return quoted(p.Values[id].Name) + p.Values[id].Shape.String() }
	fmt.Fprintf(&b, "input %s\ntarget %s\n", declared(p.Input), declared(p.Target))
	for _, q := range p.Params {
		fmt.Fprintf(&b, "param %s grad %s", declared(q.Value), quoted(p.Values[q.Grad].Name))
		if q.Bias && q.Start != 0 {
			fmt.Fprintf(&b, " bias=%s", exact(q.Start))
		} else if q.Bias {
			b.WriteString(" bias")
		}
		b.WriteString("\n")
	}
	rows := make([][3]string, len(p.Ops))
	var width [3]int
	for i := range p.Ops {
		op := &p.Ops[i]
		rows[i] = [3]string{declared(op.Out), p.operation(op), p.synopsis(op)}
		for c, cell := range rows[i] {
			if n := utf8.RuneCountInString(cell); n <= columnLimit {
				width[c] = max(width[c], n)
			}
		}
	}
	pad := func(cell string, c int) string {
		return cell + strings.Repeat(" ", max(0, width[c]-utf8.RuneCountInString(cell)))
	}
	for i, row := range rows {
		switch {
		case i == 0:
			b.WriteString("forward\n")
		case i == p.Forward:
			b.WriteString("gradients\n")
		}
		line := fmt.Sprintf("%3d  %s = %s  ; %s", i, pad(row[0], 0), pad(row[1], 1), pad(row[2], 2))
		if nodes := p.Ops[i].Nodes; len(nodes) > 0 {
			line += "  nodes " + ranges(nodes)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprintf(&b, "output %s\nloss %s\n", quoted(p.Values[p.Output].Name), quoted(p.Values[p.Loss].Name))
	return b.String()
}

// columnLimit keeps a long cell, a tensor of constants, from widening its column.
const columnLimit = 60

var bare = regexp.MustCompile(`^[\pL_][\pL\pN_.′]*$`)

// quoted is a name as listings have it.
func quoted(name string) string {
	if bare.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

func exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// operation is an operation with its operands, as Parse reads it.
func (p *Program) operation(op *Op) string {
	s := &specs[op.Code]
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	add("%s", s.name)
	switch {
	case s.act:
		add("%s", op.Act)
	case s.fn:
		add("%s", op.Fn)
	}
	for _, a := range op.Args {
		add("%s", quoted(p.Values[a].Name))
	}
	if s.scale && op.Scale != 1 {
		add("scale=%s", exact(op.Scale))
	}
	if s.trans && op.TransA {
		add("transposed=a")
	}
	if s.trans && op.TransB {
		add("transposed=b")
	}
	if s.axes {
		add("axes=%s", joined(op.Axes, strconv.Itoa))
	}
	if s.ints {
		add("ints=%s", joined(op.Ints, Extent.String))
	}
	switch {
	case s.value && op.Data != nil:
		add("data=%s", joined(op.Data, exact))
	case s.value:
		add("value=%s", op.Value)
	}
	if s.draw {
		add("draw=%s", joined(op.Draw[:], exact))
	}
	return strings.Join(parts, " ")
}

func joined[T any](all []T, text func(T) string) string {
	parts := make([]string, len(all))
	for i, x := range all {
		parts[i] = text(x)
	}
	return strings.Join(parts, ",")
}

// String is "2", "3B", "1/B" or a sum of such.
func (n Number) String() string {
	var parts []string
	if n.Fixed != 0 || n == (Number{}) {
		parts = append(parts, exact(n.Fixed))
	}
	if n.PerBatch != 0 {
		parts = append(parts, exact(n.PerBatch)+"B")
	}
	if n.OverBatch != 0 {
		parts = append(parts, exact(n.OverBatch)+"/B")
	}
	return strings.Join(parts, "|")
}

// infix are the functions of two operands that are written between them.
var infix = map[Fn]string{FnAdd: "+", FnSub: "−", FnMul: "⊙", FnDiv: "÷", FnPow: "^", FnGt: ">", FnGe: "≥", FnLt: "<", FnLe: "≤", FnEq: "=", FnNe: "≠"}

// synopsis is the operation's meaning with its operands' names filled in.
func (p *Program) synopsis(op *Op) string {
	text := specs[op.Code].synopsis
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	var names []string
	for _, a := range op.Args {
		names = append(names, quoted(p.Values[a].Name))
	}
	switch {
	case op.Code == Dense && len(op.Args) == 2:
		text = "%0·%1ᵀ"
	case op.Code == Add && op.Scale == 1:
		text = "%0 + %1"
	case op.Code == Map && infix[op.Fn] != "":
		text = "%0 " + infix[op.Fn] + " %1"
	case op.Code == MatMul && op.TransA && op.TransB:
		text = "%0ᵀ·%1ᵀ"
	case op.Code == MatMul && op.TransA:
		text = "%0ᵀ·%1"
	case op.Code == MatMul && op.TransB:
		text = "%0·%1ᵀ"
	}
	value := op.Value.String()
	if op.Data != nil {
		value = fmt.Sprintf("%d numbers", len(op.Data))
	}
	pairs := []string{"%f", op.Act.String(), "%s", number(op.Scale), "%d", number(2 * op.Scale), "%n", string(op.Fn), "%*", strings.Join(names, ", "),
		"%a", joined(op.Axes, strconv.Itoa), "%i", joined(op.Ints, Extent.String), "%v", value, "%r", joined(op.Draw[:], number)}
	for i, name := range names {
		pairs = append(pairs, "%"+strconv.Itoa(i), name)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// ranges prints ascending numbers with runs folded: 2-4 7.
func ranges(n []int64) string {
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if j == i {
			parts = append(parts, strconv.FormatInt(n[i], 10))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", n[i], n[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, " ")
}
