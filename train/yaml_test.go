package train

import (
	"errors"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestParseRecipe(t *testing.T) {
	with := func(base Recipe, change func(*Recipe)) Recipe {
		change(&base)
		return base
	}
	for _, c := range []struct {
		text string
		want Recipe
	}{
		{"", Default()},
		{"# nothing\n", Default()},
		{"base: default", Default()},
		{"base: lesson", Lesson()},
		{"lr: 1e-1\nbase: lesson", with(Lesson(), func(r *Recipe) { r.LR = 0.1 })},
		{"lr: 1.5e-05\nweight_decay: 2\nepochs: 0012", with(Default(), func(r *Recipe) { r.LR, r.WeightDecay, r.Epochs = 1.5e-5, 2, 12 })},
		{"arch: '784-10' # none hidden\nactivation: \"relu\"", with(Default(), func(r *Recipe) { r.Arch, r.Activation = "784-10", "relu" })},
		{"{epochs: 3, shift: 2, validation: .5, patience: 1, warmup: 0.5}",
			with(Default(), func(r *Recipe) { r.Epochs, r.Shift, r.Validation, r.Patience, r.Warmup = 3, 2, 0.5, 1, 0.5 })},
		{"\"epochs\": 3\n'lr': 2", with(Default(), func(r *Recipe) { r.Epochs, r.LR = 3, 2 })},
		{"{\n\t\"epochs\": 3,\n\t\"lr\": 1E-1,\n\t\"optimizer\": \"sgd\"\n}\n", with(Default(), func(r *Recipe) { r.Epochs, r.LR = 3, 0.1 })},
		{"\ufeffepochs: 3\r\nlr: 2\r\n", with(Default(), func(r *Recipe) { r.Epochs, r.LR = 3, 2 })},
		{"%YAML 1.2\n---\nepochs: 3\n...\n", with(Default(), func(r *Recipe) { r.Epochs = 3 })},
		{"? epochs\n: 3\n", with(Default(), func(r *Recipe) { r.Epochs = 3 })},
		{"optimizer: sgd", Default()}, // the optimizer it has
		{"optimizer: adam", with(Default(), func(r *Recipe) { r.Optimizer, r.LR, r.WeightDecay = "adam", 0.001, 0 })},
		{"optimizer: adamw\nlr: 1", with(Default(), func(r *Recipe) { r.Optimizer, r.WeightDecay = "adamw", 0.01 })},
		{"base: lesson\noptimizer: nesterov", with(Lesson(), func(r *Recipe) { r.Optimizer, r.LR, r.Momentum = "nesterov", 0.1, 0.9 })},
		{"optimizer: momentum\nmomentum: 0.5\nweight_decay: 1", with(Default(), func(r *Recipe) {
			r.Optimizer, r.LR, r.Momentum, r.WeightDecay = "momentum", 0.1, 0.5, 1
		})},
		{"schedule: step", with(Default(), func(r *Recipe) { r.Schedule, r.StepEpochs, r.Gamma = "step", 13, 0.1 })},
		{"schedule: step\nepochs: 2\ngamma: 0.5", with(Default(), func(r *Recipe) { r.Schedule, r.StepEpochs, r.Gamma, r.Epochs = "step", 1, 0.5, 2 })},
	} {
		r, err := ParseRecipe([]byte(c.text), "r.yaml")
		if err != nil || r != c.want {
			t.Errorf("%q: found %+v, err %v; want %+v", c.text, r, err, c.want)
			continue
		}
		text, err := r.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseRecipe(text, "again"); err != nil || again != r {
			t.Errorf("%q became %+v, err %v; want %+v", text, again, err, r)
		}
	}
}

func TestParseRecipeErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"lr: 1\nepoch: 3", `recipe r.yaml:2: unknown recipe field "epoch": did you mean epochs?`},
		{"weight-decay: 1", `recipe r.yaml:1: unknown recipe field "weight-decay": did you mean weight_decay?`},
		{"\n\nLR: 1", `recipe r.yaml:3: unknown recipe field "LR": want one of base, arch, activation, loss,`},
		{"seed: 1", `recipe r.yaml:1: unknown recipe field "seed": want one of base, arch,`},
		{"3: 1", `recipe r.yaml:1: unknown recipe field "3"`},
		{"<<: 1", `recipe r.yaml:1: unknown recipe field "<<"`},
		{"base: other", `recipe r.yaml:1: found base "other": want default or lesson`},
		{"base: [lesson]", `recipe r.yaml:1: found base "[lesson]": want default or lesson`},
		{"lr: fast", `recipe r.yaml:1: found lr "fast": want a number`},
		{"lr: '1'", `recipe r.yaml:1: found lr "1": want a number`},
		{"lr:", `recipe r.yaml:1: found lr "": want a number`},
		{"lr: [1, 2]", `recipe r.yaml:1: found lr "[1, 2]": want a number`},
		{"lr: {a:\n 1}", `recipe r.yaml:1: found lr "{a: 1}": want a number`},
		{"epochs: 1.5", `recipe r.yaml:1: found epochs "1.5": want a whole number`},
		{"epochs: 1e30", `recipe r.yaml:1: found epochs "1e30": want a whole number`},
		{"epochs: .nan", `recipe r.yaml:1: found epochs ".nan": want a whole number`},
		{"epochs: true", `recipe r.yaml:1: found epochs "true": want a whole number`},
		{"loss: 3", `recipe r.yaml:1: found loss "3": want a word`},
		{"a b c", `recipe r.yaml:1: want lines like "epochs: 20"`},
		{"- lr", `recipe r.yaml:1: want lines like "epochs: 20"`},
		{"lr: 1\n---\nlr: 2", `recipe r.yaml:3: found a second document: want one`},
		{"%YAML 1.2\n---\nlr: 1\n---\nlr: 2", `recipe r.yaml:5: found a second document: want one`},
		{"lr: 1\nepochs: 3\n\"lr\": 2", `recipe r.yaml:3: found lr again, which line 1 has: want it once`},
		{"{lr: 1, lr: 2}", `recipe r.yaml:1: found lr again, which line 1 has: want it once`},
		{"? lr\n: 1\nlr: 2", `recipe r.yaml:3: found lr again, which line 1 has: want it once`},
		{"lr: 1\n? lr\n: 2", `recipe r.yaml:2: found a key again, which line 1 has: want it once`},
		{"lr: 1\n<<: {lr: 2}", `recipe r.yaml:2: unknown recipe field "<<"`},
		{strings.Repeat("#", 1<<16+1), `recipe r.yaml:1: want a file of at most 65536 bytes, found more`},
		{"lr: [1", `recipe r.yaml:1: `},
	} {
		_, err := ParseRecipe([]byte(c.text), "r.yaml")
		var setting *SettingError
		if !errors.As(err, &setting) || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: found %q, want %q on one line", c.text, err, c.want)
		}
	}
	if _, err := ReadRecipe(t.TempDir() + "/none"); err == nil {
		t.Error("a file that is not there: no error")
	}
}

