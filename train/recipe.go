package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/words"
	"vanilla/kernels"
	"vanilla/model"
)

// Recipe is all that determines a training run besides its seeds, its data and
// the executor. Fields are called what the command's flags are called.
type Recipe struct {
	Arch        string  `json:"arch"`       // "784-16-16-10": inputs, hidden layers, outputs
	Activation  string  `json:"activation"` // of the hidden layers
	Loss        string  `json:"loss"`
	Optimizer   string  `json:"optimizer"`
	LR          float64 `json:"lr"` // the peak learning rate
	WeightDecay float64 `json:"weight_decay"`
	Schedule    string  `json:"schedule"` // of the learning rate
	Batch       int     `json:"batch"`    // examples per step
	Epochs      int     `json:"epochs"`
	Init        string  `json:"init"` // of the weights
	// Momentum is for momentum and nesterov, StepEpochs and Gamma for the
	// schedule step. They are zero where they do not belong.
	Momentum   float64 `json:"momentum,omitempty"`
	StepEpochs int     `json:"step_epochs,omitempty"`
	Gamma      float64 `json:"gamma,omitempty"`
	Warmup     float64 `json:"warmup,omitempty"` // epochs over which the learning rate rises
	// Block and Norm are what hidden layers are made of, see [Blocks] and [Norms];
	// none is "". Dropout, InputDropout and LabelSmoothing are of training alone.
	Block          string  `json:"block,omitempty"`
	Norm           string  `json:"norm,omitempty"`
	Dropout        float64 `json:"dropout,omitempty"`
	InputDropout   float64 `json:"input_dropout,omitempty"`
	LabelSmoothing float64 `json:"label_smoothing,omitempty"`
	// What happens to images each time they are trained on, see [kernels.Augment]:
	// pixels, degrees, a share, a share, pixels, pixels, pixels.
	Shift        int     `json:"shift,omitempty"`
	Rotate       float64 `json:"rotate,omitempty"`
	Scale        float64 `json:"scale,omitempty"`
	Shear        float64 `json:"shear,omitempty"`
	Stroke       float64 `json:"stroke,omitempty"`
	Elastic      float64 `json:"elastic,omitempty"`
	ElasticSigma float64 `json:"elastic_sigma,omitempty"`
	// NoiseShare of the positions in a batch have an image of noise, with all classes
	// equally likely as its target.
	NoiseShare float64 `json:"noise_share,omitempty"`
	// Validation is the fraction of the training images that is held out.
	Validation float64 `json:"validation,omitempty"`
	// Patience, if not 0, ends training after so many epochs in which the
	// accuracy on the held-out images did not rise, and keeps the best epoch.
	Patience int `json:"patience,omitempty"`
}

// Default is the lesson's network with a recipe that takes it to 96 % on MNIST.
func Default() Recipe {
	return Recipe{
		Arch:        "784-16-16-10",
		Activation:  ir.Sigmoid.String(),
		Loss:        string(graph.CrossEntropy),
		Optimizer:   "sgd",
		LR:          1,
		WeightDecay: 1e-4,
		Schedule:    "cosine",
		Batch:       32,
		Epochs:      40,
		Init:        string(kernels.Scaled),
	}
}

// Lesson is the recipe of the network that the lesson shows: weights and biases
// that start from N(0, 1), sigmoid outputs with the quadratic cost, and plain
// SGD in small batches with one learning rate throughout. It reaches about 94 %;
// larger learning rates no more, with weights so large that float32 leaves fewer
// than five digits of a probability.
func Lesson() Recipe {
	return Recipe{
		Arch:       "784-16-16-10",
		Activation: ir.Sigmoid.String(),
		Loss:       string(graph.Quadratic),
		Optimizer:  "sgd",
		LR:         0.3,
		Schedule:   "constant",
		Batch:      10,
		Epochs:     40,
		Init:       string(kernels.Lesson),
	}
}

// Recipes lists the names of the recipes that are built in.
func Recipes() []string { return []string{"default", "lesson"} }

// NamedRecipe returns the built-in recipe of that name.
func NamedRecipe(name string) (Recipe, error) {
	switch name {
	case "default":
		return Default(), nil
	case "lesson":
		return Lesson(), nil
	}
	return Recipe{}, fmt.Errorf("no recipe is called %q: want %s", name, words.Or(Recipes()))
}

