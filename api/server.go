// Package api speaks the S3 protocol: it takes requests apart, has them
// authenticated and authorized, and renders what the engine answers. It never
// touches a backend or a key, and lets no header of a client name internal state.
// Between requests it keeps rates and places by tenant, and records for access logs
// that are still to be delivered.
//
// The stages of every request are the list road; what S3 has is the table
// Operations.
package api

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
)

// DefaultRegion is the region of a gateway that was given none.
const DefaultRegion = "us-east-1"

// Config is what a Server works with.
type Config struct {
	Engine *engine.Engine
	Region string // empty: DefaultRegion
	// Regions are others that clients may sign for; AnyRegion: they may sign for any, also
	// for none.
	Regions   []string
	AnyRegion bool
	Domains   []string // base domains of virtual-hosted requests
	// Websites are base domains below which buckets are served as websites. None may
	// be one of Domains.
	Websites []string
	// BlockPublicAccess is what holds for a bucket without a public access block
	// of its own: nobody is given anything by being everybody.
	BlockPublicAccess bool
	// Ownership is the Object Ownership of new buckets whose makers ask for none; empty:
	// BucketOwnerEnforced. It is a setting of theirs from then on.
	Ownership access.Ownership
	// SignatureV2 says where Signature Version 2 is taken.
	SignatureV2 sigv4.Version2Use
	// Proxies are the addresses whose X-Forwarded-Proto and X-Forwarded-For are believed.
	Proxies []netip.Prefix
	Now     func() time.Time // nil: time.Now
	// Wait lets a time of Now's pass, where a limit of bandwidth asks for it; it ends
	// early, with an error, when the context does. nil: it takes that long.
	Wait func(context.Context, time.Duration) error
	Log  *slog.Logger // nil: nothing is logged
	// IAM answers the forms of the IAM and STS APIs; nil: they are refused.
	IAM *iam.Handler
	// Observe is told of every finished request; nil: nobody is. It must be
	// safe for concurrent use and quick.
	Observe func(Observation)
	Limits  Limits
}

// Observation is what metrics learn of one request.
type Observation struct {
	Operation string // "" when none was resolved
	Signature string // SigV2 or SigV4; "" when none was verified
	// Status is what was sent; 499 when the client was gone, and where an answer was cut
	// that of the error.
	Status   int
	Cut      bool   // the answer's body was cut
	Code     string // of the error; "" for success
	Duration time.Duration
	BytesIn  int64 // of the body, as read from the connection
	BytesOut int64 // of the body
}

// Server is the S3 listener's http.Handler.
type Server struct {
	engine   *engine.Engine
	accounts *accounts.Accounts
	iam      *iam.Handler
	region   string
	domains  []string
	websites []string
	// blockPublicAccess is Config.BlockPublicAccess.
	blockPublicAccess bool
	ownership         access.Ownership // of new buckets; "" for BucketOwnerEnforced
	proxies           []netip.Prefix
	now               func() time.Time
	log               *slog.Logger
	observe           func(Observation)
	limits            Limits
	verifier          sigv4.Verifier
	rates             rates
	logs              logBuffer
	seats             *seats              // of requests in progress
	lingering         *fair.Pool[party]   // of connections in linger
	turns             *fair.Turns[turnOf] // of tenants at the store
	// documents and strangerDocuments are the bytes of large documents in memory, forms
	// and strangerForms are taken by those whose form is read before it is verified.
	documents         *fair.Pool[meta.ID]
	strangerDocuments *fair.Pool[stranger]
	forms             *fair.Pool[meta.ID]
	strangerForms     *fair.Pool[stranger]
}

// New returns a Server. It starts nothing.
func New(c Config) *Server {
	s := &Server{
		engine: c.Engine, iam: c.IAM, region: c.Region, domains: c.Domains, websites: c.Websites, blockPublicAccess: c.BlockPublicAccess, proxies: c.Proxies,
		now: c.Now, log: c.Log, observe: c.Observe, limits: c.Limits.withDefaults(),
	}
	if s.region == "" {
		s.region = DefaultRegion
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.observe == nil {
		s.observe = func(Observation) {}
	}
	s.verifier = sigv4.Verifier{Region: s.region, Regions: c.Regions, AnyRegion: c.AnyRegion, Version2: c.SignatureV2, Refusal2: refusal2(c.SignatureV2), Now: s.now}
	if c.Ownership != access.BucketOwnerEnforced {
		s.ownership = c.Ownership
	}
	s.rates.clock, s.rates.of = clock{s.now, c.Wait}, make(map[meta.ID]*rateOf)
	if s.rates.wait == nil {
		s.rates.wait = sleep
	}
	s.seats, s.lingering = newSeats(&s.limits), fair.New[party](maxLingering)
	s.turns = fair.NewSharedTurns[turnOf](s.limits.Turns, tenantsAtTurns*s.limits.Turns)
	s.documents, s.strangerDocuments = fair.New[meta.ID](maxDocuments), fair.New[stranger](maxStrangerDocuments)
	forms := min(maxForms, s.limits.Concurrent/2)
	s.forms, s.strangerForms = fair.New[meta.ID](forms), fair.New[stranger](forms)
	if s.engine != nil {
		s.accounts = s.engine.Accounts()
		s.engine.PermitDeliveries(func(ctx context.Context, d engine.Delivery) error { return s.mayDeliver(ctx, inventoryReporter, d) })
		s.engine.OnLifecycle(s.logLifecycle)
	}
	return s
}
