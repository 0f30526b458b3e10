package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"vanilla/model"
	"vanilla/model/export"
	"vanilla/train"
)

// order is what the page sends to have networks trained.
type order struct {
	Networks []struct {
		Recipe train.Recipe `json:"recipe"`
		Seed   uint64       `json:"seed"`
	} `json:"networks"`
	Paused bool `json:"paused"` // before the first step
}

// trains are the paths of training.
func (s *Server) trains(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/train/start", s.startTraining)
	mux.HandleFunc("POST /api/train/follow", s.follow)
	mux.HandleFunc("POST /api/train/pause", s.act(func(*http.Request) error { return s.trainer.pause() }))
	mux.HandleFunc("POST /api/train/resume", s.act(func(*http.Request) error { return s.trainer.resume() }))
	mux.HandleFunc("POST /api/train/stop", s.act(func(*http.Request) error { return s.trainer.stop() }))
	mux.HandleFunc("POST /api/train/step", s.act(func(r *http.Request) error {
		var of struct {
			Steps int `json:"steps"`
		}
		if err := decode(r, &of); err != nil {
			return err
		}
		if of.Steps < 1 || of.Steps > maxSteps {
			return fmt.Errorf("expected 1 to %d steps, found %d", maxSteps, of.Steps)
		}
		return s.trainer.step(of.Steps)
	}))
	mux.HandleFunc("GET /api/train/events", s.events)
	mux.HandleFunc("GET /api/train/{run}/{network}/params", s.params)
	mux.HandleFunc("GET /api/train/{run}/{network}/model", s.model)
}

// maxSteps is how many steps are trained at one request.
const maxSteps = 100_000

// decode reads a request's body, one JSON object of which all fields must be known.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("found more after it")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	if err != nil {
		return fmt.Errorf("expected one JSON object: %w", err)
	}
	return nil
}

// act answers a request by doing something.
func (s *Server) act(does func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := does(r); err != nil {
			refuse(w, statusOf(err), "%v", err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// statusOf is how HTTP says what is wrong.
func statusOf(err error) int {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, busyError{}), errors.Is(err, errNoRun):
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

func (s *Server) startTraining(w http.ResponseWriter, r *http.Request) {
	s.act(func(*http.Request) error {
		var o order
		if err := decode(r, &o); err != nil {
			return err
		}
		var specs []train.Spec
		for _, n := range o.Networks {
			specs = append(specs, train.Spec{Recipe: n.Recipe, Seed: n.Seed, OrderSeed: n.Seed})
		}
		// Training goes on when the request is answered.
		return s.trainer.start(context.WithoutCancel(r.Context()), specs, o.Paused)
	})(w, r)
}

// follow answers with a recipe in which what depends on a field that was changed, and was not set itself, has followed it,
// and with the fields that set nothing in it.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	var changed struct{ Was, Is train.Recipe }
	if err := decode(r, &changed); err != nil {
		refuse(w, statusOf(err), "%v", err)
		return
	}
	is := changed.Is
	is.Follow(changed.Was, func(field string) bool { return is.Get(field) != changed.Was.Get(field) })
	answer(w, settingsOf(is))
}

// news is an event: how a run stands. Of the curves it has what the listener does not know yet.
type news struct {
	Run      int           `json:"run"` // counted from 1; 0 if there was none
	Status   status        `json:"status"`
	Problem  string        `json:"problem,omitempty"`
	Looks    int           `json:"looks"`
	Networks []networkNews `json:"networks"`
}

type networkNews struct {
	chain
	Drawn      bool         `json:"drawn"` // it is a chain of layers, which the page can run
	Recipe     train.Recipe `json:"recipe"`
	Seed       uint64       `json:"seed"`
	Step       int          `json:"step"`
	Total      int          `json:"total"`
	PerEpoch   int          `json:"per_epoch"`
	Diverged   bool         `json:"diverged"`
	Kept       bool         `json:"kept"` // it can be saved
	Losses     []point      `json:"losses"`
	Accuracies []point      `json:"accuracies"`
}

// heard is how much of a run's curves a listener knows.
type heard struct {
	run                int
	losses, accuracies []int
}

// news is what a listener does not know, and what is closed at the next change.
func (t *trainer) news(h *heard) (n news, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.run
	if r == nil {
		return news{Status: idle, Networks: []networkNews{}}, t.changed
	}
	if h.run != r.number {
		*h = heard{r.number, make([]int, len(r.variants)), make([]int, len(r.variants))}
	}
	n = news{Run: r.number, Status: r.status, Problem: r.problem, Looks: r.looks}
	for i := range r.variants {
		m := &r.variants[i]
		r := m.spec.Recipe
		c, err := chainOf(r.Network(), r.Arch, r.Activation)
		if err != nil {
			continue // which was checked
		}
		n.Networks = append(n.Networks, networkNews{
			chain: c, Drawn: r.Chain(),
			Recipe: r, Seed: m.spec.Seed, Step: m.step, Total: m.total, PerEpoch: m.perEpoch, Diverged: m.diverged, Kept: m.model != nil,
			Losses: append([]point{}, m.losses[h.losses[i]:]...), Accuracies: append([]point{}, m.accuracies[h.accuracies[i]:]...),
		})
		h.losses[i], h.accuracies[i] = len(m.losses), len(m.accuracies)
	}
	return n, t.changed
}

// How events are sent: not more often than can be seen, a sign of life now and then, which finds out whether the client
// is still there, and not to clients that do not read.
const (
	eventEvery   = 100 * time.Millisecond
	lifeEvery    = 20 * time.Second
	eventTimeout = 60 * time.Second
	maxListeners = 32
)

// events streams the news of training, as Server-Sent Events.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	stream, err := newStream(w, &s.streams)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "%v", err)
		return
	}
	defer stream.end()
	defer s.trainer.listen()()
	var h heard
	for {
		n, changed := s.trainer.news(&h)
		if err := stream.send(n); err != nil {
			return
		}
		if err := stream.wait(r.Context(), changed); err != nil {
			return
		}
	}
}

