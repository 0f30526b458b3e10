package cpu

import (
	"regexp"
	"testing"
)

// TestArithmeticName: sets of vectors have one arithmetic, and portable Go, which
// runs on other processors too, has its own.
func TestArithmeticName(t *testing.T) {
	for _, r := range available() {
		want := `^x86 vectors \d+$`
		if r == &portable {
			want = `^portable \d+, Go on \w+( with FMA)?$`
		}
		if got := (executor{r}).Arithmetic(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: arithmetic %q, want %s", r.name, got, want)
		}
	}
}
