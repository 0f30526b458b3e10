package sweep

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"vanilla/internal/words"
	"vanilla/model"
	"vanilla/train"
)

// SpaceFields are the fields that a space can give values: layers, the number of
// hidden layers; hidden, the units of each; and those of recipes.
func SpaceFields() []string {
	all := []string{"arch", "layers", "hidden"}
	for _, field := range train.Fields() {
		if !slices.Contains([]string{"arch", "validation", "patience"}, field) {
			all = append(all, field)
		}
	}
	return all
}

// Values are what a field of the space can be.
type Values struct {
	field string
	items []item
}

// item is one value, or a range of numbers.
type item struct {
	text   string // of one value
	ranged bool
	lo, hi float64
	log    bool
	count  int // how many values of the range there are, 0 for all
}

// maxValues bounds the values of one field on a grid.
const maxValues = 1_000_000

// integers and logarithmic are fields whose values are whole numbers, and those
// whose ranges are even on a logarithmic axis if nothing else is said.
var (
	integers    = []string{"layers", "hidden", "batch", "epochs", "step_epochs", "shift"}
	logarithmic = []string{"hidden", "lr", "weight_decay", "batch"}
	names       = []string{"arch", "activation", "loss", "optimizer", "schedule", "init", "block", "norm"}
)

// ParseValues reads what a field can be: values and ranges joined by commas, each
// as likely as the others.
//
//	relu,silu      either
//	1..3           1, 2 or 3
//	0.1..1         any number between; of lr, weight_decay, batch and hidden such
//	               that the logarithm is uniform
//	0.1..1:linear  uniform itself; :log where that is not so anyway
//	4..128:log:6   one of six, evenly spaced: what a grid needs of ranges that
//	               are not whole numbers one after another
func ParseValues(field, text string) (Values, error) {
	v := Values{field: field}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		it, problem := parseItem(field, part)
		if problem != "" {
			if part != text {
				problem = fmt.Sprintf("found %.60q: %s", part, problem)
			}
			return Values{}, &train.SettingError{Field: field, Value: text, Problem: problem}
		}
		v.items = append(v.items, it)
	}
	return v, nil
}

// parseItem reads a value or a range, or says what would be right.
func parseItem(field, text string) (it item, problem string) {
	if text == "" {
		return it, "want a value, or several joined by commas"
	}
	low, rest, ranged := strings.Cut(text, "..")
	if slices.Contains(names, field) {
		if ranged {
			return it, "want names joined by commas"
		}
		if known := train.Names(field); known != nil && !slices.Contains(known, text) {
			return it, "want " + words.Or(known)
		}
		return item{text: text}, ""
	}
	whole := slices.Contains(integers, field)
	kind, example := "a number", "0.1..1, or 0.1..1:log:5 for five values"
	if whole {
		kind, example = "a whole number", "8..128, or 8..128:log:5 for five values"
	}
	least, most, bounded := bounds(field)
	outside := func(x float64) bool { return bounded && (x < float64(least) || x > float64(most)) }
	number := func(text string) (float64, bool) {
		x, err := strconv.ParseFloat(text, 64)
		return x, err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) && (!whole || x == math.Trunc(x) && math.Abs(x) <= 1<<53)
	}
	if !ranged {
		x, ok := number(text)
		if !ok {
			return it, fmt.Sprintf("want %s, several joined by commas, or a range as in %s", kind, example)
		}
		if outside(x) {
			return it, outsideProblem(field, least, most)
		}
		return item{text: formatted(x)}, ""
	}
	parts := strings.Split(rest, ":")
	it = item{ranged: true, log: slices.Contains(logarithmic, field)}
	var ok, ok2 bool
	it.lo, ok = number(low)
	it.hi, ok2 = number(parts[0])
	if !ok || !ok2 {
		return it, fmt.Sprintf("want %s on both sides, as in %s", kind, example)
	}
	for i, option := range parts[1:] {
		switch n, err := strconv.Atoi(option); {
		case i == 0 && option == "log":
			it.log = true
		case i == 0 && option == "linear":
			it.log = false
		case err == nil && n >= 2 && n <= maxValues && it.count == 0 && i == len(parts)-2:
			it.count = n
		default:
			return it, fmt.Sprintf("found %.60q after the range: want log or linear, or a number of values from 2 to %d, as in %s", option, maxValues, example)
		}
	}
	switch {
	case it.lo >= it.hi:
		return it, "want the smaller number first, as in " + example
	case outside(it.lo) || outside(it.hi):
		return it, outsideProblem(field, least, most)
	case it.log && it.lo <= 0 && len(parts) > 1 && parts[1] == "log":
		return it, "a logarithmic range is of positive numbers: want them, or :linear"
	case it.log && it.lo <= 0 && !whole:
		return it, "ranges of it are logarithmic: want positive numbers, or :linear"
	}
	it.log = it.log && it.lo > 0
	return it, ""
}

