package page

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"vanilla/train"
	"vanilla/train/sweep"
	"vanilla/train/sweep/report"
)

// watchEvery is how often the directory of a sweep is looked at, while somebody follows it.
const watchEvery = time.Second

// watched is a sweep that the page follows: the report that vanilla results --html writes, made anew when there are new
// records.
type watched struct {
	mu        sync.Mutex
	following *report.Following
}

// newWatched reads a sweep's directory. It fails if there is none.
func newWatched(ctx context.Context, dir string) (*watched, error) {
	w := &watched{following: report.Follow(dir, nil)}
	return w, w.read(ctx)
}

// read reads the sweep if it has changed.
func (w *watched) read(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.following.Read(ctx)
}

// spec is what trains a point's network again: its recipe, with the seed that was best, of the finals if it was in them.
// Equal seeds give equal networks.
func (w *watched) spec(index int) (train.Recipe, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var best *sweep.Variant
	for i := range w.following.Report.Variants {
		v := &w.following.Report.Variants[i]
		if v.Index == index && (best == nil || better(v, best)) {
			best = v
		}
	}
	if best == nil {
		return train.Recipe{}, 0, errors.New("the sweep has no such point")
	}
	return w.following.Report.Plan.Points[index].Recipe, best.Seed, nil
}

// better says whether a is to be shown and not b: finals before the search, what got further, what is more accurate.
func better(a, b *sweep.Variant) bool {
	if a.Stage != b.Stage {
		return a.Stage == sweep.Final
	}
	if len(a.Records) != len(b.Records) {
		return len(a.Records) > len(b.Records)
	}
	accuracy := func(v *sweep.Variant) float64 {
		if p := v.Last().ValidationAccuracy; p != nil {
			return *p
		}
		return -1
	}
	return accuracy(a) > accuracy(b)
}

// sweeps are the paths of a sweep that is followed.
func (s *Server) sweeps(mux *http.ServeMux) {
	mux.HandleFunc("GET /sweep/report", s.report)
	mux.HandleFunc("GET /api/sweep/events", s.sweepEvents)
	mux.HandleFunc("GET /api/sweep/point/{index}", func(w http.ResponseWriter, r *http.Request) {
		index, err := strconv.Atoi(r.PathValue("index"))
		var recipe train.Recipe
		var seed uint64
		if err == nil {
			recipe, seed, err = s.sweep.spec(index)
		}
		if err != nil {
			refuse(w, http.StatusNotFound, "%v", err)
			return
		}
		answer(w, struct {
			settings
			Seed uint64 `json:"seed"`
		}{settingsOf(recipe), seed})
	})
}

// reportScript is the script of a report's page.
var reportScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// report answers with the report's page, which the page shows in a frame. It may run its own script and nothing else.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	s.sweep.mu.Lock()
	page := s.sweep.following.Page
	s.sweep.mu.Unlock()
	script := reportScript.FindSubmatch(page)
	if script == nil {
		refuse(w, http.StatusInternalServerError, "the report has no script")
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src '"+hashOf(string(script[1]))+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page)
}

// sweepNews is an event: a report that is new.
type sweepNews struct {
	Version int    `json:"version"`
	Points  int    `json:"points"` // that have records
	Planned int    `json:"planned"`
	Problem string `json:"problem,omitempty"`
}

func (s *Server) sweepEvents(w http.ResponseWriter, r *http.Request) {
	stream, err := newStream(w, &s.streams)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "%v", err)
		return
	}
	defer stream.end()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	last := sweepNews{Version: -1}
	for {
		err := s.sweep.read(r.Context())
		s.sweep.mu.Lock()
		f := s.sweep.following
		n := sweepNews{Version: f.Version, Points: len(f.Report.Points), Planned: f.Report.Plan.Size()}
		s.sweep.mu.Unlock()
		if err != nil {
			n.Problem = err.Error()
		}
		if n != last {
			last = n
			err = stream.send(n)
		} else {
			err = stream.alive()
		}
		if err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}
