//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vanilla/graph/ir"
	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/image"
	"vanilla/internal/store"
	"vanilla/kernels"
)

// proofSteps is for how long a class trains beside the generic kernel before it is
// trusted on a device.
const proofSteps = 20

// proofTolerance is by how much of what they moved the parameters may then differ,
// as root mean squares.
//
// fp32: sums of at most 784 terms, in another order, move a gradient by at most
// 784·2⁻²⁴ of it, and a gradient passes through two; so much in each step.
//
// bf16: a gradient of the proof's network is a product of at most eight rounded
// factors, weights, outputs and deltas of three layers. A rounding is 2⁻⁸ of a
// factor at most and half of that as a root mean square. Those of different steps
// differ, so that they do not add up.
var proofTolerance = map[string]float64{FP32: proofSteps * 2 * 784 * 0x1p-24, BF16: 8 * 0x1p-9}

// proof is what came of a class on a device, driver and image. It is kept in a
// file, so that it is tried once.
type proof struct {
	Device  string `json:"device"`
	Driver  string `json:"driver"`
	Image   string `json:"image"`
	Class   string `json:"class"`
	Failure string `json:"failure"` // empty: the class is trusted
}

// file is where the proof is kept.
func (p proof) file(dir string) string {
	key := sha256.Sum256([]byte(strings.Join([]string{p.Device, p.Driver, p.Image, p.Class}, "\n")))
	return filepath.Join(dir, fmt.Sprintf("%x.json", key[:16]))
}

// proofDirectory is where proofs are kept: in the user's cache, if there is one. The
// stand-in's are kept only where a test says, for the processes that it starts.
func proofDirectory(d driver.Device) string {
	if d.StandIn {
		return os.Getenv("VANILLA_STANDIN_PROOFS")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "vanilla", "cuda")
}

// driverVersion names the driver: what the kernel says of it, if it does, and the
// version of CUDA.
func driverVersion(d driver.Device) string {
	words, _ := os.ReadFile("/proc/driver/nvidia/version")
	first, _, _ := strings.Cut(string(words), "\n")
	return strings.TrimSpace(fmt.Sprintf("CUDA %d %s", d.Driver, first))
}

// refused says why a class is not trusted on the executor's devices, or nothing if
// it is. err is set if that could not be found out.
func (e *executor) refused(c class) (why, err error) {
	var t trials
	defer t.close()
	return e.tried(&t, c)
}

// tried is refused, with trials for what was not tried before.
func (e *executor) tried(t *trials, c class) (why, err error) {
	if e.trusting || c.generic() {
		return nil, nil
	}
	e.proving.Lock()
	defer e.proving.Unlock()
	if why, known := e.proofs[c]; known {
		return why, nil
	}
	for _, g := range e.gpus {
		p, err := prove(t, g.device, c, e.proofDir)
		if err != nil {
			return nil, err
		}
		if p.Failure != "" {
			e.proofs[c] = fmt.Errorf("on device %d %s", g.device.Index, p.Failure)
			return e.proofs[c], nil
		}
	}
	e.proofs[c] = nil
	return nil, nil
}

// prove returns the proof that is kept, or tries the class and keeps what comes of
// it.
func prove(t *trials, d driver.Device, c class, dir string) (proof, error) {
	p := proof{Device: d.Name, Driver: driverVersion(d), Image: image.Identity(), Class: c.String()}
	if dir != "" {
		var kept proof
		text, err := os.ReadFile(p.file(dir))
		if err == nil {
			err = store.DecodeObject(text, &kept)
		}
		if p.Failure = kept.Failure; err == nil && kept == p {
			return p, nil
		}
		p.Failure = ""
	}
	off, err := t.besideGeneric(d.Index, c)
	if err != nil || !(off <= proofTolerance[c.precision]) {
		t.close() // who knows what the class did to what is there
	}
	switch {
	case errors.Is(err, driver.ErrOutOfMemory):
		return p, fmt.Errorf("to try the class %s beside the generic kernel: %w", c, err)
	case err != nil:
		p.Failure = fmt.Sprintf("the class %s failed when it was tried: %v", c, err)
	case !(off <= proofTolerance[c.precision]):
		p.Failure = fmt.Sprintf("the class %s differs from the generic kernel: after %d steps parameters are off by %.2g of what they moved, at most %.2g is rounding",
			c, proofSteps, off, proofTolerance[c.precision])
	}
	if dir == "" {
		return p, nil
	}
	text, err := store.EncodeObject(p)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		_ = store.Replace(p.file(dir), func(w io.Writer) error { // otherwise it is tried again next time
			_, err := w.Write(text)
			return err
		})
	}
	return p, nil
}

// trials is contexts in which classes are tried, by device: others than those that
// networks are trained in, because a kernel that fails takes its context with it. A
// context is opened when it is needed.
type trials struct{ gpus map[int]*gpu }

// gpu is a device in a context of the trials.
func (t *trials) gpu(device int) (*gpu, error) {
	if g := t.gpus[device]; g != nil {
		return g, nil
	}
	g, err := open(device)
	if err != nil {
		return nil, err
	}
	if t.gpus == nil {
		t.gpus = map[int]*gpu{}
	}
	t.gpus[device] = g
	return g, nil
}

// close closes the contexts. What comes after has new ones.
func (t *trials) close() {
	for _, g := range t.gpus {
		// A context that a class broke fails here, too, which says nothing new.
		_ = (&executor{gpus: []*gpu{g}}).Close()
	}
	t.gpus = nil
}