// bounds are those of fields that make architectures.
func bounds(field string) (least, most int, bounded bool) {
	switch field {
	case "layers":
		return 0, maxLayers, true
	case "hidden":
		return 1, model.MaxWidth, true
	}
	return 0, 0, false
}

func outsideProblem(field string, least, most int) string {
	what := "units"
	if field == "layers" {
		what = "hidden layers"
	}
	return fmt.Sprintf("want %d to %d %s", least, most, what)
}

// formatted is a number without digits that say nothing.
func formatted(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// at is the value at part u of the range, 0..1, to three digits or a whole
// number.
func (it *item) at(u float64, whole bool) string {
	x := it.lo + u*(it.hi-it.lo)
	if it.log {
		x = it.lo * math.Exp(u*math.Log(it.hi/it.lo))
	}
	if whole {
		x = math.Round(x)
	} else {
		x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64)
	}
	return formatted(min(max(x, it.lo), it.hi))
}

// draw is a value at random.
func (v *Values) draw(r *random) string {
	it := &v.items[r.below(len(v.items))]
	if !it.ranged {
		return it.text
	}
	return it.part(r.float(), v.whole())
}

// whole says whether values are whole numbers.
func (v *Values) whole() bool { return slices.Contains(integers, v.field) }

// part is the value of a range at u, 0 to below 1, such that equal parts of u go to
// values that are drawn equally often.
func (it *item) part(u float64, whole bool) string {
	switch {
	case it.count > 0:
		return it.at(math.Floor(u*float64(it.count))/float64(it.count-1), whole)
	case whole:
		wide := it.widened()
		x, _ := strconv.ParseFloat(wide.at(u, true), 64)
		return formatted(min(max(x, it.lo), it.hi))
	}
	return it.at(u, false)
}

// widened is a range of whole numbers of which each gets half a unit on either side.
func (it *item) widened() item {
	wide := *it
	wide.lo, wide.hi = it.lo-0.5, it.hi+0.5
	return wide
}

// locate is the parts of a range, from and up to, or of a single value, that go to a
// value, a few digits apart if any number does. ok says whether it is one of the item's.
func (it *item) locate(text string, whole bool) (from, to float64, ok bool) {
	if !it.ranged {
		return 0, 1, text == it.text
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || x < it.lo || x > it.hi {
		return 0, 0, false
	}
	for k := range it.count {
		from, to := float64(k)/float64(it.count), float64(k+1)/float64(it.count)
		if it.part((from+to)/2, whole) == text {
			return from, to, true
		}
	}
	if it.count > 0 {
		return 0, 0, false
	}
	on, half := *it, 0.
	if whole {
		on, half = it.widened(), 0.5
	}
	at := func(x float64) float64 {
		if on.log {
			return math.Log(x/on.lo) / math.Log(on.hi/on.lo)
		}
		return (x - on.lo) / (on.hi - on.lo)
	}
	return at(x - half), at(x + half), true
}

// grid lists all values.
func (v *Values) grid() ([]string, error) {
	whole := v.whole()
	var values []string
	for i := range v.items {
		it := &v.items[i]
		n := it.count
		switch {
		case !it.ranged:
			values = append(values, it.text)
			continue
		case n == 0 && whole && it.hi-it.lo < maxValues:
			for x := it.lo; x <= it.hi; x++ {
				values = append(values, formatted(x))
			}
			continue
		case n == 0:
			return nil, &train.SettingError{Field: v.field, Value: formatted(it.lo) + ".." + formatted(it.hi),
				Problem: fmt.Sprintf("a grid needs a number of values after the range, as in %s..%s:5", formatted(it.lo), formatted(it.hi))}
		}
		for k := range n {
			values = append(values, it.at(float64(k)/float64(n-1), whole))
		}
	}
	// Ranges may meet, and whole numbers may be fewer than were asked for.
	seen := map[string]bool{}
	return slices.DeleteFunc(values, func(text string) bool {
		twice := seen[text]
		seen[text] = true
		return twice
	}), nil
}

// random is a generator whose numbers are the same on every machine and under
// every Go release (splitmix64: Steele, Lea and Flood, 2014).
type random struct{ state uint64 }

// newRandom is the generator of draw number n of a seed.
func newRandom(seed, n uint64) *random {
	r := &random{seed}
	r.state = r.next() + n*0x9e3779b97f4a7c15
	r.state = r.next()
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// float is uniform in [0, 1), below in 0..n-1.
func (r *random) float() float64  { return float64(r.next()>>11) / (1 << 53) }
func (r *random) below(n int) int { return int(r.float() * float64(n)) }
