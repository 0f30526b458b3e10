//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"vanilla/internal/cuda/driver"
	"vanilla/internal/cuda/image"
	"vanilla/kernels"
)

// New opens the GPUs with these indices, or all there are, for training in a
// precision, FP32 or BF16. They must be of one compute capability, so that it
// makes no difference which of them trains a network. It fails with
// driver.ErrUnavailable on a machine without a GPU.
func New(precision string, devices ...int) (kernels.Executor, error) {
	if precision != FP32 && precision != BF16 {
		return nil, fmt.Errorf("precision %q, want %s or %s", precision, FP32, BF16)
	}
	all, err := driver.Devices()
	if err != nil {
		return nil, err
	}
	if len(devices) == 0 {
		for i := range all {
			devices = append(devices, i)
		}
	}
	e := &executor{precision: precision, limits: spreadLimits, proofs: map[class]error{}}
	for _, index := range devices {
		g, err := open(index)
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.gpus = append(e.gpus, g)
	}
	if err := e.oneKind(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.proofDir = proofDirectory(e.gpus[0].device)
	return e, nil
}

// oneKind fails if the devices' compute capabilities differ.
func (e *executor) oneKind() error {
	for _, g := range e.gpus[1:] {
		if first, d := e.gpus[0].device, g.device; d.Major != first.Major || d.Minor != first.Minor {
			return fmt.Errorf("device %d has compute capability %d.%d, device %d has %d.%d: want devices of one kind",
				d.Index, d.Major, d.Minor, first.Index, first.Major, first.Minor)
		}
	}
	return nil
}

type executor struct {
	gpus      []*gpu
	precision string
	generic   bool // no other kernel is used
	limits    limits
	streaming bool // no resident kernel is used

	trusting bool // no class is tried before it is used
	proofDir string
	proving  sync.Mutex
	proofs   map[class]error // why a class is refused, nothing if it is not
}

// classOf is a network's class on the executor's devices, which are alike but for
// their memory, and its form: the first one in which it can train and which is trusted
// of a resident class, a streaming one and the generic kernel. why says why it is
// generic.
func (e *executor) classOf(w wanted) (c class, f form, why, err error) {
	if e.generic {
		return e.genericOf(w), form{}, errors.New("no other was asked for"), nil
	}
	d := e.gpus[0].device
	for _, g := range e.gpus[1:] {
		d.MemoryBytes = min(d.MemoryBytes, g.device.MemoryBytes)
		d.SharedPerBlock = min(d.SharedPerBlock, g.device.SharedPerBlock)
	}
	c, chain, not := residentOf(w, e.precision, d)
	if e.streaming {
		not = errors.New("no resident kernel was asked for")
	}
	if not == nil {
		if not, err = e.refused(c); not == nil || err != nil {
			return c, form{chain: chain}, nil, err
		}
	}
	c, stream, why := streamOf(w, e.precision, e.limits, d)
	if why == nil {
		if why, err = e.refused(c); why == nil || err != nil {
			return c, form{stream: stream, why: not}, nil, err
		}
	}
	return e.genericOf(w), form{}, why, nil
}

// genericOf is the class of a network that the generic kernel trains: spread, if a step
// would keep a block for long.
func (e *executor) genericOf(w wanted) class {
	return class{spread: workOf(w.program, min(w.batch, w.examples)) >= e.limits.work}
}

// refusals are the classes of the executor's precision that are not trusted on its
// devices.
func (e *executor) refusals() string {
	if e.generic || e.gpus[0].device.Major < 8 {
		return ""
	}
	var names []string
	var t trials
	defer t.close()
	for _, c := range classes(e.precision) {
		if why, err := e.tried(&t, c); why != nil || err != nil {
			names = append(names, c.String())
		}
	}
	if names == nil {
		return ""
	}
	return ", without " + strings.Join(names, ", ")
}

func (e *executor) Name() string { return "cuda" }

// Device names the first GPU and says how many there are, and which classes were
// found to differ there.
func (e *executor) Device() string {
	text := e.gpus[0].device.String()
	if n := len(e.gpus); n > 1 {
		text = fmt.Sprintf("%d devices, the first one %s", n, text)
	}
	e.proving.Lock()
	defer e.proving.Unlock()
	for _, c := range slices.SortedFunc(maps.Keys(e.proofs), func(a, b class) int { return strings.Compare(a.String(), b.String()) }) {
		if why := e.proofs[c]; why != nil {
			text += fmt.Sprintf("; %s in its place: %s", e.instead(c), why)
		}
	}
	return text
}

// instead is what trains networks of a class that is refused, as far as that was found
// out.
func (e *executor) instead(c class) string {
	streaming := class{precision: c.precision, slots: c.slots, stream: true}
	if why, tried := e.proofs[streaming]; c.resident() && tried && why == nil {
		return "a streaming kernel"
	}
	return "the generic kernel"
}

// widthPerSM is how many small networks a multiprocessor is given at a time, so that
// blocks end together: some times what it runs.
const widthPerSM = 16

// Width is widthPerSM for each multiprocessor.
func (e *executor) Width() int {
	n := 0
	for _, g := range e.gpus {
		n += widthPerSM * g.device.SMs
	}
	return n
}

// arithmetic is the version of what the kernel computes. It goes up when a
// program's results change.
const arithmetic = 4

// Arithmetic is one for devices of one compute capability, for which the kernels
// were compiled alike. A network's class follows from it: it names those that are
// not trusted.
func (e *executor) Arithmetic() string {
	d := e.gpus[0].device
	if d.StandIn {
		return fmt.Sprintf("cuda %d, %s, stand-in%s", arithmetic, e.precision, e.refusals())
	}
	return fmt.Sprintf("cuda %d, %s, compute capability %d.%d%s", arithmetic, e.precision, d.Major, d.Minor, e.refusals())
}

func (e *executor) Explain(source kernels.Source, o kernels.Optimizer) ([]string, error) {
	p := source.Lowered()
	if err := p.Verify(); err != nil {
		return nil, err
	}
	c, f, why, err := e.classOf(wanted{program: p, optimizer: o, batch: explainedBatch, examples: explainedBatch})
	switch {
	case err != nil:
		return nil, err
	case why == nil && c.stream:
		lines, err := f.stream.lines(p, o, c)
		return append(lines, fmt.Sprintf("a streaming kernel, and no resident one, because %s", f.why)), err
	case why == nil:
		return residentLines(p, o, c, f.chain), nil
	}
	if c.spread {
		lines, err := explainSpread(p, o)
		return append([]string{fmt.Sprintf("the generic kernel, because %s", why)}, lines...), err
	}
	lines, err := explain(p, o, e.gpus[0].sharedFloats)
	return append([]string{fmt.Sprintf("the generic kernel, because %s", why)}, lines...), err
}

func (e *executor) Close() error {
	var errs []error
	for _, g := range e.gpus {
		_, err := g.release()
		errs = append(errs, err, g.context.Close())
	}
	e.gpus = nil
	return errors.Join(errs...)
}

// gpu is a device with the kernels loaded.
type gpu struct {
	context         *driver.Context
	kernel          *driver.Function // the generic one
	scalars, epochs *driver.Function // of course.cu
	device          driver.Device
	// rows is what prepares data for resident kernels: nil on devices that have none.
	rows         *driver.Function
	images       map[string]func() ([]byte, error) // that are being unpacked
	loading      sync.Mutex
	modules      map[string]*driver.Module // by the image's name
	classes      map[class]*driver.Function
	sharedFloats int // of dynamic shared memory that plans may use
	spare        spare
}

// planBytes is the dynamic shared memory that a plan may use beside so much static
// one: what lets two blocks run on a multiprocessor, or, where that would be too
// little, what one has.
func planBytes(d driver.Device, static int) int {
	bytes := min(d.SharedPerBlock, d.SharedPerSM/2-d.SharedReserved) - static
	if bytes < leastPlanBytes {
		bytes = d.SharedPerBlock - static
	}
	return max(0, bytes)
}

// leastPlanBytes is what a batch of 32 of a small network takes, without the images:
// its values, their gradients, biases and the weights of narrow layers. On Turing,
// half a multiprocessor's shared memory has no room for it beside the kernel's own.
const leastPlanBytes = 12 << 10

func open(index int) (*gpu, error) {
	g := &gpu{images: image.Ahead("network", "course", "resident")} // opening takes as long as they do
	var err error
	if g.context, err = driver.Open(index); err != nil {
		return nil, err
	}
	g.device = g.context.Device()
	if err := g.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", g.device.Name, err), g.context.Close())
	}
	return g, nil
}

