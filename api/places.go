package api

import (
	"net/netip"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// Places of requests whose bodies are held in memory. Whoever is known shares with
// other tenants, whoever is not with other addresses: neither waits for the other.
const (
	// maxDocuments bounds, in bytes, the documents at once that are longer than
	// smallDocument.
	maxDocuments  = 128 << 20
	smallDocument = 64 << 10
	// maxStrangerDocuments bounds those of nobody in particular.
	maxStrangerDocuments = 16 << 20
	// maxForms bounds the forms at once that are read before their signature can be
	// verified, of those who name an access key that exists, and of others each. No
	// more than half of all requests are such.
	maxForms = 128
	// maxStrangerForm bounds the form of one who names none: it holds the token of an
	// identity provider and a session policy.
	maxStrangerForm = 64 << 10
	// documentRate is the number of bytes per second at which a document has to come
	// once Limits.Idle has passed.
	documentRate = 32 << 10
)

// stranger is who a request counts as that nobody signed: its address, or the network
// of one host where it is of IPv6. The zero value is all whose address is unknown.
type stranger = netip.Prefix

// stranger is who sent the request, if nobody signed it.
func (r *Request) stranger() stranger {
	a, err := netip.ParseAddr(r.sourceIP())
	if err != nil {
		return stranger{}
	}
	return fair.Host(a)
}

// seats are the places of requests in progress. A request takes one when it comes,
// which then becomes that of its tenant or of a stranger. Strangers have half of the
// seats at most, and never the last sixteenth; a tenant that holds its share, which is
// one of 32, does not take of the last three. So neither strangers nor one tenant keep
// others out, and one that is alone has nearly all.
type seats struct {
	mu        sync.Mutex
	size      int
	taken     int
	tenants   map[meta.ID]int
	strangers *fair.Pool[stranger]
	backends  map[string]*backendSeats
	most      map[string]int // Limits.Backends
}

// seat is one of them. The zero value is none.
type seat struct {
	taken    bool
	tenant   meta.ID
	strange  bool
	stranger stranger
	few      map[*backendSeats]bool // where it has one of few places
}

func newSeats(l *Limits) *seats {
	return &seats{
		size: l.Concurrent, tenants: make(map[meta.ID]int), strangers: fair.New[stranger](l.Concurrent / 2),
		backends: make(map[string]*backendSeats), most: l.Backends,
	}
}

// enter takes a seat for a request of whom nothing is known yet.
func (s *seats) enter(x *seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == s.size {
		return false
	}
	s.taken++
	x.taken = true
	return true
}

// asTenant makes a seat that of a tenant.
func (s *seats) asTenant(x *seat, tenant meta.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.tenant.IsZero() {
		return true
	}
	if s.size-s.taken < (3*s.size+31)/32 && s.tenants[tenant] >= max(s.size/32, 1) {
		return false
	}
	s.noStranger(x)
	s.tenants[tenant]++
	x.tenant = tenant
	return true
}

// asStranger makes a seat that of somebody unknown.
func (s *seats) asStranger(x *seat, who stranger) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.strange {
		return true
	}
	if s.size-s.taken < s.size/16 || !s.strangers.Take(who) {
		return false
	}
	x.strange, x.stranger = true, who
	return true
}

func (s *seats) noStranger(x *seat) {
	if x.strange {
		s.strangers.Give(x.stranger)
		x.strange, x.stranger = false, stranger{}
	}
}

// leave gives a seat back.
func (s *seats) leave(x *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.taken {
		return
	}
	s.taken--
	s.leaveBackends(x)
	s.noStranger(x)
	if !x.tenant.IsZero() {
		if s.tenants[x.tenant]--; s.tenants[x.tenant] == 0 {
			delete(s.tenants, x.tenant)
		}
	}
	*x = seat{}
}

// sit says whose the request's seat is, once it is known or known to be nobody's.
func (x *exchange) sit() error {
	ok := false
	if owner := x.req.Owner(); owner.IsZero() {
		ok = x.server.seats.asStranger(&x.seat, x.req.stranger())
	} else {
		ok = x.server.seats.asTenant(&x.seat, owner)
	}
	if !ok {
		return x.crowded()
	}
	return nil
}

func (x *exchange) crowded() error {
	x.reason = "the tenant or address has too many requests at once"
	return s3err.SlowDown
}

// reserveDocument takes places for a large document, which is held in memory whole, as
// many as it has bytes, and says by when the document has to be here. One whose length
// is not stated counts as the longest that there may be.
func (x *exchange) reserveDocument() error {
	if x.req.Op.Body != XMLBody {
		return nil
	}
	length := x.req.HTTP.ContentLength
	if length < 0 || length > x.req.Op.MaxBody {
		length = x.req.Op.MaxBody
	}
	x.in.until = x.documentDeadline(length)
	if length <= smallDocument {
		return nil
	}
	if owner := x.req.Owner(); !owner.IsZero() {
		return hold(x, x.server.documents, owner, int(length))
	}
	return hold(x, x.server.strangerDocuments, x.req.stranger(), int(length))
}

// documentDeadline is when a document has to be here that begins to come now.
func (x *exchange) documentDeadline(length int64) time.Time {
	return time.Now().Add(x.server.limits.Idle + time.Duration(length)*time.Second/documentRate)
}

// hold takes n places of a pool until the request ends, or x.release is called.
func hold[K comparable](x *exchange, pool *fair.Pool[K], party K, n int) error {
	if !pool.TakeMany(party, n) {
		x.reason = "too many large documents or forms at once"
		return s3err.SlowDown
	}
	x.held = func() { pool.GiveMany(party, n) }
	return nil
}

// release gives back the place of a document or form.
func (x *exchange) release() {
	if x.held != nil {
		x.held()
		x.held = nil
	}
}

// reserveForm takes a place for a form that is read before it is known whose it is.
func (x *exchange) reserveForm() error {
	if err := x.sit(); err != nil {
		return err
	}
	x.in.until = time.Now().Add(x.server.limits.Unknown)
	return hold(x, x.server.strangerForms, x.req.stranger(), 1)
}

// reserveSigned takes a place for a form of length bytes whose header names an access
// key. Where that exists the form counts with its tenant, so that strangers do not keep
// it out: only who knows an access key's name can, and its own tenant alone.
func (x *exchange) reserveSigned(length int64) error {
	key, token, ok := sigv4.Claimed(x.req.HTTP.Header, x.req.Target.Query)
	if ok {
		c, err := x.server.accounts.Credential(x.req.Context(), key, token)
		if err == nil && !c.Tenant.ID.IsZero() {
			x.in.until = x.documentDeadline(length)
			return hold(x, x.server.forms, c.Tenant.ID, 1)
		}
	}
	if length > maxStrangerForm {
		return s3err.MaxMessageLengthExceeded
	}
	return x.reserveForm()
}
