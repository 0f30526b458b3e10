package ir

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// String lists the program: one line per operation with its result, name,
// meaning and the graph nodes it stands for.
func (p *Program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "; %s: %s parameters, %d operations, %s FLOP per example\n",
		p.Name, thousands(p.Parameters()), len(p.Ops), thousands(p.FLOPs()))
	rows := make([][3]string, len(p.Ops))
	var width [3]int
	for i := range p.Ops {
		op := &p.Ops[i]
		out := p.Values[op.Out]
		rows[i] = [3]string{out.Name + out.Shape.String(), op.Code.String(), p.synopsis(op)}
		for c, cell := range rows[i] {
			width[c] = max(width[c], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range rows {
		if i == p.Forward {
			b.WriteString("; gradients\n")
		}
		line := fmt.Sprintf("%3d ", i)
		for c, cell := range row {
			line += " " + cell + strings.Repeat(" ", width[c]-utf8.RuneCountInString(cell))
			if c == 0 {
				line += " ="
			}
		}
		if nodes := p.Ops[i].Nodes; len(nodes) > 0 {
			line += "  ; nodes " + ranges(nodes)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// synopsis is the operation's meaning with its operands' names filled in.
func (p *Program) synopsis(op *Op) string {
	s, _ := op.Code.spec()
	text := s.synopsis
	if op.Code == Dense && len(op.Args) == 2 {
		text = "%0·%1ᵀ"
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	if op.Code == Add && op.Scale == 1 {
		text = "%0 + %1"
	}
	pairs := []string{"%f", op.Act.String(), "%s", number(op.Scale), "%d", number(2 * op.Scale)}
	for i, a := range op.Args {
		pairs = append(pairs, "%"+strconv.Itoa(i), p.Values[a].Name)
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

// thousands prints 13002 as 13,002.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