func (g *gpu) load() error {
	g.modules, g.classes = map[string]*driver.Module{}, map[class]*driver.Function{}
	defer func() { g.images = nil }()
	for _, f := range []struct {
		to          **driver.Function
		image, name string
	}{{&g.kernel, "network", "kernel_network"}, {&g.scalars, "course", "kernel_scalars"}, {&g.epochs, "course", "kernel_epochs"}} {
		module, err := g.module(f.image)
		if err != nil {
			return err
		}
		if *f.to, err = module.Function(f.name); err != nil {
			return err
		}
	}
	g.sharedFloats = planBytes(g.device, g.kernel.StaticShared) / 4
	if err := g.kernel.AllowShared(4 * g.sharedFloats); err != nil || g.device.Major < 8 {
		return err
	}
	resident, err := g.module("resident")
	if err != nil {
		return err
	}
	g.rows, err = resident.Function("kernel_rows")
	return err
}

// module loads an image once.
func (g *gpu) module(name string) (*driver.Module, error) {
	if m := g.modules[name]; m != nil {
		return m, nil
	}
	unpacked := g.images[name]
	if unpacked == nil {
		unpacked = func() ([]byte, error) { return image.Load(name) }
	}
	code, err := unpacked()
	if err != nil {
		return nil, err
	}
	m, err := g.context.Load(code)
	if err == nil {
		g.modules[name] = m
	}
	return m, err
}