// network is a network of the run that a path names, under the trainer's mutex.
func (t *trainer) network(r *http.Request) (*variant, error) {
	number, err := strconv.Atoi(r.PathValue("run"))
	index, err2 := strconv.Atoi(r.PathValue("network"))
	if err != nil || err2 != nil || t.run == nil || t.run.number != number || index < 0 || index >= len(t.run.variants) {
		return nil, errors.New("there is no such network: another run may have taken its place")
	}
	return &t.run.variants[index], nil
}

// params answers with a network's parameters as they were seen last: float32, little-endian.
func (s *Server) params(w http.ResponseWriter, r *http.Request) {
	s.trainer.mu.Lock()
	m, err := s.trainer.network(r)
	var params [][]float32
	if err == nil {
		params = m.params // which are replaced, never changed
	}
	s.trainer.mu.Unlock()
	if err == nil && params == nil {
		err = errors.New("the network was not seen yet")
	}
	if err != nil {
		refuse(w, http.StatusNotFound, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(floats(params))
}

// model answers with a network as a file to save, in the format that as= names.
func (s *Server) model(w http.ResponseWriter, r *http.Request) {
	s.trainer.mu.Lock()
	m, err := s.trainer.network(r)
	var kept *model.Model
	if err == nil {
		kept = m.model
	}
	s.trainer.mu.Unlock()
	if err == nil && kept == nil {
		err = errors.New("the network is being trained, or diverged: pause or stop it to save it")
	}
	if err != nil {
		refuse(w, http.StatusNotFound, "%v", err)
		return
	}
	name := filepath.Base("model." + r.URL.Query().Get("as"))
	data, err := s.encode(kept, name)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	w.Write(data)
}

// encode is a model as a file of that name.
func (s *Server) encode(m *model.Model, name string) ([]byte, error) {
	switch extension := filepath.Ext(name); extension {
	case ".safetensors":
		return m.Encode()
	case ".html":
		var b bytes.Buffer
		err := Write(&b, []Network{{Name: "trained", Model: m}}, NewSample(s.trainer.Data.Test, savedImages, nil))
		return b.Bytes(), err
	default:
		format, ok := export.FormatOf(name)
		if !ok {
			return nil, fmt.Errorf("no network can be saved as %.20q: want safetensors, onnx, npz, json or html", extension)
		}
		return format.Encode(m)
	}
}

// savedImages is how many test images a page that is saved holds.
const savedImages = 100
