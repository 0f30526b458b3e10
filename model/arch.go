package model

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxWidth is the most units of a layer that an architecture can ask for.
const MaxWidth = 65536

// Widths parses an architecture such as "784-16-16-10": the number of inputs, of each hidden layer's units and of
// outputs; at least two widths, each from 1 to [MaxWidth], in plain decimal. The error says what would be right.
func Widths(arch string) ([]int, error) {
	var widths []int
	for field := range strings.SplitSeq(arch, "-") {
		width, ok := parseWidth(field)
		if !ok {
			return nil, fmt.Errorf("arch %.60q: expected whole numbers from 1 to %d joined by \"-\", as in 784-16-16-10, found %.20q",
				arch, MaxWidth, field)
		}
		widths = append(widths, width)
	}
	if len(widths) < 2 {
		return nil, fmt.Errorf("arch %.60q: expected at least two widths (inputs and outputs), as in 784-16-16-10, found one", arch)
	}
	return widths, nil
}

// parseWidth takes a number from 1 to MaxWidth only as strconv.Itoa writes it ("016" and "+16" are not), so that equal
// architectures are equal strings.
func parseWidth(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= MaxWidth && strconv.Itoa(n) == s
}

// chainLen is the number of parameters of a chain: weight and bias of each layer.
func chainLen(widths []int) int { return 2 * (len(widths) - 1) }

// chainParam gives the name and shape of parameter i of a chain.
func chainParam(widths []int, i int) (name string, shape []int) {
	in, out := widths[i/2], widths[i/2+1]
	if i%2 == 0 {
		return chainName(i), []int{out, in}
	}
	return chainName(i), []int{out}
}

// chainName gives the name of parameter i of any chain. In torch.nn.Sequential each activation is a module too, so that
// layer k is module 2k.
func chainName(i int) string {
	if i%2 == 0 {
		return strconv.Itoa(i) + ".weight"
	}
	return strconv.Itoa(i-1) + ".bias"
}