// function is the kernel of a class.
func (g *gpu) function(c class) (*driver.Function, error) {
	if c == (class{}) {
		return g.kernel, nil
	}
	g.loading.Lock()
	defer g.loading.Unlock()
	if f := g.classes[c]; f != nil {
		return f, nil
	}
	m, err := g.module(c.image())
	if err != nil {
		return nil, err
	}
	f, err := m.Function(c.kernel())
	if err != nil {
		return nil, err
	}
	most := g.device.SharedPerBlock - f.StaticShared
	if c.resident() {
		most = min(most, c.sharedBytes(maxLayers))
	}
	if err := f.AllowShared(most); err != nil {
		return nil, err
	}
	g.classes[c] = f
	return f, nil
}

// Prepare copies the data to all devices, where it is not there from the population
// before. Networks follow when they are trained.
func (e *executor) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	if err := kernels.Check(&data, variants); err != nil {
		return nil, err
	}
	for i, v := range variants {
		if err := Refuses(v.Program(), min(v.Batch, data.Train.Len())); err != nil {
			return nil, fmt.Errorf("variant %d: %w", i, err)
		}
	}
	p := &population{data: data, nets: make([]network, len(variants)), free: make(chan *worker, len(e.gpus))}
	for i, v := range variants {
		n := data.Train.Len()
		p.nets[i] = network{variant: v, batch: min(v.Batch, n), perEpoch: v.StepsPerEpoch(n)}
		c, f, _, err := e.classOf(wantedBy(&v, data.Train))
		if err != nil {
			return nil, fmt.Errorf("variant %d: %w", i, err)
		}
		p.nets[i].class, p.nets[i].form = c, f
		if p.nets[i].work, err = c.stepWork(f, &v, p.nets[i].batch); err != nil {
			return nil, fmt.Errorf("variant %d: %w", i, err)
		}
	}
	for _, g := range e.gpus {
		w := g.worker()
		p.workers = append(p.workers, w)
		p.free <- w
		if err := w.load(&p.data); err != nil {
			return nil, errors.Join(w.fail(err), p.Close())
		}
	}
	return p, nil
}
