package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Options are what a server serves.
type Options struct {
	Networks []Network
	Images   *Sample // test images to load; may be nil
	// Trainer is what networks are trained with on the page.
	Trainer Trainer
	// Sweep is the directory of a sweep that the page follows, "" for none.
	Sweep string
	// Host is a name, besides localhost and all IP addresses, by which browsers may call the server.
	Host string
}

// Server serves the page. Nothing that a request asks for is looked up in the file system.
type Server struct {
	host    string
	start   []byte // the JSON that the page begins with
	files   map[string]file
	trainer *trainer
	sweep   *watched     // nil for none
	streams atomic.Int32 // of events, that are open
}

// file is something that is served as it is.
type file struct {
	kind string
	text []byte
}

// How long a client may take, and so how late the server may be on a machine whose cores all train. An idle connection
// costs a goroutine until then.
const (
	headerTimeout   = 60 * time.Second
	readTimeout     = 60 * time.Second
	writeTimeout    = 60 * time.Second
	idleTimeout     = 60 * time.Second
	shutdownTimeout = 3 * time.Second
)

// maxHeaderBytes and maxBodyBytes are what a request may send.
const (
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
)

// New makes a server. It fails if a network is not a chain of layers that sees images, if a weight is not finite, and if
// the sweep cannot be read.
func New(ctx context.Context, c Options) (*Server, error) {
	s := &Server{host: c.Host, files: map[string]file{}, trainer: newTrainer(c.Trainer)}
	start, err := newStart(c.Networks, c.Images)
	if err != nil {
		return nil, err
	}
	start.Training = newControls(c.Trainer.Data)
	if c.Sweep != "" {
		if s.sweep, err = newWatched(ctx, c.Sweep); err != nil {
			return nil, err
		}
		start.Sweep = filepath.Base(c.Sweep)
	}
	if s.start, err = json.Marshal(start); err != nil {
		return nil, err
	}
	entries, err := assets.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if name := e.Name(); name != indexFile {
			s.files[name] = file{mime.TypeByExtension(path.Ext(name)), []byte(asset(name))}
		}
	}
	s.files["palette.css"] = file{"text/css; charset=utf-8", []byte(paletteCSS())}
	return s, nil
}

// Handler answers the page's requests, and refuses those of other sites.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /assets/{name}", s.asset)
	mux.HandleFunc("GET /api/start", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(s.start)
	})
	s.trains(mux)
	if s.sweep != nil {
		s.sweeps(mux)
	}
	return s.guard(mux)
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	writeIndex(w, index{
		Title: "vanilla",
		Head: template.HTML("<link rel=\"stylesheet\" href=\"/assets/palette.css\">\n<link rel=\"stylesheet\" href=\"/assets/" + styleFile + "\">\n" +
			"<link rel=\"icon\" href=\"data:,\">"),
		Foot:   template.HTML("<script type=\"module\" src=\"/assets/" + servedEntry + "\"></script>"),
		Served: true,
	})
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Write(f.text)
}

// Serve answers requests until ctx is done, and then ends those that are under way. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // so that streams of events end
		ErrorLog:          log.New(io.Discard, "", 0),                        // what clients do wrong is theirs to know
	}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		s.trainer.close()
		err := server.Shutdown(late)
		if errors.Is(err, context.DeadlineExceeded) { // a client that does not read
			err = server.Close()
		}
		ended <- err
	})
	err := server.Serve(l)
	if stop() { // the listener failed
		s.trainer.close()
		return err
	}
	return <-ended
}

// answer answers with JSON.
func answer(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

// refuse answers with a JSON object that says what is wrong.
func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf(format, args...)})
}
