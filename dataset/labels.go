package dataset

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"vanilla/internal/words"
)

const (
	// mostClasses is how many classes a label's byte can tell apart.
	mostClasses = 256
	// longestName is how many bytes a class's name may have.
	longestName = 100
)

// labels are the different labels that a set has, in the order in which they were found: images refer to them by their
// index.
type labels struct {
	texts   []string
	indices map[string]int32
	byByte  [256]int32 // 1 + the index of small numbers, 0 if there is none yet
	// only says that there are no other classes than these, as where they are folders. Otherwise labels are numbers or names,
	// and the numbers between them are classes too.
	only bool
	// names are what numbers stand for, if a file says so.
	names map[int]string
}

func newLabels() *labels { return &labels{indices: map[string]int32{}} }

// number is the index of a label that is a number.
func (l *labels) number(n int) (int32, error) {
	small := n >= 0 && n < len(l.byByte)
	if small && l.byByte[n] != 0 {
		return l.byByte[n] - 1, nil
	}
	i, err := l.text(strconv.Itoa(n))
	if small {
		l.byByte[n] = i + 1
	}
	return i, err
}

// text is the index of a label that is a text.
func (l *labels) text(s string) (int32, error) {
	if i, ok := l.indices[s]; ok {
		return i, nil
	}
	if err := checkName(s); err != nil {
		return 0, err
	}
	if len(l.texts) == mostClasses {
		return 0, fmt.Errorf("expected at most %d classes, found one more: %q", mostClasses, s)
	}
	i := int32(len(l.texts))
	l.texts = append(l.texts, s)
	l.indices[s] = i
	return i, nil
}

// checkName reports a name that could not be printed.
func checkName(s string) error {
	printable := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	switch {
	case s == "" || strings.TrimSpace(s) != s:
		return fmt.Errorf("expected the name of a class, without spaces around it, found %.60q", s)
	case len(s) > longestName:
		return fmt.Errorf("expected the name of a class of at most %d bytes, found %.60q… of %d", longestName, s, len(s))
	case !printable:
		return fmt.Errorf("expected the name of a class that can be printed, found %.60q", s)
	}
	return nil
}

// whole reads a number as labels are written. Only what prints the same is one.
func whole(s string) (n int, ok bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && strconv.Itoa(n) == s
}

// classes are the classes in their order: of each label its class, and what they are called. notes say what is unusual.
func (l *labels) classes(o Options) (class []byte, names []string, notes []string, err error) {
	own, err := l.ordered(&notes)
	if err != nil {
		return nil, nil, nil, err
	}
	names = own
	byOrder := false
	if o.Known > 0 {
		names, byOrder = joined(o, own)
	}
	if len(names) > mostClasses {
		return nil, nil, nil, fmt.Errorf("expected at most %d classes, found %d", mostClasses, len(names))
	}
	at := map[string]int{}
	for c, name := range names {
		at[name] = c
	}
	if byOrder {
		if known := min(o.Known, len(own)); !o.sameNames(own[:known]) {
			notes = append(notes, ByOrder+taken(own[:known], o.KnownNames))
		}
		clear(at)
		for c, name := range own {
			at[name] = c
		}
	}
	for _, text := range l.texts {
		if n, ok := whole(text); ok && l.names != nil {
			text = l.names[n]
		}
		class = append(class, byte(at[text]))
	}
	return class, names, notes, nil
}

// ordered are the names of all classes.
func (l *labels) ordered(notes *[]string) ([]string, error) {
	numbers := make([]int, len(l.texts))
	numeric := true
	for i, text := range l.texts {
		n, ok := whole(text)
		numbers[i], numeric = n, numeric && ok
	}
	if l.names != nil {
		return l.named(numbers, numeric)
	}
	if !numeric || len(numbers) == 0 {
		return slices.Sorted(slices.Values(l.texts)), nil
	}
	slices.Sort(numbers)
	if least, most := numbers[0], numbers[len(numbers)-1]; !l.only && least >= 0 && most-firstLabel(least) < mostClasses {
		if least == 1 {
			*notes = append(*notes, fmt.Sprintf("labels go from 1 to %d: they are the classes 0 to %d, called by their labels", most, most-1))
		}
		numbers = numbers[:0]
		for n := firstLabel(least); n <= most; n++ {
			numbers = append(numbers, n)
		}
	}
	var names []string
	for _, n := range numbers {
		names = append(names, strconv.Itoa(n))
	}
	return names, nil
}

