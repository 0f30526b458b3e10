package words

import "testing"

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Thousands(0), "0"}, {Thousands(999), "999"}, {Thousands(13002), "13,002"}, {Thousands(1234567), "1,234,567"}, {Thousands(-999), "-999"}, {Thousands(-1000), "-1,000"},
		{OneLine("a b"), "a b"}, {OneLine("a\nb\tc\x1b\u0085\x7fé"), `a\u000ab\u0009c\u001b\u0085\u007fé`},
		{Plural(1, "unit"), "1 unit"}, {Plural(0, "unit"), "0 units"}, {Plural(4096, "network"), "4,096 networks"},
		{Or([]string{"a"}), "a"}, {Or([]string{"a", "b"}), "a or b"}, {Or([]string{"a", "b", "c"}), "a, b or c"}, {Or(nil), ""},
		{And([]string{"1", "3", "9"}), "1, 3 and 9"},
		{Unknown("recipe field", "optimiser", []string{"arch", "optimizer"}), `unknown recipe field "optimiser": did you mean optimizer?`},
		{Unknown("key", "lt", []string{"lr", "lo", "epochs"}), `unknown key "lt": did you mean lr or lo?`},
		{Unknown("key", "x", []string{"lr", "epochs"}), `unknown key "x": want one of lr, epochs`},
	} {
		if c.got != c.want {
			t.Errorf("found %q, want %q", c.got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"epoch", "epochs", 1}, {"epochs", "", 6}, {"lr", "rl", 2}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: found %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestProbability(t *testing.T) {
	for p, want := range map[float64]string{1e-5: "< 0.0001", 1e-4: "= 0.0001", 0.0123: "= 0.012", 1: "= 1"} {
		if got := Probability(p); got != want {
			t.Errorf("%v is %q, want %q", p, got, want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for want, found := range map[string]string{"0.3": Decimal(0.3, -1), "2.19e-5": Decimal(2.19e-5, -1), "1e-10": Decimal(1e-10, 4), "0.3333": Decimal(1./3, 4)} {
		if found != want {
			t.Errorf("found %s, want %s", found, want)
		}
	}
}
