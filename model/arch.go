package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vanilla/graph/ir"
)

// MaxWidth is the most units of a layer that an architecture can ask for.
const MaxWidth = ir.MaxWidth

// Widths parses an architecture such as "784-16-16-10": the number of inputs, of each hidden layer's units and of
// outputs; at least two widths, each from 1 to [MaxWidth], in plain decimal. Activations after widths, see
// [ParseArch], are left out. The error says what would be right.
func Widths(arch string) ([]int, error) {
	widths, _, err := ParseArch(arch)
	return widths, err
}

// ParseArch parses an architecture whose hidden layers may have activations of their own, as in
// "784-32relu-16leaky-relu-10". activations is nil if none has, and else holds for each width a name or "". The names
// are small letters, and are not looked up; what is no width belongs to the name before it.
func ParseArch(arch string) (widths []int, activations []string, err error) {
	wrong := func(format string, args ...any) ([]int, []string, error) {
		return nil, nil, fmt.Errorf("arch %.60q: %w", arch, fmt.Errorf(format, args...))
	}
	for field := range strings.SplitSeq(arch, "-") {
		name := strings.TrimLeft(field, "0123456789")
		width, ok := parseWidth(field[:len(field)-len(name)])
		letters := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") == ""
		switch {
		case ok && letters:
			widths = append(widths, width)
			if name != "" || activations != nil {
				activations = append(activations, make([]string, len(widths)-1-len(activations))...)
				activations = append(activations, name)
			}
		case len(name) == len(field) && name != "" && letters && activations != nil && activations[len(widths)-1] != "":
			activations[len(widths)-1] += "-" + name
		default:
			return wrong("expected whole numbers from 1 to %d joined by \"-\", as in 784-16-16-10, found %.20q", MaxWidth, field)
		}
	}
	if len(widths) < 2 {
		return wrong("expected at least two widths (inputs and outputs), as in 784-16-16-10, found one")
	}
	if activations == nil {
		return widths, nil, nil
	}
	for _, end := range []int{0, len(widths) - 1} {
		if activations[end] != "" {
			return wrong("expected activations after the widths of hidden layers only, found %.20q after %d", activations[end], widths[end])
		}
	}
	return widths, activations, nil
}

// JoinArch is the architecture that [ParseArch] takes apart.
func JoinArch(widths []int, activations []string) string {
	parts := make([]string, len(widths))
	for i, w := range widths {
		parts[i] = strconv.Itoa(w)
		if i < len(activations) {
			parts[i] += activations[i]
		}
	}
	return strings.Join(parts, "-")
}

// Describe names a network for people: its architecture, and its activation where hidden layers have it.
func Describe(arch, activation string) string {
	_, own, _ := ParseArch(arch)
	if len(own) > 2 && !slices.Contains(own[1:len(own)-1], "") {
		return arch
	}
	return arch + " " + activation
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