// What nests deep is refused before the parser takes memory with the square of the depth.
func TestParseRecipeMemory(t *testing.T) {
	for _, part := range []string{"[", "{", "[{", "[a,", "- ", "? ", "a: ", "&a ", "!a ", "---\n", "'", "\"", "a: |\n", "%YAML 1.2\n"} {
		text := []byte(strings.Repeat(part, (1<<16)/len(part)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseRecipe(text, "r.yaml")
		runtime.ReadMemStats(&after)
		if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; err == nil && part != "---\n" || allocated > 64 {
			t.Errorf("%q again and again: error %v, allocated %d MB", part, err, allocated)
		}
	}
}

func FuzzParseRecipe(f *testing.F) {
	for _, text := range []string{"lr: 1e-1\nbase: lesson", "{epochs: 3}", "a: &a [1]\nb: *a", "? - x\n: !!int 3", "lr: |\n  1",
		"\"epochs\": 3", "{\"epochs\": 3}", "\ufeffepochs: 3", "%YAML 1.2\n---\nepochs: 3", "[[[[[[[[[[", "- - - - - - - - - -"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecipe(data, "fuzz")
		if err == nil && r.Check() == nil {
			text, err := r.YAML()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseRecipe(text, "again"); err != nil || again != r {
				t.Errorf("%q became %+v, err %v; want %+v", text, again, err, r)
			}
		}
	})
}

// Every built-in recipe can be, and is found by its name.
func TestNamedRecipe(t *testing.T) {
	for _, name := range Recipes() {
		r, err := NamedRecipe(name)
		if err != nil || r.Check() != nil {
			t.Errorf("%s: %v, %v", name, err, r.Check())
		}
	}
	if r, _ := NamedRecipe("lesson"); r != Lesson() {
		t.Errorf("lesson is %+v", r)
	}
	if _, err := NamedRecipe("other"); err == nil || !strings.Contains(err.Error(), "default or lesson") {
		t.Errorf("other: %v", err)
	}
}

// Whole numbers that an int cannot hold are refused and not cut off, with 32 bits
// (GOARCH=386) and with 64; so are those that are not exact in float64.
func TestWholeNumbers(t *testing.T) {
	for _, text := range []string{"4294967328", "1e10", "-4294967264", "9007199254740994", "1e30", "2.5"} {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		fits := v == math.Trunc(v) && math.Abs(v) <= math.Min(maxExact, math.MaxInt)
		for way, read := range map[string]func() (Recipe, error){
			"file": func() (Recipe, error) { return ParseRecipe([]byte("batch: "+text), "mine") },
			"word": func() (Recipe, error) {
				r := Default()
				return r, r.Set("batch", text)
			},
		} {
			r, err := read()
			switch {
			case fits && (err != nil || float64(r.Batch) != v):
				t.Errorf("%s, batch %s: found %d, err %v", way, text, r.Batch, err)
			case !fits && (err == nil || !strings.Contains(err.Error(), "want a whole number")):
				t.Errorf("%s, batch %s: found %d, err %v, want a refusal", way, text, r.Batch, err)
			}
		}
	}
}