// firstLabel is the label of the first class: people count from 0 or from 1.
func firstLabel(least int) int {
	if least == 1 {
		return 1
	}
	return 0
}

// named are the names that a file gives to numbers, in their order.
func (l *labels) named(numbers []int, numeric bool) ([]string, error) {
	if !numeric {
		return nil, fmt.Errorf("expected labels that are numbers, which the file of names is for, found %q", l.texts[0])
	}
	for _, n := range numbers {
		if _, ok := l.names[n]; !ok {
			return nil, fmt.Errorf("expected a name for each label in the file of names, found none for the label %d: there %s", n, namedLabels(l.names))
		}
	}
	var order []int
	for n := range l.names {
		order = append(order, n)
	}
	slices.Sort(order)
	var names []string
	for _, n := range order {
		if name := l.names[n]; slices.Contains(names, name) {
			return nil, fmt.Errorf("expected a name for each class, found %q twice", name)
		} else if err := checkName(name); err != nil {
			return nil, err
		} else {
			names = append(names, name)
		}
	}
	return names, nil
}

// ByOrder begins the note that a network's classes and those of the data have other names, and were taken for each other
// by their order alone.
const ByOrder = "classes have other names than the network's, and are taken for its by their order: "

// sameNames says whether the network's first classes are called so.
func (o Options) sameNames(names []string) bool {
	for c, name := range names {
		if ClassName(o.KnownNames, c) != name {
			return false
		}
	}
	return true
}

// taken says which class is taken for which, the first few of many.
func taken(own, known []string) string {
	var pairs []string
	for c, name := range own {
		pairs = append(pairs, fmt.Sprintf("%s for %s", name, ClassName(known, c)))
	}
	return mentioned(pairs)
}

// namedLabels says in words which labels a file has names for.
func namedLabels(names map[int]string) string {
	labels := slices.Sorted(maps.Keys(names))
	if len(labels) == 1 {
		return fmt.Sprintf("is one name, of the label %d", labels[0])
	}
	return fmt.Sprintf("are %d names, of labels from %d to %d", len(labels), labels[0], labels[len(labels)-1])
}

// joined are a network's classes, followed by those that it does not know. Numbers are those of its classes, unless some of
// these are called by numbers themselves. Names, where its classes have none, are its first ones, in their order, unless the network is to grow. byOrder says that the
// data's classes are the network's first ones.
func joined(o Options, names []string) (all []string, byOrder bool) {
	for c := range o.Known {
		all = append(all, ClassName(o.KnownNames, c))
	}
	unnamed := o.KnownNames == nil && !o.Grow && len(names) <= o.Known && !slices.ContainsFunc(names, isNumber)
	if unnamed {
		copy(all, names)
	}
	if unnamed || plain(names) && !slices.ContainsFunc(o.KnownNames, isNumber) {
		return append(all, names[min(len(names), o.Known):]...), true
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all, false
}

func isNumber(name string) bool {
	_, ok := whole(name)
	return ok
}

// plain says that classes are called by their numbers.
func plain(names []string) bool {
	for c, name := range names {
		if name != strconv.Itoa(c) {
			return false
		}
	}
	return true
}

// mentioned lists classes for people, the first few of many.
func mentioned(names []string) string {
	const most = 5
	if n := len(names) - most; n > 1 {
		return strings.Join(names[:most], ", ") + " and " + words.Thousands(n) + " more"
	}
	return words.And(names)
}
