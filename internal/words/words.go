// Package words puts numbers, names and lists of them into sentences.
package words

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Thousands prints 13002 as "13,002".
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// OneLine is a name that somebody else chose, or a text with such names, with control characters as \u000a: on one line,
// in one column, and nothing that tells a terminal to do something.
func OneLine(name string) string {
	if !strings.ContainsFunc(name, unicode.IsControl) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		if unicode.IsControl(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Plural prints "1 unit" and "2 units".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Thousands(n) + " " + noun + "s"
}

// Or joins names as in "a, b or c", And as in "a, b and c".
func Or(names []string) string  { return join(names, " or ") }
func And(names []string) string { return join(names, " and ") }

func join(names []string, last string) string {
	n := len(names) - 1
	if n < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:n], ", ") + last + names[n]
}

// Unknown says that there is no such thing ("recipe field", say), and names those
// of the words that it is most like, if it is like any, or all of them.
func Unknown(thing, word string, words []string) string {
	var near []string
	least := len(word)/2 + 1 // with as many letters wrong it is another word
	for _, name := range words {
		switch d := distance(word, name); {
		case d < least:
			near, least = []string{name}, d
		case d == least && near != nil:
			near = append(near, name)
		}
	}
	if near != nil {
		return fmt.Sprintf("unknown %s %.60q: did you mean %s?", thing, word, Or(near))
	}
	return fmt.Sprintf("unknown %s %.60q: want one of %s", thing, word, strings.Join(words, ", "))
}

// distance counts the letters that must be changed, inserted or removed to make
// a from b (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Dashed is a name as the command line writes it: weight-decay.
func Dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

// Probability says what p is, in a few digits: "= 0.012".
func Probability(p float64) string {
	if p < 1e-4 {
		return "< 0.0001"
	}
	return fmt.Sprintf("= %.2g", p)
}

// Decimal prints a number as short as it can be: 0.3, 2.19e-5. digits are the
// significant ones, -1 for all that it has.
func Decimal(x float64, digits int) string {
	return strings.Replace(strconv.FormatFloat(x, 'g', digits, 64), "e-0", "e-", 1)
}
