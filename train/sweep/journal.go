package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"vanilla/internal/store"
	"vanilla/kernels"
	"vanilla/model"
	"vanilla/train"
)

// saved is a variant in training: where it goes on from.
type saved struct {
	state  kernels.State
	losses []train.Loss // of all epochs so far
}

// entry is what one wave leaves: files that belong together.
type entry struct {
	models  map[string]*model.Model // by ID
	states  map[key]saved           // of the variants that go on
	records []Record
	over    []key // variants that need no state any more
}

// journal writes what a sweep keeps, in an order such that a process that is
// killed leaves nothing that is not so: models and states are on the disk before
// the records that refer to them, and states are removed after the records that make
// them useless. A wave's states are one file, a segment.
type journal struct {
	dir     *store.Dir
	records *os.File
	observe func(Record)

	segments int         // the number of the last one
	of       map[key]int // the segment that holds a variant's newest state
	live     map[int]int // how many of its states are a variant's newest

	entries chan entry
	done    chan struct{}
	err     error // of the writing; for others after done is closed
}

// openJournal goes on after the first size bytes of the records, and reads the
// states that there are.
func openJournal(dir *store.Dir, size int64, observe func(Record)) (j *journal, states map[key]saved, err error) {
	j = &journal{dir: dir, observe: observe, of: map[key]int{}, live: map[int]int{}, entries: make(chan entry), done: make(chan struct{})}
	if err := dir.Make(statesDir); err != nil {
		return nil, nil, err
	}
	if states, err = j.readStates(); err != nil {
		return nil, nil, err
	}
	if j.records, err = dir.OpenLines(recordsFile); err != nil {
		return nil, nil, err
	}
	if err = j.records.Truncate(size); err == nil {
		_, err = j.records.Seek(size, io.SeekStart)
	}
	if err != nil {
		return nil, nil, errors.Join(err, j.records.Close())
	}
	go j.run()
	return j, states, nil
}

// keep hands a wave's results to the writer, which is one wave behind at most. It
// fails if something could not be written.
func (j *journal) keep(e entry) error {
	select {
	case j.entries <- e:
		return nil
	case <-j.done:
		return j.err
	}
}

// close returns when all is written.
func (j *journal) close() error {
	close(j.entries)
	<-j.done
	return errors.Join(j.err, j.records.Close())
}

func (j *journal) run() {
	defer close(j.done)
	for e := range j.entries {
		if j.err = j.write(e); j.err != nil {
			return
		}
		for _, r := range e.records {
			if j.observe != nil {
				j.observe(r)
			}
		}
	}
}

func (j *journal) write(e entry) error {
	for id, m := range e.models {
		text, err := m.Encode()
		if err == nil {
			err = j.dir.Make(modelsDir)
		}
		if err == nil {
			err = replace(j.dir, modelName(id), text)
		}
		if err != nil {
			return err
		}
	}
	if len(e.states) > 0 {
		j.segments++
		if err := writeSegment(j.dir, segment(j.segments), e.states); err != nil {
			return err
		}
		for at := range e.states {
			j.drop(at)
			j.of[at] = j.segments
			j.live[j.segments]++
		}
	}
	if len(e.records) > 0 {
		lines, err := encode(e.records)
		if err == nil {
			_, err = j.records.Write(lines)
		}
		if err == nil {
			err = j.records.Sync()
		}
		if err != nil {
			return err
		}
	}
	for _, at := range e.over {
		j.drop(at)
	}
	return j.clean()
}

// drop forgets a variant's newest state.
func (j *journal) drop(at key) {
	if segment, ok := j.of[at]; ok {
		delete(j.of, at)
		j.live[segment]--
	}
}

// clean removes segments that hold no variant's newest state.
func (j *journal) clean() error {
	for n, states := range j.live {
		if states > 0 {
			continue
		}
		if err := os.Remove(j.dir.Path(segment(n))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		delete(j.live, n)
	}
	return nil
}

// segmentNumber is the number of a segment in a file of that name.
func segmentNumber(file string) (n int, ok bool) {
	name, ok := strings.CutSuffix(file, ".safetensors")
	n, err := strconv.Atoi(name)
	return n, ok && err == nil && statesDir+"/"+file == segment(n)
}

// segment is the name of one.
func segment(n int) string { return fmt.Sprintf("%s/%08d.safetensors", statesDir, n) }

// A segment is a safetensors file. Its metadata holds a list of segmentStates in
// JSON; the tensors 3.0, 3.1, … are the parameters of number 3 on the list and
// then what its optimizer keeps, with one dimension.

const segmentKey = "vanilla_states"

type segmentState struct {
	Stage   Stage
	Point   int
	Seed    uint64
	Step    int
	LossSum train.Loss
	Losses  []train.Loss
	Params  int
	Slots   int
}

func writeSegment(dir *store.Dir, name string, states map[key]saved) error {
	arrays := map[string]store.Tensor{}
	var list []segmentState
	for at, s := range states {
		n := 0
		for _, half := range [][][]float32{s.state.Params, s.state.Slots} {
			for _, a := range half {
				arrays[fmt.Sprintf("%d.%d", len(list), n)] = store.Vector(a)
				n++
			}
		}
		list = append(list, segmentState{at.stage, at.point, at.seed, s.state.Step, train.Loss(s.state.LossSum), s.losses,
			len(s.state.Params), len(s.state.Slots)})
	}
	metadata, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return dir.ReplaceTensors(name, arrays, map[string]string{segmentKey: string(metadata)})
}

// readStates reads each variant's newest state. Segments that cannot be read, or
// are damaged, are left out: what they held is trained again.
func (j *journal) readStates() (map[key]saved, error) {
	states := map[key]saved{}
	files, err := os.ReadDir(j.dir.Path(statesDir))
	if err != nil {
		return nil, err
	}
	for _, f := range files { // by name, so the newest is the last
		if name, ok := store.Unfinished(f.Name()); ok {
			if _, ok := segmentNumber(name); ok {
				if err := j.dir.RemoveUnfinished(statesDir + "/" + name); err != nil {
					return nil, err
				}
			}
			continue
		}
		number, ok := segmentNumber(f.Name())
		if !ok {
			continue
		}
		j.segments = max(j.segments, number)
		j.live[number] = 0
		own, err := readSegment(j.dir.Path(segment(number)))
		if err != nil {
			continue
		}
		for at, s := range own {
			j.drop(at)
			states[at] = s
			j.of[at] = number
			j.live[number]++
		}
	}
	return states, nil
}

func readSegment(path string) (map[key]saved, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, metadata, err := store.ParseTensors(data, len(data))
	if err != nil {
		return nil, err
	}
	var list []segmentState
	if err := json.Unmarshal([]byte(metadata[segmentKey]), &list); err != nil {
		return nil, err
	}
	states := make(map[key]saved, len(list))
	for k, s := range list {
		state := kernels.State{Step: s.Step, LossSum: float64(s.LossSum)}
		for n := range s.Params + s.Slots {
			view, ok := file.Tensor(fmt.Sprintf("%d.%d", k, n))
			if !ok || view.DType() != safetensors.F32 {
				return nil, fmt.Errorf("%s: no float32 tensor %d.%d", path, k, n)
			}
			values := store.Values(view)
			if n < s.Params {
				state.Params = append(state.Params, values)
			} else {
				state.Slots = append(state.Slots, values)
			}
		}
		states[key{s.Stage, s.Point, s.Seed}] = saved{state, s.Losses}
	}
	return states, nil
}
