package fuse

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"vanilla/graph/ir"
)

// A form is the normal form of a value: a sum of products of atoms, in index
// notation, where an atom says which axes of the value it depends on. What is
// repeated along an axis does not depend on it, so reshapes by extents of one and
// repeats vanish. Two values with one form are equal in exact arithmetic, where
// nothing divides by zero. Nothing is tried on numbers.
type form map[string]term // by the key of its factors

// term is coef times the product of its factors.
type term struct {
	coef    float64
	factors []factor // sorted by atom, axes, power
}

// factor is an atom to a power.
type factor struct {
	atom int
	axes []int // of the value, one for each axis of the atom
	pow  float64
}

// Axes that a sum or a maximum binds have numbers that no value's axis has.
const (
	firstBound = 90
	bound1     = 99
	bound2     = 98
)

// atom is what forms are made of: an input, a function of a form, a sum that does
// not come apart, a product of matrices.
type atom struct {
	key      string
	kind     string
	inner    term // of a sum: what is summed
	bound    int  // of a sum: how many axes
	arg      form // of a function
	positive bool // everywhere
	oneHot   bool // its sum along the second axis is one
}

// algebra holds the atoms of one program.
type algebra struct {
	atoms []atom
	byKey map[string]int
	// overflow is true if a form grew too long to be kept.
	overflow bool
}

// longest is how many terms a form may have. Longer ones become atoms.
const longest = 600

// coefficientDigits is how exactly coefficients are compared: graphs hold
// constants in float32.
const coefficientDigits = 6

func (f *factor) append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(f.atom), 10)
	b = append(b, '[')
	for _, x := range f.axes {
		b = strconv.AppendInt(b, int64(x), 10)
		b = append(b, ' ')
	}
	b = append(b, ']', '^')
	return strconv.AppendFloat(b, f.pow, 'g', coefficientDigits, 64)
}

func (f *factor) key() string { return string(f.append(nil)) }

func keyOf(factors []factor) string {
	var buffer [128]byte
	b := buffer[:0]
	for i := range factors {
		b = factors[i].append(b)
	}
	return string(b)
}

func sortFactors(f []factor) {
	if len(f) < 2 {
		return
	}
	slices.SortFunc(f, func(x, y factor) int {
		if x.atom != y.atom {
			return cmp.Compare(x.atom, y.atom)
		}
		if c := slices.Compare(x.axes, y.axes); c != 0 {
			return c
		}
		return cmp.Compare(x.pow, y.pow)
	})
}

// number is a form without atoms.
func number(c float64) form {
	if c == 0 {
		return form{}
	}
	return form{"": {coef: c}}
}