// besideGeneric trains a network by a class's kernel and by the generic one, and
// returns by how much of what they moved its parameters differ.
func (t *trials) besideGeneric(device int, c class) (off float64, err error) {
	g, err := t.gpu(device)
	if err != nil {
		return 0, err
	}
	e := &executor{gpus: []*gpu{g}, precision: c.precision, limits: spreadLimits, trusting: true}
	if c.spread {
		e.limits = limits{}
	}
	program := proofProgram(c.units, c.units)
	if c.stream { // several tiles, the last ones ragged
		program = proofProgram(72, 40)
	}
	v := kernels.Variant{
		Source:    program,
		Optimizer: kernels.Optimizer{Name: "sgd", WeightDecay: 0.001},
		Schedule:  kernels.Schedule{LR: 0.1, Name: "cosine"},
		Batch:     partRows, Epochs: proofSteps, Init: kernels.Scaled, Seed: 1, OrderSeed: 2,
	}
	switch c.slots {
	case 1:
		v.Optimizer.Name, v.Optimizer.Momentum = "nesterov", 0.9
	case 2:
		v.Optimizer.Name, v.Optimizer.Beta1, v.Optimizer.Beta2 = "adam", 0.9, 0.999
		v.Optimizer.Epsilon = 1e-3 // a gradient near zero would be divided by its own rounding
		v.Schedule.LR = 0.01
	}
	if c.parts || c.stream {
		v.Batch += partRows / 2
	}
	data := proofData(program)
	p, err := e.Prepare(data, []kernels.Variant{v, v})
	if err != nil {
		return 0, err
	}
	defer func() {
		if closed := p.Close(); err == nil {
			err = closed
		}
	}()
	nets := p.(*population).nets
	if nets[0].class != c {
		return 0, fmt.Errorf("the network's class is %s", nets[0].class)
	}
	nets[1].class, nets[1].form = class{}, form{}
	if err := p.Advance(context.Background(), []int{proofSteps, proofSteps}, nil); err != nil {
		return 0, err
	}
	start, fast, generic := v.InitialState(), nets[0].state(), nets[1].state()
	var wrong, moved float64
	for a, params := range start.Params {
		for i, w := range params {
			got, want := float64(fast.Params[a][i]), float64(generic.Params[a][i])
			wrong += (got - want) * (got - want)
			moved += (want - float64(w)) * (want - float64(w))
		}
	}
	return math.Sqrt(wrong / moved), nil
}

// proofData is 67 random images: batches of 32 and 48 leave a short one.
func proofData(p *ir.Program) kernels.Data {
	random := rand.New(rand.NewPCG(1, 2))
	const n = 67
	e := kernels.Examples{Features: p.Features(), Pixels: make([]byte, n*p.Features()), Labels: make([]byte, n)}
	for i := range e.Pixels {
		if random.IntN(5) == 0 {
			e.Pixels[i] = byte(random.IntN(256))
		}
	}
	for i := range e.Labels {
		e.Labels[i] = byte(random.IntN(p.Classes()))
	}
	return kernels.Data{Train: e, Classes: p.Classes()}
}

// proofProgram is 784-16-16-10, or a network with other hidden layers, with sigmoid
// units and the cross-entropy.
func proofProgram(hidden ...int) *ir.Program {
	widths := slices.Concat([]int{residentPixels}, hidden, []int{10})
	p := &ir.Program{Name: strings.Trim(strings.ReplaceAll(fmt.Sprint(widths), " ", "-"), "[]")}
	value := func(name string, rows, cols int) ir.ID {
		p.Values = append(p.Values, ir.Value{Name: name, Shape: ir.Shape{Rows: rows, Cols: cols}})
		return ir.ID(len(p.Values) - 1)
	}
	op := func(code ir.Code, out ir.ID, act ir.Activation, scale float64, args ...ir.ID) ir.ID {
		p.Ops = append(p.Ops, ir.Op{Code: code, Out: out, Act: act, Scale: scale, Args: args})
		return out
	}
	p.Input, p.Target = value("x", ir.Batch, widths[0]), value("y", ir.Batch, 10)
	type layer struct{ in, w, b, z ir.ID }
	var layers []layer
	h := p.Input
	for i, width := range widths[1:] {
		n := fmt.Sprint(i + 1)
		l := layer{in: h, w: value("W"+n, width, widths[i]), b: value("b"+n, 1, width)}
		l.z = op(ir.Dense, value("z"+n, ir.Batch, width), 0, 0, h, l.w, l.b)
		layers = append(layers, l)
		if h = l.z; i < len(widths)-2 {
			h = op(ir.Act, value("h"+n, ir.Batch, width), ir.Sigmoid, 0, l.z)
		}
	}
	p.Output = h
	p.Loss = op(ir.Xent, value("loss", 1, 1), 0, 1, h, p.Target)
	p.Forward = len(p.Ops)
	dz := op(ir.DXent, value(fmt.Sprintf("dz%d", len(layers)), ir.Batch, widths[len(layers)]), 0, 1, h, p.Target)
	for i := len(layers) - 1; i >= 0; i-- {
		l, n := layers[i], fmt.Sprint(i+1)
		db := op(ir.DBias, value("db"+n, 1, widths[i+1]), 0, 0, dz)
		dw := op(ir.DWeight, value("dW"+n, widths[i+1], widths[i]), 0, 0, dz, l.in)
		p.Params = append([]ir.Param{{Value: l.w, Grad: dw}, {Value: l.b, Grad: db, Bias: true}}, p.Params...)
		if i > 0 {
			below := fmt.Sprint(i)
			dh := op(ir.DInput, value("dh"+below, ir.Batch, widths[i]), 0, 0, dz, l.w)
			dz = op(ir.DAct, value("dz"+below, ir.Batch, widths[i]), ir.Sigmoid, 0, dh, layers[i-1].z)
		}
	}
	return p
}