// defaultGamma is what the learning rate is multiplied by, and defaultSteps in how
// many parts of equal learning rate the epochs fall, where only the schedule's name
// is given.
const (
	defaultGamma = 0.1
	defaultSteps = 3
)

// defaultSigma is the smoothness of elastic bending in pixels, that of Simard,
// Steinkraus and Platt.
const defaultSigma = 4

// Follow sets what depends on the optimizer and the schedule and was not given
// itself, after fields of r, a copy of base, have been changed. given says
// whether a field was, by its name in JSON.
//
// Another optimizer than that of base comes with the learning rate, weight decay and
// momentum of its [kernels.OptimizerKind]. The schedule step comes with gamma 0.1
// after each third of the epochs, and any other one has neither. Elastic bending
// comes with a sigma of 4. A block or norm of "none" becomes "", which is how
// recipes hold it.
func (r *Recipe) Follow(base Recipe, given func(field string) bool) {
	for _, name := range []*string{&r.Block, &r.Norm} {
		if *name == none {
			*name = ""
		}
	}
	set := func(field string, change func()) {
		if !given(field) {
			change()
		}
	}
	if r.Optimizer != base.Optimizer {
		k := kernels.Optimizer{Name: r.Optimizer}.Kind() // for the name, see Check
		set("lr", func() { r.LR = k.LR })
		set("weight_decay", func() { r.WeightDecay = k.Defaults.WeightDecay })
		set("momentum", func() { r.Momentum = k.Defaults.Momentum })
	}
	if r.Schedule != base.Schedule {
		var epochs int
		var gamma float64
		if (kernels.Schedule{Name: r.Schedule}).Kind().Stepped {
			epochs, gamma = max(1, r.Epochs/defaultSteps), defaultGamma
		}
		set("step_epochs", func() { r.StepEpochs = epochs })
		set("gamma", func() { r.Gamma = gamma })
	}
	if (r.Elastic > 0) != (base.Elastic > 0) {
		sigma := 0.0
		if r.Elastic > 0 {
			sigma = defaultSigma
		}
		set("elastic_sigma", func() { r.ElasticSigma = sigma })
	}
}

// SettingError is a setting that cannot be.
type SettingError = kernels.SettingError

func wrong(field string, value any, problem string) error {
	return &SettingError{Field: field, Value: value, Problem: problem}
}

// Check reports the first setting that cannot be, as a *SettingError.
func (r Recipe) Check() error {
	if err := r.checkNetwork(); err != nil {
		return err
	}
	return r.checkTraining()
}

// checkNetwork is Check of the network: Arch, Activation and Loss.
func (r Recipe) checkNetwork() error {
	if _, err := model.Widths(r.Arch); err != nil {
		return wrong("arch", r.Arch, fmt.Sprintf(
			"want whole numbers from 1 to %d joined by dashes, inputs first, outputs last, as in %s; hidden layers may have activations of their own, as in 784-32relu-16tanh-10", model.MaxWidth, Default().Arch))
	}
	if err := kernels.CheckName("activation", r.Activation, graph.ActivationNames()); err != nil {
		return err
	}
	if err := kernels.CheckName("loss", r.Loss, graph.LossNames()); err != nil {
		return err
	}
	widths, own, err := model.ParseArch(r.Arch)
	if err != nil {
		return err
	}
	for _, name := range own {
		if name != "" && !slices.Contains(graph.ActivationNames(), name) {
			return wrong("arch", r.Arch, fmt.Sprintf("no activation is called %q: want %s", name, words.Or(graph.ActivationNames())))
		}
	}
	hidden := len(widths) > 2
	switch {
	case r.Block != "" && !slices.Contains(Blocks(), r.Block):
		return wrong("block", r.Block, "want "+words.Or(Blocks()))
	case r.Norm != "" && !slices.Contains(Norms(), r.Norm):
		return wrong("norm", r.Norm, "want "+words.Or(Norms()))
	case r.Block != "" && !hidden:
		return wrong("block", r.Block, r.Arch+" has no hidden layers")
	case r.Block == string(graph.Residual) && !graph.Residues(widths):
		return wrong("block", r.Block, r.Arch+" has no two neighbouring hidden layers of one width, where a residual block adds something: want such, or another block")
	case r.Norm != "" && !hidden:
		return wrong("norm", r.Norm, r.Arch+" has no hidden layers")
	case r.Norm != "" && slices.Contains(widths[1:len(widths)-1], 1):
		return wrong("norm", r.Norm, r.Arch+" has a hidden layer of one unit, which a norm makes zero: want two units or more")
	case !(r.Dropout >= 0 && r.Dropout < 1):
		return wrong("dropout", r.Dropout, "want a probability from 0 to below 1")
	case r.Dropout > 0 && !hidden:
		return wrong("dropout", r.Dropout, r.Arch+" has no hidden layers")
	case !(r.InputDropout >= 0 && r.InputDropout < 1):
		return wrong("input_dropout", r.InputDropout, "want a probability from 0 to below 1")
	case !(r.LabelSmoothing >= 0 && r.LabelSmoothing < 1):
		return wrong("label_smoothing", r.LabelSmoothing, "want a share from 0 to below 1")
	case r.LabelSmoothing > 0 && r.Loss != string(graph.CrossEntropy):
		return wrong("label_smoothing", r.LabelSmoothing, "only the loss cross-entropy has it")
	}
	if a, err := r.arch(); err != nil {
		return err
	} else if err := a.Check(); err != nil {
		return wrong("arch", r.Arch, err.Error())
	}
	return nil
}

