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

// Bounds of requests whose bodies are held in memory. Known senders share with
// other tenants, unknown senders with other addresses; neither group waits for
// the other.
const (
	// maxDocuments bounds the bytes of all concurrent documents longer than
	// smallDocument.
	maxDocuments  = 128 << 20
	smallDocument = 64 << 10
	// maxStrangerDocuments is the same bound for documents of unsigned
	// requests.
	maxStrangerDocuments = 16 << 20
	// maxAnswers bounds the memory of all answers longer than smallAnswer that are
	// being sent to known senders, in bytes. Such a document is in memory until its client
	// has taken it: a listing of long keys has 7 MB.
	maxAnswers  = 128 << 20
	smallAnswer = 1 << 20
	// maxStrangerAnswers is the same bound for unsigned requests.
	maxStrangerAnswers = 32 << 20
	// maxForms bounds the forms that are read at once before their signature is
	// verified: those that name an existing access key, and separately all
	// others. At most half of all requests are such forms.
	maxForms = 128
	// maxStrangerForm bounds a form that names no existing access key. It holds
	// the token of an identity provider and a session policy.
	maxStrangerForm = 64 << 10
	// documentRate is the least rate of a document, in bytes per second, after
	// Limits.Idle has passed.
	documentRate = 32 << 10
)

// stranger is the party of an unsigned request: its IPv4 address, or the IPv6
// network of its host. The zero value stands for all unknown addresses.
type stranger = netip.Prefix

// stranger returns the party of the request as if it is unsigned.
func (r *Request) stranger() stranger {
	a, err := netip.ParseAddr(r.sourceIP())
	if err != nil {
		return stranger{}
	}
	return fair.Host(a)
}

// seats counts the requests in progress. A request takes a seat when it
// arrives; later the seat is assigned to its tenant or to a stranger. Strangers
// together hold at most half of the seats and never the last sixteenth. A
// tenant that holds its share, one seat of 32, gets none of the last three of
// 32, and neither does an address with as many requests whose sender is not
// known yet: the store may have to be asked for their access keys. So neither
// strangers nor one tenant keep others out, but a party that is alone has
// nearly all seats.
type seats struct {
	mu        sync.Mutex
	size      int // in total
	taken     int
	unknown   map[stranger]int // seats that are not assigned, by address
	tenants   map[meta.ID]int
	strangers *fair.Pool[stranger]
	backends  map[string]*backendSeats
	most      map[string]int // Limits.Backends
}

// seat is the seat of one request. The zero value is none.
type seat struct {
	taken    bool
	unknown  bool // it is not assigned, and counts with stranger
	tenant   meta.ID
	strange  bool
	stranger stranger
	few      map[*backendSeats]bool // backends where it holds one of few places
}

// newSeats makes the seats of a server with the limits.
func newSeats(l *Limits) *seats {
	return &seats{
		size: l.Concurrent, unknown: make(map[stranger]int), tenants: make(map[meta.ID]int),
		strangers: fair.New[stranger](l.Concurrent / 2), backends: make(map[string]*backendSeats), most: l.Backends,
	}
}

// enter takes a seat for a request of unknown sender from an address.
func (s *seats) enter(x *seat, from stranger) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == s.size || s.few() && s.unknown[from] >= s.share() {
		return false
	}
	s.taken++
	s.unknown[from]++
	x.taken, x.unknown, x.stranger = true, true, from
	return true
}

// few reports whether only the seats are left that are for parties without a
// share. It is rounded up, so that small gateways reserve a seat too.
func (s *seats) few() bool { return s.size-s.taken < (3*s.size+31)/32 }

// share is the number of seats up to which a party gets the last ones.
func (s *seats) share() int { return max(s.size/32, 1) }

// assign takes the seat from the address that it counted with.
func (s *seats) assign(x *seat) {
	if x.unknown {
		if s.unknown[x.stranger]--; s.unknown[x.stranger] == 0 {
			delete(s.unknown, x.stranger)
		}
		x.unknown, x.stranger = false, stranger{}
	}
}

