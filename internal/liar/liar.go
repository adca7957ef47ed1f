// Package liar is a server of S3 and of Google Cloud Storage for tests. It serves
// both correctly from memory, until it is told to lie about one call in one way. It
// ignores signatures.
package liar

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Bucket is the only bucket.
const Bucket = "sealed"

// Calls that can be lied about.
const (
	Put      = "put"
	Get      = "get"
	Stat     = "stat"
	Delete   = "delete"
	Bulk     = "bulk delete"
	List     = "list"
	Begin    = "begin upload"
	Part     = "part"
	Complete = "complete"
	Abort    = "abort"
	Uploads  = "list uploads"
)

// object is a stored object.
type object struct {
	data     []byte
	modified time.Time
}

// Server is the liar.
type Server struct {
	URL string
	// Told counts lies, Cookies requests that brought one back, and Stolen those
	// that followed a redirect.
	Told, Cookies, Stolen atomic.Int64

	mu      sync.Mutex
	objects map[string]object
	uploads map[string]map[int][]byte
	begun   int
	call    string // that is lied about
	lie     Lie
}

// Start runs a liar until the test ends. It is honest at first.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{objects: map[string]object{}, uploads: map[string]map[int][]byte{}}
	front := httptest.NewServer(s)
	s.URL = front.URL
	t.Cleanup(func() { s.Tell("", Lie{}); front.CloseClientConnections(); front.Close() })
	return s
}

// Tell makes the server lie about a call; an empty call ends that.
func (s *Server) Tell(call string, l Lie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.call, s.lie = call, l
}

// hold stores an object as a PUT does.
func (s *Server) hold(key string, data []byte) { s.restore(key, &object{data, time.Now()}) }

// Clear forgets all that is held.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.objects)
	clear(s.uploads)
}

// Names returns the names of the stored objects, in order.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// request is a call in a form common to both protocols.
type request struct {
	call   string
	google bool
	key    string
	body   []byte
	r      *http.Request
}

// answer is the response of an honest server.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Cookie") != "" {
		s.Cookies.Add(1)
	}
	if strings.HasPrefix(r.URL.Path, "/stolen") {
		s.Stolen.Add(1)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // an incomplete request has no effect
	}
	q := s.understand(r, body)
	s.mu.Lock()
	lie := s.lie
	tells := s.call != "" && s.call == q.call
	s.mu.Unlock()
	if tells && lie.Before != nil {
		s.Told.Add(1)
		lie.Before(s, w, q)
		return
	}
	if tells && lie.Whole {
		r.Header.Del("Range")
	}
	kept := s.snapshot(q.key)
	a := s.honest(q)
	if tells {
		s.Told.Add(1)
		if lie.Forget {
			s.restore(q.key, kept)
		}
		if lie.Twist != nil {
			lie.Twist(q, &a)
		}
		if lie.After != nil {
			lie.After(w, a)
			return
		}
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (s *Server) snapshot(key string) *object {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.objects[key]; ok {
		return &o
	}
	return nil
}

func (s *Server) restore(key string, o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.objects, key); o != nil {
		s.objects[key] = *o
	}
}

func (s *Server) understand(r *http.Request, body []byte) *request {
	if strings.HasPrefix(r.URL.Path, "/storage/v1/") || strings.HasPrefix(r.URL.Path, "/upload/storage/v1/") {
		return understandGoogle(r, body)
	}
	return understandS3(r, body)
}

func (s *Server) honest(q *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.google {
		return s.google(q)
	}
	return s.s3(q)
}

// span returns the part of a body that a Range header requests.
func span(data []byte, header string) (part []byte, contentRange string, ok bool) {
	var first, last int
	n, _ := fmt.Sscanf(header, "bytes=%d-%d", &first, &last)
	if n < 2 {
		last = len(data) - 1
	}
	last = min(last, len(data)-1)
	if n == 0 || first > last {
		return nil, fmt.Sprintf("bytes */%d", len(data)), false
	}
	return data[first : last+1], fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)), true
}
