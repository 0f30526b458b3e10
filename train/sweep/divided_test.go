package sweep

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"vanilla/kernels"
	"vanilla/kernels/cpu"
)

const gpuArithmetic = "cuda 3, bf16, stand-in"

// divided is an executor of GPUs which has the CPU train networks of more than two
// layers, as auto's would if a GPU refused them.
type divided struct{ kernels.Executor }

type dividedPopulation struct {
	kernels.Population
	e        divided
	variants []kernels.Variant
}

func (divided) Name() string       { return "cuda" }
func (divided) Arithmetic() string { return gpuArithmetic }

func (e divided) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	p, err := e.Executor.Prepare(data, variants)
	return dividedPopulation{p, e, variants}, err
}

func (p dividedPopulation) ArithmeticOf(i int) string {
	if len(p.variants[i].Program().Params) > 4 {
		return p.e.Executor.Arithmetic()
	}
	return gpuArithmetic
}

// Of a sweep that GPUs and the CPU divide, records and models say in what each network
// was trained.
func TestDivided(t *testing.T) {
	spec := tiny(func(s *Spec) {
		s.Points, s.Brackets, s.Halving, s.Finalists, s.FinalSeeds = 12, 1, nil, 12, 1
		s.Space = map[string]string{"layers": "1..2", "hidden": "2..8", "lr": "0.1,1"}
		s.Recipe.WeightDecay, s.Recipe.Epochs = 0, 1
	})
	d, err := Run(t.Context(), divided{cpu.New()}, rows(), t.TempDir(), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]int{}
	for i := range d.Records {
		r, want := &d.Records[i], "bf16"
		if strings.Count(r.Recipe.Arch, "-") > 2 {
			want = "fp32"
		}
		if got := kernels.Precision(d.ArithmeticOf(r)); got != want {
			t.Errorf("%s was trained in %s, want %s", r.Recipe.Network(), got, want)
		}
		if r.Stage != Final {
			continue
		}
		text, err := os.ReadFile(d.ModelFile(r.ID))
		if err != nil || bytes.Contains(text, []byte("bf16")) != (want == "bf16") {
			t.Errorf("the model of %s: want %s, err %v", r.Recipe.Network(), want, err)
		}
		models[want]++
	}
	if models["bf16"] == 0 || models["fp32"] == 0 {
		t.Errorf("there are models %v, want some of both", models)
	}
	if got := d.Precision(); got != "bf16+fp32" {
		t.Errorf("the sweep is of %s, want bf16+fp32", got)
	}
}
