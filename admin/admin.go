// Package admin is the REST interface for operators: tenants, their users,
// access keys, buckets, backends, one file for each noun. Requests are JSON and
// signed with AWS Signature Version 4 for the service "sanctum". It shows a
// secret only in the answer that created it, and never touches a backend or a
// key. It sends no headers that would give pages of other origins access by a
// browser.
package admin

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Service is the service that admin requests are signed for. So a signature for
// S3 cannot be used here, and the other way round.
const Service = "sanctum"

// Limits of a request.
const (
	MaxBody      = 64 << 10 // bytes
	MaxPage      = 1000     // entries in one listing
	DefaultPage  = 100
	maxDepth     = 4                // of a body's objects and lists
	maxValues    = 100              // in a body
	bodyDeadline = 10 * time.Second // for a body to arrive and its answer to leave
)

// Config is all that a Server needs.
type Config struct {
	Engine *engine.Engine
	Region string           // of the signatures
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nothing is logged
}

// Server is the admin listener's http.Handler.
type Server struct {
	engine   *engine.Engine
	accounts *accounts.Accounts
	log      *slog.Logger
	now      func() time.Time
	verifier sigv4.Verifier // without a look-up: see identify
	router   chi.Router
}

// New returns a Server. It starts no goroutine.
func New(c Config) *Server {
	s := &Server{engine: c.Engine, log: c.Log, now: c.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.engine != nil {
		s.accounts = s.engine.Accounts()
	}
	s.verifier = sigv4.Verifier{Region: c.Region, Service: Service, Now: s.now}
	s.router = s.routes()
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }
