package graph

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteDOT writes the live expression graph for Graphviz: a box for each
// operation of the program around the nodes it stands for, inputs above,
// gradients below. Extents of the batch are printed as B.
func (n *Network) WriteDOT(w io.Writer) error {
	p := n.Program
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "digraph %s {\n", strconv.Quote(p.Name))
	out.WriteString("\tgraph [fontname=\"Helvetica\", fontsize=11, color=gray60, labeljust=l];\n")
	out.WriteString("\tnode [fontname=\"Helvetica\", fontsize=10, shape=box, style=\"rounded,filled\", fillcolor=white];\n")
	owner := map[int64]bool{}
	byID := map[int64]*node{}
	for _, m := range n.nodes {
		byID[m.id] = m
	}
	for i, op := range p.Ops {
		fill := "#eaf2fb"
		if i >= p.Forward {
			fill = "#fdf0e6"
		}
		fmt.Fprintf(out, "\tsubgraph cluster_%d {\n\t\tlabel=%s; style=filled; fillcolor=%q;\n",
			i, strconv.Quote(fmt.Sprintf("%d %s = %s", i, p.Value(op.Out).Name, op.Code)), fill)
		for _, id := range op.Nodes {
			if owner[id] { // several tensor operations may stand for a node
				continue
			}
			owner[id] = true
			fmt.Fprintf(out, "\t\tn%d [label=%s];\n", id, strconv.Quote(n.label(byID[id])))
		}
		out.WriteString("\t}\n")
	}
	for _, m := range n.nodes {
		if !owner[m.id] {
			fmt.Fprintf(out, "\tn%d [label=%s, shape=ellipse, fillcolor=gray95];\n", m.id, strconv.Quote(n.label(m)))
		}
	}
	for _, m := range n.nodes {
		for k, a := range m.args {
			fmt.Fprintf(out, "\tn%d -> n%d", a.id, m.id)
			if len(m.args) > 1 {
				fmt.Fprintf(out, " [headlabel=%d, fontsize=8]", k)
			}
			out.WriteString(";\n")
		}
	}
	out.WriteString("}\n")
	return out.Flush()
}

// label is a node's operation or name, and its shape.
func (n *Network) label(m *node) string {
	what := m.op
	switch {
	case m.op == "":
		what = m.name
	case m.number:
		return strconv.FormatFloat(m.value, 'g', 6, 64)
	case m.op == fmt.Sprintf("SizeOf=%d", n.batch):
		return "batch size"
	case strings.HasPrefix(m.op, "Reshape("): // Gorgonia prints the batch as the number it was
		what = "reshape"
	}
	what = strings.TrimSuffix(strings.TrimSuffix(what, " false"), " true")
	var dims []string
	for _, d := range m.shape {
		if d == n.batch {
			dims = append(dims, "B")
		} else {
			dims = append(dims, strconv.Itoa(d))
		}
	}
	if len(dims) == 0 {
		return what
	}
	return fmt.Sprintf("%s\n[%s]", what, strings.Join(dims, ","))
}