func (p form) keys() []string {
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (p form) key() string {
	var b []byte
	for _, k := range p.keys() {
		b = strconv.AppendFloat(b, p[k].coef, 'g', coefficientDigits, 64)
		b = append(b, '*')
		b = append(b, k...)
		b = append(b, ';')
	}
	return string(b)
}

// put adds a term to a form.
func (p form) put(m term) { p.putAt(keyOf(m.factors), m) }

func (p form) putAt(key string, m term) {
	c := p[key].coef + m.coef
	if c == 0 || math.Abs(c) < 1e-12*math.Abs(m.coef) {
		delete(p, key)
		return
	}
	p[key] = term{c, m.factors}
}

// sum is p + s·q.
func sum(p, q form, s float64) form {
	out := make(form, len(p)+len(q))
	maps.Copy(out, p)
	for k, m := range q {
		out.putAt(k, term{s * m.coef, m.factors})
	}
	return out
}

func scale(p form, c float64) form {
	out := make(form, len(p))
	if c == 0 {
		return out
	}
	for k, m := range p {
		out[k] = term{c * m.coef, m.factors}
	}
	return out
}

// times multiplies two terms.
func (a *algebra) times(m, n term) term {
	factors := slices.Clone(m.factors)
	for _, f := range n.factors {
		i := slices.IndexFunc(factors, func(g factor) bool { return g.atom == f.atom && slices.Equal(g.axes, f.axes) })
		if i < 0 {
			factors = append(factors, f)
			continue
		}
		factors[i].pow += f.pow
		if strings.HasPrefix(a.atoms[f.atom].kind, "step") && factors[i].pow > 1 {
			factors[i].pow = 1 // zero or one
		}
		if factors[i].pow == 0 {
			factors = slices.Delete(factors, i, i+1)
		}
	}
	sortFactors(factors)
	return term{m.coef * n.coef, factors}
}

// mul multiplies two forms.
func (a *algebra) mul(p, q form) form {
	if len(p)*len(q) > longest {
		if len(p) > len(q) {
			p = a.function("", p)
		} else {
			q = a.function("", q)
		}
		if len(p)*len(q) > longest {
			a.overflow = true
			return form{}
		}
	}
	out := form{}
	for _, k := range p.keys() {
		for _, l := range q.keys() {
			m := a.times(p[k], q[l])
			if i, j := a.logistic(m); i >= 0 {
				for _, n := range a.withoutExponential(m, i, j) {
					out.put(n)
				}
				continue
			}
			out.put(m)
		}
	}
	return out
}

// logistic finds factors σ(u) and e^(-u) in a product.
func (a *algebra) logistic(m term) (sigmoid, exponential int) {
	if !slices.ContainsFunc(m.factors, func(f factor) bool { return a.atoms[f.atom].kind == "exp" }) {
		return -1, -1
	}
	for i, f := range m.factors {
		if a.atoms[f.atom].kind != "sigmoid" || f.pow < 1 {
			continue
		}
		u, ok := only(a.argument(f))
		if !ok {
			continue
		}
		for j, g := range m.factors {
			if a.atoms[g.atom].kind == "exp" {
				if v, ok := only(a.argument(g)); ok && keyOf(u.factors) == keyOf(v.factors) && v.coef*g.pow == -u.coef {
					return i, j
				}
			}
		}
	}
	return -1, -1
}

// withoutExponential writes 1 - σ(u) for the factors i and j of a product, which
// are σ(u) and e^(-u).
func (a *algebra) withoutExponential(m term, i, j int) form {
	rest := term{coef: m.coef}
	for n, f := range m.factors {
		if n == i {
			f.pow--
		}
		if n != j && f.pow != 0 {
			rest.factors = append(rest.factors, f)
		}
	}
	sortFactors(rest.factors)
	s := m.factors[i]
	s.pow = 1
	return a.mul(form{keyOf(rest.factors): rest}, sum(number(1), one(s), -1))
}

// rename maps axes.
func rename(p form, to func(axis int) int) form {
	out := make(form, len(p))
	for _, k := range p.keys() {
		out.put(renameTerm(p[k], to))
	}
	return out
}

func renameTerm(m term, to func(axis int) int) term {
	n := term{coef: m.coef, factors: make([]factor, 0, len(m.factors))}
	for _, f := range m.factors {
		g := factor{f.atom, make([]int, len(f.axes)), f.pow}
		for i, x := range f.axes {
			g.axes[i] = to(x)
		}
		n.factors = append(n.factors, g)
	}
	sortFactors(n.factors)
	return n
}

// axesOf lists the axes that forms depend on.
func axesOf(all ...form) []int {
	var out []int
	for _, p := range all {
		for _, m := range p {
			for _, f := range m.factors {
				for _, x := range f.axes {
					if x < firstBound && !slices.Contains(out, x) {
						out = append(out, x)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for i := 0; i <= len(p); i++ {
			out = append(out, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return out
}

// canonical names the axes of forms 0, 1, … in the order that gives the smallest
// key, and returns the axes in that order.
func canonical(all ...form) (keys string, out []form, axes []int) {
	ax := axesOf(all...)
	for _, perm := range permutations(len(ax)) {
		to := func(x int) int {
			if k := slices.Index(ax, x); k >= 0 {
				return perm[k]
			}
			return x
		}
		var renamed []form
		key := ""
		for _, p := range all {
			q := rename(p, to)
			renamed = append(renamed, q)
			key += q.key() + "|"
		}
		if out == nil || key < keys {
			keys, out = key, renamed
			axes = make([]int, len(ax))
			for k, x := range ax {
				axes[perm[k]] = x
			}
		}
	}
	return keys, out, axes
}

func (a *algebra) intern(at atom) int {
	if i, ok := a.byKey[at.key]; ok {
		return i
	}
	a.atoms = append(a.atoms, at)
	a.byKey[at.key] = len(a.atoms) - 1
	return len(a.atoms) - 1
}

// function is the atom kind(operands…) as a form.
func (a *algebra) function(kind string, operands ...form) form {
	key, canonical, axes := canonical(operands...)
	return one(factor{a.intern(atom{key: kind + "(" + key + ")", kind: kind, arg: canonical[0]}), axes, 1})
}

// input is an atom of its own.
func (a *algebra) input(name string, shape []int) form {
	var axes []int
	for i, d := range shape {
		if d > 1 {
			axes = append(axes, i)
		}
	}
	return one(factor{a.intern(atom{key: name, kind: "input"}), axes, 1})
}

// one is a factor as a form.
func one(f factor) form { return form{f.key(): {1, []factor{f}}} }

// lead is the coefficient of the first term that has factors.
func lead(p form) float64 {
	first := ""
	for k := range p {
		if k != "" && (first == "" || k < first) {
			first = k
		}
	}
	if first == "" {
		return 1
	}
	return p[first].coef
}

// only is a form's single term.
func only(p form) (term, bool) {
	for _, m := range p {
		return m, len(p) == 1
	}
	return term{}, false
}

// argument is what a factor's atom is a function of, in the axes of the factor.
func (a *algebra) argument(f factor) form {
	return rename(a.atoms[f.atom].arg, func(x int) int {
		if x < firstBound {
			return f.axes[x]
		}
		return x
	})
}

// inverse is 1/p.
func (a *algebra) inverse(p form) form {
	if m, ok := only(p); ok {
		n := term{coef: 1 / m.coef}
		for _, f := range m.factors {
			n.factors = append(n.factors, factor{f.atom, f.axes, -f.pow})
		}
		sortFactors(n.factors)
		return form{keyOf(n.factors): n}
	}
	if c, ok := p[""]; ok && len(p) == 2 && c.coef == 1 { // 1/(1 + e^(-u)) is σ(u)
		for k, m := range p {
			if k != "" && m.coef == 1 && a.exponentials(m) {
				return a.apply(ir.FnSigmoid, scale(a.logarithm(m), -1))
			}
		}
	}
	c := lead(p)
	m, _ := only(a.function("", scale(p, 1/c)))
	f := m.factors[0]
	f.pow = -1
	return scale(one(f), 1/c)
}

// exponentials reports whether all factors are such.
func (a *algebra) exponentials(m term) bool {
	return !slices.ContainsFunc(m.factors, func(f factor) bool { return a.atoms[f.atom].kind != "exp" })
}

// logarithm is that of a product of exponentials.
func (a *algebra) logarithm(m term) form {
	out := number(math.Log(m.coef))
	for _, f := range m.factors {
		out = sum(out, a.argument(f), f.pow)
	}
	return out
}

// step is 1 where p > 0, or p >= 0, else 0.
func (a *algebra) step(kind ir.Fn, p form) form {
	if c, constant := value(p); constant {
		return number(kind.Binary()(c, 0))
	}
	return a.function("step"+string(kind), scale(p, 1/math.Abs(lead(p))))
}

// value is the number that a form is.
func value(p form) (float64, bool) {
	if len(p) == 0 {
		return 0, true
	}
	m, ok := only(p)
	return m.coef, ok && len(m.factors) == 0
}

// apply is a function of one operand.
func (a *algebra) apply(f ir.Fn, p form) form {
	if c, constant := value(p); constant {
		return number(f.Unary()(c))
	}
	switch f {
	case ir.FnNeg:
		return scale(p, -1)
	case ir.FnSquare:
		return a.mul(p, p)
	case ir.FnCube:
		return a.mul(p, a.mul(p, p))
	case ir.FnInv:
		return a.inverse(p)
	case ir.FnExp:
		return a.exp(p)
	case ir.FnLn:
		return a.ln(p)
	case ir.FnAbs:
		return sum(scale(a.mul(p, a.step(ir.FnGe, p)), 2), p, -1)
	case ir.FnSign:
		return sum(sum(a.step(ir.FnGt, p), a.step(ir.FnGe, p), 1), number(1), -1)
	case ir.FnTanh: // 2σ(2p) - 1
		return sum(scale(a.apply(ir.FnSigmoid, scale(p, 2)), 2), number(1), -1)
	case ir.FnSigmoid: // of what begins with a positive term
		if lead(p) < 0 {
			return sum(number(1), a.function("sigmoid", scale(p, -1)), -1)
		}
	}
	return a.function(string(f), p)
}

// exp is a product over the terms; e^(c·m) is (e^m)^c, and e^(c·ln s) is s^c.
func (a *algebra) exp(p form) form {
	out := number(1)
	for _, k := range p.keys() {
		m := p[k]
		if k == "" {
			out = scale(out, math.Exp(m.coef))
			continue
		}
		var f factor
		if first := m.factors[0]; len(m.factors) == 1 && first.pow == 1 && a.atoms[first.atom].kind == "ln" {
			s, _ := only(a.argument(first))
			if len(s.factors) == 1 && s.coef == 1 {
				f = s.factors[0]
				f.pow *= m.coef
				out = a.mul(out, one(f))
				continue
			}
		}
		e, _ := only(a.function("exp", form{k: {1, m.factors}}))
		f = e.factors[0]
		a.atoms[f.atom].positive = true
		f.pow = m.coef
		out = a.mul(out, one(f))
	}
	return out
}

// ln undoes exponentials, and splits products of what is positive everywhere.
func (a *algebra) ln(p form) form {
	m, ok := only(p)
	if !ok || m.coef <= 0 || slices.ContainsFunc(m.factors, func(f factor) bool { return !a.atoms[f.atom].positive }) {
		return a.function("ln", p)
	}
	out := number(math.Log(m.coef))
	for _, f := range m.factors {
		if a.atoms[f.atom].kind == "exp" {
			out = sum(out, a.argument(f), f.pow)
			continue
		}
		pow := f.pow
		f.pow = 1
		out = sum(out, a.function("ln", one(f)), pow)
	}
	return out
}

// combine is a function of two operands.
func (a *algebra) combine(f ir.Fn, x, y form) form {
	switch f {
	case ir.FnAdd:
		return sum(x, y, 1)
	case ir.FnSub:
		return sum(x, y, -1)
	case ir.FnMul:
		return a.mul(x, y)
	case ir.FnDiv:
		return a.mul(x, a.inverse(y))
	case ir.FnGe, ir.FnGt:
		return a.step(f, sum(x, y, -1))
	case ir.FnLt:
		return sum(number(1), a.step(ir.FnGe, sum(x, y, -1)), -1)
	case ir.FnLe:
		return sum(number(1), a.step(ir.FnGt, sum(x, y, -1)), -1)
	}
	return a.function(string(f), x, y)
}

// total is the sum along an axis of the given extent. What does not depend on the
// axis is a factor; a row of targets adds up to one.
func (a *algebra) total(p form, axis, extent int) form {
	out := form{}
	for _, k := range p.keys() {
		m := p[k]
		inner, outer := term{coef: 1}, term{coef: m.coef}
		for _, f := range m.factors {
			if slices.Contains(f.axes, axis) {
				inner.factors = append(inner.factors, f)
			} else {
				outer.factors = append(outer.factors, f)
			}
		}
		if len(inner.factors) == 0 {
			outer.coef *= float64(extent)
			out.put(outer)
			continue
		}
		first := inner.factors[0]
		if len(inner.factors) == 1 && first.pow == 1 && a.atoms[first.atom].oneHot && first.axes[1] == axis {
			out.put(outer)
			continue
		}
		bound := 1
		if at := a.atoms[first.atom]; len(inner.factors) == 1 && first.pow == 1 && at.kind == "sum" && at.bound == 1 {
			inner = renameTerm(at.inner, func(x int) int {
				if x < firstBound {
					return first.axes[x]
				}
				return x
			})
			bound = 2
		}
		// Two bound axes may take either name: the smaller key decides.
		named := func(x int) form {
			return rename(form{"": inner}, func(i int) int {
				switch {
				case i == axis:
					return x
				case i == bound1 && bound == 2:
					return bound1 + bound2 - x
				}
				return i
			})
		}
		key, forms, axes := canonical(named(bound1))
		if bound == 2 {
			if other, forms2, axes2 := canonical(named(bound2)); other < key {
				key, forms, axes = other, forms2, axes2
			}
		}
		summed, _ := only(forms[0])
		at := atom{key: "sum" + strconv.Itoa(bound) + "(" + key + ")", kind: "sum", inner: summed, bound: bound}
		at.positive = !slices.ContainsFunc(summed.factors, func(f factor) bool { return !a.atoms[f.atom].positive })
		out.put(a.times(outer, term{1, []factor{{a.intern(at), axes, 1}}}))
	}
	return out
}

// largest is the maximum along an axis.
func (a *algebra) largest(p form, axis int) form {
	return a.function("max", rename(p, func(x int) int {
		if x == axis {
			return bound1
		}
		return x
	}))
}

// product is Σ_k p[i,k]·q[j,k].
func (a *algebra) product(p, q form, extent int) form {
	if extent == 1 {
		return a.mul(p, rename(q, func(x int) int { return x + 1 }))
	}
	if len(p) == 0 || len(q) == 0 {
		return form{}
	}
	cp, cq := lead(p), lead(q)
	p, q = scale(p, 1/cp), scale(q, 1/cq)
	kp, kq := p.key(), q.key()
	var axes []int
	if slices.Contains(axesOf(p), 0) {
		axes = append(axes, 0)
	}
	left := len(axes)
	if slices.Contains(axesOf(q), 0) {
		axes = append(axes, 1)
	}
	if kq < kp {
		kp, kq = kq, kp
		if left == 1 && len(axes) == 2 {
			axes[0], axes[1] = 1, 0
		}
	}
	return scale(one(factor{a.intern(atom{key: "product(" + kp + "|" + kq + ")", kind: "product"}), axes, 1}), cp*cq)
}

// equal compares two forms: the same terms, coefficients equal to so many digits.
func equal(p, q form) bool {
	if len(p) != len(q) {
		return false
	}
	for k, m := range p {
		n, ok := q[k]
		if !ok || math.Abs(m.coef-n.coef) > 1e-6*math.Max(math.Abs(m.coef), math.Abs(n.coef)) {
			return false
		}
	}
	return true
}
