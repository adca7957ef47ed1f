// Package admin is the REST interface for operators: tenants, their users, access keys,
// buckets, backends, one file for each noun. Requests are JSON and signed with AWS
// Signature Version 4 for the service "sanctum". It never shows a secret after
// the answer that created it, never touches a backend or a key, and sends no
// headers that would let a browser's page of another origin in.
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

// Service is what admin requests are signed for, so that a signature for S3 is
// of no use here, nor the other way round.
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

// Config is what a Server works with.
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

// New returns a Server. It starts nothing.
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

// routes names every action; handle refuses a request before its handler runs
// unless the signer may take the action.
func (s *Server) routes() chi.Router {
	r := chi.NewRouter()
	r.Route("/v1", func(r chi.Router) {
		r.Post("/tenants", s.handle("CreateTenant", s.createTenant))
		r.Get("/tenants", s.handle("ListTenants", s.listTenants))
		r.Get("/tenants/{tenant}", s.handle("GetTenant", s.getTenant))
		r.Delete("/tenants/{tenant}", s.handle("DeleteTenant", s.deleteTenant))
		r.Post("/tenants/{tenant}/access-keys", s.handle("CreateAccessKey", s.createAccessKey))
		r.Get("/tenants/{tenant}/access-keys", s.handle("ListAccessKeys", s.listAccessKeys))
		r.Post("/tenants/{tenant}/users", s.handle("CreateUser", s.createUser))
		r.Get("/tenants/{tenant}/users", s.handle("ListUsers", s.listUsers))
		r.Delete("/tenants/{tenant}/users/{user}", s.handle("DeleteUser", s.deleteUser))
		r.Post("/tenants/{tenant}/users/{user}/access-keys", s.handle("CreateAccessKey", s.createAccessKey))
		r.Get("/tenants/{tenant}/users/{user}/access-keys", s.handle("ListAccessKeys", s.listAccessKeys))
		r.Delete("/access-keys/{key}", s.handle("DeleteAccessKey", s.deleteAccessKey))
		r.Put("/tenants/{tenant}/residency", s.handle("SetResidency", s.setResidency))
		r.Get("/tenants/{tenant}/limits", s.handle("GetLimits", s.getTenantLimits))
		r.Put("/tenants/{tenant}/limits", s.handle("SetLimits", s.setTenantLimits))
		r.Patch("/tenants/{tenant}/limits", s.handle("SetLimits", s.setTenantLimits))
		r.Get("/tenants/{tenant}/users/{user}/limits", s.handle("GetLimits", s.getUserLimits))
		r.Put("/tenants/{tenant}/users/{user}/limits", s.handle("SetLimits", s.setUserLimits))
		r.Patch("/tenants/{tenant}/users/{user}/limits", s.handle("SetLimits", s.setUserLimits))
		r.Get("/buckets/{bucket}/limits", s.handle("GetLimits", s.getBucketLimits))
		r.Put("/buckets/{bucket}/limits", s.handle("SetLimits", s.setBucketLimits))
		r.Patch("/buckets/{bucket}/limits", s.handle("SetLimits", s.setBucketLimits))
		r.Get("/buckets", s.handle("ListBuckets", s.listBuckets))
		r.Get("/backends", s.handle("ListBackends", s.listBackends))
		r.Post("/backends/{backend}/drain", s.handle("DrainBackend", s.drainBackend))
		r.Delete("/backends/{backend}/drain", s.handle("CancelDrain", s.cancelDrain))
		r.Delete("/backends/{backend}/doubtful", s.handle("DiscardDoubtful", s.discardDoubtful))
	})
	r.NotFound(s.handle("", notFound))
	r.MethodNotAllowed(s.handle("", methodNotAllowed))
	return r
}