// asTenant assigns a seat to a tenant. It returns false when the tenant's share
// is used up.
func (s *seats) asTenant(x *seat, tenant meta.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.tenant.IsZero() {
		return true
	}
	if s.few() && s.tenants[tenant] >= s.share() {
		return false
	}
	s.assign(x)
	s.noStranger(x)
	s.tenants[tenant]++
	x.tenant = tenant
	return true
}

// asStranger assigns a seat to an unknown sender. It returns false when
// strangers have too many.
func (s *seats) asStranger(x *seat, who stranger) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.strange {
		return true
	}
	if s.size-s.taken < s.size/16 || !s.strangers.Take(who) {
		return false
	}
	s.assign(x)
	x.strange, x.stranger = true, who
	return true
}

// noStranger takes a seat back from its stranger: a form's sender is unknown
// until its signature was read.
func (s *seats) noStranger(x *seat) {
	if x.strange {
		s.strangers.Give(x.stranger)
		x.strange, x.stranger = false, stranger{}
	}
}

// party returns the party that a request counts with now: its tenant, or its address
// until it has one.
func (s *seats) party(x *seat, from stranger) party {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.tenant.IsZero() {
		return party{tenant: x.tenant}
	}
	return party{stranger: from}
}

// leave gives a seat back. A seat that was never taken is ignored.
func (s *seats) leave(x *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.taken {
		return
	}
	s.taken--
	// Before the seat forgets the party that the places count with.
	s.leaveBackends(x)
	s.assign(x)
	s.noStranger(x)
	if !x.tenant.IsZero() {
		if s.tenants[x.tenant]--; s.tenants[x.tenant] == 0 {
			delete(s.tenants, x.tenant)
		}
	}
	*x = seat{}
}

// sit assigns the request's seat to its tenant, or to a stranger when it has
// none.
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

// crowded is the refusal of a request whose party has no seat left.
func (x *exchange) crowded() error {
	x.reason = "the tenant or address has too many requests at once"
	return s3err.SlowDown
}

// reserveDocument takes as many places as a large document has bytes, because
// it is held in memory whole, and sets the deadline of its arrival. A document
// of unknown length counts as the longest allowed.
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

// reserveAnswer takes as many places as a long answer has bytes in memory, with those
// that were set aside for it to grow. The caller gives them back when it was sent.
func (x *exchange) reserveAnswer(answer []byte) (giveBack func(), err error) {
	length := cap(answer)
	if length <= smallAnswer {
		return func() {}, nil
	}
	ok := false
	if owner := x.req.Owner(); !owner.IsZero() {
		ok = x.server.answers.TakeMany(owner, length)
		giveBack = func() { x.server.answers.GiveMany(owner, length) }
	} else {
		who := x.req.stranger()
		ok = x.server.strangerAnswers.TakeMany(who, length)
		giveBack = func() { x.server.strangerAnswers.GiveMany(who, length) }
	}
	if !ok {
		x.reason = "too many long answers at once"
		return nil, s3err.SlowDown
	}
	return giveBack, nil
}

// documentDeadline is the deadline of a document that begins to arrive now.
func (x *exchange) documentDeadline(length int64) time.Time {
	return time.Now().Add(x.server.limits.Idle + time.Duration(length)*time.Second/documentRate)
}

// hold takes n places of a pool until the request ends or x.release is called.
func hold[K comparable](x *exchange, pool *fair.Pool[K], party K, n int) error {
	if !pool.TakeMany(party, n) {
		x.reason = "too many large documents or forms at once"
		return s3err.SlowDown
	}
	x.held = func() { pool.GiveMany(party, n) }
	return nil
}

// release gives back the places of a document or form, or of the answer to a form.
func (x *exchange) release() {
	if x.held != nil {
		x.held()
		x.held = nil
	}
}

// reserveForm takes a place for a form whose sender is not known yet.
func (x *exchange) reserveForm() error {
	if err := x.sit(); err != nil {
		return err
	}
	x.in.until = time.Now().Add(x.server.limits.Unknown)
	return hold(x, x.server.strangerForms, x.req.stranger(), 1)
}

// reserveSigned takes a place for a form of length bytes whose header names an
// access key. If the key exists, the form counts with its tenant and strangers
// cannot crowd it out: only somebody who knows the access key can, and only for
// its own tenant.
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