func (r Recipe) arch() (graph.Arch, error) {
	widths, own, err := model.ParseArch(r.Arch)
	if err != nil {
		return graph.Arch{}, err
	}
	a, err := graph.NamedArch(widths, own, r.Activation, r.Loss)
	if err != nil {
		return a, err
	}
	a.Block, err = graph.ParseBlock(r.Block)
	a.LayerNorm = r.Norm == layerNorm
	a.Dropout, a.InputDropout, a.LabelSmoothing = r.Dropout, r.InputDropout, r.LabelSmoothing
	return a, err
}

// Chain reports whether the trained network is a chain of dense layers.
func (r Recipe) Chain() bool {
	a, err := r.arch()
	return err == nil && a.Chain()
}

// Build returns the recipe's network from a cache, which builds it if it is new.
func (r Recipe) Build(c *graph.Cache) (*graph.Network, error) {
	a, err := r.arch()
	if err != nil {
		return nil, err
	}
	return c.New(a)
}

// checkTraining is Check of all but the network.
func (r Recipe) checkTraining() error {
	if err := (Spec{Recipe: r}).Variant(nil).CheckSettings(); err != nil {
		return err
	}
	switch {
	case !(r.Validation >= 0 && r.Validation < 1): // NaN too
		return wrong("validation", r.Validation, "want a fraction from 0 to below 1")
	case r.Patience < 0:
		return wrong("patience", r.Patience, "want 0 (train to the end) or a number of epochs")
	case r.Patience > 0 && r.Validation == 0:
		return wrong("patience", r.Patience, "early stopping needs held-out images: want \"validation\" too")
	}
	return nil
}

// Fits reports the first setting of a checked recipe that does not fit the
// data, as a *SettingError.
func (r Recipe) Fits(data *dataset.Dataset) error { return r.fits(extentOf(data.Train)) }

// For is the recipe with the first and the last width that the data need; the
// hidden layers stay as they are.
func (r Recipe) For(data *dataset.Dataset) Recipe {
	if widths, err := model.Widths(r.Arch); err == nil {
		widths[0], widths[len(widths)-1] = data.Train.Features(), data.Train.Classes
		r.Arch = r.archOf(widths)
	}
	return r
}

// FitsLike is Fits of data of which only the fingerprint is known.
func (r Recipe) FitsLike(data Fingerprint) error {
	return r.fits(extent{data.Train, data.Rows, data.Columns, data.Classes, "0"})
}

func (r Recipe) fits(set extent) error {
	if err := r.networkFits(set); err != nil {
		return err
	}
	return r.trainingFits(set)
}

// extent is how much data there is.
type extent struct {
	images, rows, cols, classes int
	name                        string // of the first class
}

func extentOf(set *dataset.Images) extent {
	return extent{set.Len(), set.Rows, set.Cols, set.Classes, set.ClassName(0)}
}

