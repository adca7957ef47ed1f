// Package api speaks the S3 protocol. It parses requests, has them
// authenticated and authorized, and renders the engine's answers. It never
// touches a backend or a key, and no client header names internal state.
// Between requests it keeps rates and places by tenant, and records of access
// logs that are not yet delivered.
//
// The stages of every request are the list road; the S3 operations are the
// table Operations.
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

// DefaultRegion is the region of a gateway that is configured with none.
const DefaultRegion = "us-east-1"

// Config is all that a Server needs.
type Config struct {
	Engine *engine.Engine
	Region string // empty: DefaultRegion
	// Regions are further regions that clients may sign for. With AnyRegion
	// they may sign for every region, or for none.
	Regions   []string
	AnyRegion bool
	Domains   []string // base domains of virtual-hosted requests
	// Websites are base domains below which buckets are served as websites.
	// None may be one of Domains.
	Websites []string
	// BlockPublicAccess applies to a bucket without a public access block of
	// its own: no grant to everybody has an effect there.
	BlockPublicAccess bool
	// Ownership is the Object Ownership that a new bucket gets when its creator
	// asks for none; empty: BucketOwnerEnforced. It is stored with the bucket,
	// so that a later change of this setting leaves existing buckets as they
	// are.
	Ownership access.Ownership
	// SignatureV2 says where Signature Version 2 is accepted.
	SignatureV2 sigv4.Version2Use
	// Proxies are the addresses whose X-Forwarded-Proto and X-Forwarded-For
	// headers are trusted.
	Proxies []netip.Prefix
	Now     func() time.Time // nil: time.Now
	// Wait sleeps for a duration of Now's time, to keep a bandwidth limit. It
	// returns early with an error when the context ends. nil: sleep in real
	// time.
	Wait func(context.Context, time.Duration) error
	Log  *slog.Logger // nil: nothing is logged
	// IAM answers the forms of the IAM and STS APIs; nil: they are refused.
	IAM *iam.Handler
	// Observe is called after every finished request; nil: no calls. It must be
	// safe for concurrent use and return quickly.
	Observe func(Observation)
	Limits  Limits
}

// Observation is the metrics' view of one request.
type Observation struct {
	Operation string // "" when none was resolved
	Signature string // SigV2 or SigV4; "" when none was verified
	// Status is the status that was sent; 499 when the client was gone; for an
	// answer that was cut, the status of the error.
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
	// Requests in progress, connections in linger, and the turns that tenants
	// take at the store.
	seats     *seats
	lingering *fair.Pool[party]
	turns     *fair.Turns[turnOf]
	// refusals are the answers to requests without a seat that are being sent
	// over HTTP/2.
	refusals *fair.Pool[stranger]
	// documents and strangerDocuments bound the bytes of large documents in
	// memory, answers and strangerAnswers those of long answers; forms and strangerForms bound the forms that are read before they
	// are verified. Senders whose claimed access key does not exist count by
	// address, as strangers.
	documents         *fair.Pool[meta.ID]
	strangerDocuments *fair.Pool[stranger]
	answers           *fair.Pool[meta.ID]
	strangerAnswers   *fair.Pool[stranger]
	forms             *fair.Pool[meta.ID]
	strangerForms     *fair.Pool[stranger]
}

// New returns a Server. It starts no goroutine.
func New(c Config) *Server {
	s := &Server{
		engine: c.Engine, iam: c.IAM,
		region: c.Region, domains: c.Domains, websites: c.Websites, proxies: c.Proxies,
		blockPublicAccess: c.BlockPublicAccess,
		now:               c.Now, log: c.Log, observe: c.Observe, limits: c.Limits.withDefaults(),
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
	s.verifier = sigv4.Verifier{
		Region: s.region, Regions: c.Regions, AnyRegion: c.AnyRegion,
		Version2: c.SignatureV2, Refusal2: refusal2(c.SignatureV2), Now: s.now,
		DayKeys: new(sigv4.DayKeys),
	}
	if c.Ownership != access.BucketOwnerEnforced {
		s.ownership = c.Ownership
	}
	s.logs.now = s.now
	s.rates.clock, s.rates.of = clock{s.now, c.Wait}, make(map[meta.ID]*rateOf)
	if s.rates.wait == nil {
		s.rates.wait = sleep
	}
	s.seats, s.lingering = newSeats(&s.limits), fair.New[party](maxLingering)
	s.refusals = fair.New[stranger](s.limits.Concurrent)
	s.turns = fair.NewSharedTurns[turnOf](s.limits.Turns, tenantsAtTurns*s.limits.Turns)
	s.documents, s.strangerDocuments = fair.New[meta.ID](maxDocuments), fair.New[stranger](maxStrangerDocuments)
	s.answers, s.strangerAnswers = fair.New[meta.ID](maxAnswers), fair.New[stranger](maxStrangerAnswers)
	// Half of the seats at most: forms must not keep out all other requests.
	forms := min(maxForms, s.limits.Concurrent/2)
	s.forms, s.strangerForms = fair.New[meta.ID](forms), fair.New[stranger](forms)
	if s.engine != nil {
		s.accounts = s.engine.Accounts()
	}
	return s
}
