package bench

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vanilla/kernels"
)

// Peer is another way to do the same work: a script in bench/peers that trains
// an epoch whenever it is asked to.
type Peer struct {
	Name string `json:"name"`
	File string `json:"file"`
	Case string `json:"case"`
	// Population is 1 for a peer that trains one network. One that trains
	// populations, of any size, has more: those of its check.
	Population int `json:"population"`
	// Batches is "own" if every network of a population has its own sample
	// order, "shared" if all see the same batches.
	Batches string `json:"batches,omitempty"`
	// Devices are those that it can run on.
	Devices []string `json:"devices"`

	// Python is the interpreter, Dir the folder of the script, Device "cpu" or
	// "cuda".
	Python, Dir, Device string `json:"-"`
}

// PeerDevices are where peers can run.
func PeerDevices() []string { return []string{"cpu", "cuda"} }

// LoadPeers reads those of dir/peers.json that run on a device. The scripts
// will run with the given Python.
func LoadPeers(dir, python, device string) ([]Peer, error) {
	text, err := os.ReadFile(filepath.Join(dir, "peers.json"))
	if err != nil {
		return nil, err
	}
	var peers []Peer
	if err := json.Unmarshal(text, &peers); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "peers.json"), err)
	}
	if strings.ContainsRune(python, filepath.Separator) { // the scripts run in dir
		if python, err = filepath.Abs(python); err != nil {
			return nil, err
		}
	}
	peers = slices.DeleteFunc(peers, func(p Peer) bool { return !slices.Contains(p.Devices, device) })
	for i := range peers {
		peers[i].Python, peers[i].Dir, peers[i].Device = python, dir, device
	}
	return peers, nil
}

// Settle is how long a pause beside peers should be: OpenMP's threads go on
// spinning for 200 ms after their work, at the cost of whoever runs next.
const Settle = 300 * time.Millisecond

// process is a running peer. It is asked "epoch" or "weights FILE".
type process struct {
	conversation
	peer   Peer
	c      Case
	file   string // its weights are exchanged in
	failed error  // why it goes no further
	// patience is how long it may take to start, and for an epoch.
	patience time.Duration
	params   [][][]float32 // of its networks in the end, once they were asked for
	hello    struct {
		Ready    bool              `json:"ready"`
		Device   string            `json:"device"`
		Versions map[string]string `json:"versions"`
	}
}

// peerPatience allows for imports and compilation, and for an epoch of the largest
// population.
const peerPatience = 5 * time.Minute

// start runs the peer's script and waits until it is ready.
func (p *process) start(ctx context.Context) error {
	args := []string{p.peer.File, "--case", p.peer.Case, "--batch", strconv.Itoa(p.c.Variants[0].Batch), "--threads", strconv.Itoa(p.c.Cores)}
	if p.peer.Population > 1 {
		args = append(args, "--population", strconv.Itoa(len(p.c.Variants)))
	}
	if n := p.c.Data.Train.Len(); n != 60000 {
		args = append(args, "--examples", strconv.Itoa(n))
	}
	var err error
	if p.file, err = writeWeights(p.c.Variants); err != nil {
		return err
	}
	args = append(args, "--device", p.peer.Device, "--initial", p.file)
	cmd := exec.CommandContext(ctx, p.peer.Python, args...)
	cmd.Dir = p.peer.Dir
	// Several processes share a GPU, of which JAX takes three quarters otherwise.
	cmd.Env = append(os.Environ(), "XLA_PYTHON_CLIENT_PREALLOCATE=false")
	if err := p.begin(cmd, 0); err != nil {
		return err
	}
	err = p.waiting(func() error { return p.read(&p.hello) })
	if err != nil || !p.hello.Ready {
		return fmt.Errorf("not ready: %v: %s", err, p.errs)
	}
	return nil
}

// waiting ends the process if it does not do something in time.
func (p *process) waiting(do func() error) error {
	timer := time.AfterFunc(p.patience, p.kill)
	err := do()
	if !timer.Stop() {
		return fmt.Errorf("no answer in %v: %w", p.patience.Round(time.Second), cmp.Or(err, context.DeadlineExceeded))
	}
	return err
}

func (p *process) name() string                        { return p.peer.Name }
func (p *process) device() (string, map[string]string) { return p.hello.Device, p.hello.Versions }
func (p *process) onProcessor() bool                   { return p.peer.Device == "cpu" }
func (p *process) networks() int {
	if p.peer.Population > 1 {
		return len(p.c.Variants)
	}
	return 1
}
func (p *process) alike() bool    { return false }
func (p *process) wrong() float64 { return 0 }

func (p *process) memory() (float64, string) {
	peak, ok := status(strconv.Itoa(p.cmd.Process.Pid), "VmHWM")
	if !ok {
		return 0, ""
	}
	return peak / 1e6, processPeak
}

func (p *process) close() error {
	defer os.Remove(p.file)
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	return p.end()
}

// advance trains so many steps, which are whole epochs.
func (p *process) advance(_ context.Context, steps int) (time.Duration, error) {
	start := time.Now()
	p.params = nil
	for range steps / p.c.Variants[0].StepsPerEpoch(p.c.Data.Train.Len()) {
		var report struct{ Seconds, Loss float64 }
		if err := p.waiting(func() error { return p.do("epoch", &report) }); err != nil {
			return time.Since(start), err
		}
	}
	return time.Since(start), nil
}

// weights asks for those of all networks, once after each advance.
func (p *process) weights(i int) ([][]float32, error) {
	if p.params == nil {
		var written struct{ Weights string }
		if err := p.waiting(func() error { return p.do("weights "+p.file, &written) }); err != nil {
			return nil, err
		}
		f, err := os.Open(p.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if p.params, err = readWeights(f, p.c.Variants[:p.networks()]); err != nil {
			return nil, fmt.Errorf("its weights: %w", err)
		}
	}
	return p.params[i], nil
}

// readWeights reads what writeWeights writes, to the end.
func readWeights(from io.Reader, variants []kernels.Variant) ([][][]float32, error) {
	r := bufio.NewReader(from)
	all := make([][][]float32, len(variants))
	for i, v := range variants {
		all[i] = v.InitialState().Params // for its shapes
		for _, p := range all[i] {
			if err := binary.Read(r, binary.LittleEndian, p); err != nil {
				return nil, fmt.Errorf("network %d of %d: %w", i, len(variants), err)
			}
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		return nil, fmt.Errorf("more than the %d networks' numbers", len(variants))
	}
	return all, nil
}

// writeWeights writes the variants' initial parameters to a new file, as
// float32 in little-endian order, network by network.
func writeWeights(variants []kernels.Variant) (file string, err error) {
	f, err := os.CreateTemp("", "vanilla-weights")
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, v := range variants {
		for _, p := range v.InitialState().Params {
			if err := binary.Write(w, binary.LittleEndian, p); err != nil {
				return "", err
			}
		}
	}
	return f.Name(), w.Flush()
}