// networkFits is Fits of the network.
func (r Recipe) networkFits(set extent) error {
	widths, err := model.Widths(r.Arch)
	if err != nil {
		return err
	}
	if set.classes < 2 {
		return fmt.Errorf("every label of the data is %s: want images of two classes or more", set.name)
	}
	last := len(widths) - 1
	var problems []string
	if n := set.rows * set.cols; widths[0] != n {
		problems = append(problems, fmt.Sprintf("the images have %dx%d = %d pixels, so the first width must be %d",
			set.rows, set.cols, n, n))
		widths[0] = n
	}
	if n := set.classes; widths[last] != n {
		problems = append(problems, fmt.Sprintf("the data has %d classes, so the last width must be %d", n, n))
		widths[last] = n
	}
	if problems != nil {
		return wrong("arch", r.Arch, fmt.Sprintf("%s (%s)", strings.Join(problems, ", and "), r.archOf(widths)))
	}
	return nil
}

// trainingFits is Fits of all but the network.
func (r Recipe) trainingFits(set extent) error {
	if err := r.augment().Fits(set.rows, set.cols); err != nil {
		return err
	}
	n := set.images
	if r.Validation > 0 {
		held := HeldOut(n, r.Validation)
		if held < 1 || held >= n {
			return wrong("validation", r.Validation, fmt.Sprintf("that holds out %d of the %d training images: want 1 to %d", held, n, n-1))
		}
		n -= held
	}
	if r.Batch > n {
		return wrong("batch", r.Batch, fmt.Sprintf("the data has %d training images, so at most %d fit in a batch", n, n))
	}
	return nil
}

func (r Recipe) schedule() kernels.Schedule {
	return kernels.Schedule{Name: r.Schedule, LR: r.LR, StepEpochs: r.StepEpochs, Gamma: r.Gamma, Warmup: r.Warmup}
}

func (r Recipe) optimizer() kernels.Optimizer {
	o := kernels.Optimizer{Name: r.Optimizer}.Kind().Defaults // for the name, see Check
	o.Name, o.WeightDecay, o.Momentum = r.Optimizer, r.WeightDecay, r.Momentum
	return o
}

func (r Recipe) augment() kernels.Augment {
	return kernels.Augment{Shift: r.Shift, Rotate: r.Rotate, Scale: r.Scale, Shear: r.Shear, Stroke: r.Stroke,
		Elastic: r.Elastic, ElasticSigma: r.ElasticSigma}
}

// archOf is the recipe's architecture with other widths.
func (r Recipe) archOf(widths []int) string {
	_, activations, _ := model.ParseArch(r.Arch)
	return model.JoinArch(widths, activations)
}

// Network names the network for people: architecture, activation, and what is not as
// usual.
func (r Recipe) Network() string {
	text := model.Describe(r.Arch, r.Activation)
	if r.Block != "" {
		text += ", " + r.Block
	}
	if r.Norm != "" {
		text += ", " + r.Norm + " norm"
	}
	for _, p := range []struct {
		name  string
		value float64
	}{{"dropout", r.Dropout}, {"input dropout", r.InputDropout}, {"label smoothing", r.LabelSmoothing}} {
		if p.value != 0 {
			text += fmt.Sprintf(", %s %g", p.name, p.value)
		}
	}
	return text
}

// Parameters is how many numbers the network trains, 0 if the architecture cannot
// be, and the largest int if there are more.
func (r Recipe) Parameters() int { return int(min(r.parameters(), math.MaxInt)) }

// parameters counts in 64 bits, whatever the size of an int.
func (r Recipe) parameters() uint64 {
	widths, err := model.Widths(r.Arch)
	if err != nil {
		return 0
	}
	var n uint64
	for l := 1; l < len(widths); l++ {
		layer := (uint64(widths[l-1]) + 1) * uint64(widths[l])
		if n += layer; l == len(widths)-1 {
			break
		}
		if r.Block == string(graph.Gated) {
			n += layer
		}
		if r.Norm == layerNorm {
			n += 2 * uint64(widths[l])
		}
	}
	return n
}

// The names of Norm: of none, and the one that there is.
const (
	none      = "none"
	layerNorm = "layer"
)

// Blocks and Norms list the names that a recipe's can be.
func Blocks() []string { return []string{none, string(graph.Residual), string(graph.Gated)} }
func Norms() []string  { return []string{none, layerNorm} }
