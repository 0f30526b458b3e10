//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"fmt"

	"vanilla/kernels"
	"vanilla/kernels/cuda/driver"
	"vanilla/kernels/cuda/image"
)

// New opens the GPUs with these indices, or all there are. They must be of one
// compute capability, so that it makes no difference which of them trains a
// network. It fails with driver.ErrUnavailable on a machine without a GPU.
func New(devices ...int) (kernels.Executor, error) {
	all, err := driver.Devices()
	if err != nil {
		return nil, err
	}
	if len(devices) == 0 {
		for i := range all {
			devices = append(devices, i)
		}
	}
	e := &executor{}
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

type executor struct{ gpus []*gpu }

func (e *executor) Name() string { return "cuda" }

// Device names the first GPU and says how many there are.
func (e *executor) Device() string {
	text := e.gpus[0].device.String()
	if n := len(e.gpus); n > 1 {
		text = fmt.Sprintf("%d devices, the first one %s", n, text)
	}
	return text
}

// arithmetic is the version of what the kernel computes. It goes up when a
// program's results change.
const arithmetic = 1

// Arithmetic is one for devices of one compute capability, for which the kernel
// was compiled alike.
func (e *executor) Arithmetic() string {
	d := e.gpus[0].device
	if d.StandIn {
		return fmt.Sprintf("cuda %d, stand-in", arithmetic)
	}
	return fmt.Sprintf("cuda %d, compute capability %d.%d", arithmetic, d.Major, d.Minor)
}

func (e *executor) Explain(source kernels.Source, o kernels.Optimizer) ([]string, error) {
	return explain(source.Lowered(), o, e.gpus[0].sharedFloats)
}

func (e *executor) Close() error {
	var errs []error
	for _, g := range e.gpus {
		errs = append(errs, g.context.Close())
	}
	e.gpus = nil
	return errors.Join(errs...)
}

// gpu is a device with the kernel loaded.
type gpu struct {
	context *driver.Context
	kernel  *driver.Function
	device  driver.Device
	// sharedFloats is how much dynamic shared memory plans may use: what lets two
	// blocks run on a multiprocessor, so that one computes while the other waits.
	sharedFloats int
}

// reservedShared is what CUDA keeps of a multiprocessor's shared memory for each
// block, from compute capability 8.0 on.
const reservedShared = 1024

func open(index int) (*gpu, error) {
	context, err := driver.Open(index)
	if err != nil {
		return nil, err
	}
	g := &gpu{context: context, device: context.Device()}
	if err := g.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", g.device.Name, err), context.Close())
	}
	return g, nil
}

func (g *gpu) load() error {
	code, err := image.Load("network")
	if err != nil {
		return err
	}
	module, err := g.context.Load(code)
	if err != nil {
		return err
	}
	if g.kernel, err = module.Function("kernel_network"); err != nil {
		return err
	}
	bytes := min(g.device.SharedPerBlock, g.device.SharedPerSM/2-reservedShared) - g.kernel.StaticShared
	g.sharedFloats = max(0, bytes) / 4
	return g.kernel.AllowShared(4 * g.sharedFloats)
}

// Prepare copies the data to all devices. Networks follow when they are trained.
func (e *executor) Prepare(data kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	if err := kernels.Check(&data, variants); err != nil {
		return nil, err
	}
	p := &population{data: data, nets: make([]network, len(variants)), free: make(chan *worker, len(e.gpus))}
	for i, v := range variants {
		n := data.Train.Len()
		p.nets[i] = network{variant: v, batch: min(v.Batch, n), perEpoch: v.StepsPerEpoch(n)}
	}
	for _, g := range e.gpus {
		w := &worker{gpu: g, plans: plans{}}
		p.workers = append(p.workers, w)
		p.free <- w
		if err := w.load(&p.data); err != nil {
			return nil, errors.Join(w.fail(err), p.Close())
		}
	}
	return p, nil
}
