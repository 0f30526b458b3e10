package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// stream sends Server-Sent Events to one client (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	count    *atomic.Int32
	last     time.Time
	lifeSign *time.Timer
}

// newStream begins an answer that is a stream. It fails if there are too many.
func newStream(w http.ResponseWriter, count *atomic.Int32) (*stream, error) {
	if count.Add(1) > maxListeners {
		count.Add(-1)
		return nil, fmt.Errorf("expected at most %d pages that follow: close one", maxListeners)
	}
	s := &stream{w: w, control: http.NewResponseController(w), count: count, lifeSign: time.NewTimer(lifeEvery)}
	// The time to read a request is over some seconds from now, and would end the stream.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		s.end()
		return nil, err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	return s, nil
}

func (s *stream) end() {
	s.lifeSign.Stop()
	s.count.Add(-1)
}

// send writes an event. It fails if the client is gone or does not read.
func (s *stream) send(event any) error {
	text, err := json.Marshal(event)
	if err != nil {
		return err
	}
	return s.write("data: " + string(text) + "\n\n")
}

func (s *stream) write(text string) error {
	s.last = time.Now()
	s.lifeSign.Reset(lifeEvery)
	return errors.Join(s.control.SetWriteDeadline(s.last.Add(eventTimeout)), writeAll(s.w, text), s.control.Flush())
}

func writeAll(w http.ResponseWriter, text string) error {
	_, err := w.Write([]byte(text))
	return err
}

// alive gives a sign of life if it is time.
func (s *stream) alive() error {
	if time.Since(s.last) < lifeEvery {
		return nil
	}
	return s.write(":\n\n")
}

// wait returns when there is news again, not too soon after the last. It fails when ctx is done, which it is when the
// client is gone.
func (s *stream) wait(ctx context.Context, changed <-chan struct{}) error {
	for news := false; !news; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
			news = true
		case <-s.lifeSign.C:
			if err := s.write(":\n\n"); err != nil {
				return err
			}
		}
	}
	soon := time.NewTimer(time.Until(s.last.Add(eventEvery)))
	defer soon.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-soon.C:
		return nil
	}
}
