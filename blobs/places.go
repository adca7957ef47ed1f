package blobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Backend is a configured backend. Region and Jurisdiction are what buckets and
// tenants may demand of it, beside its Name; either may be empty.
type Backend struct {
	Name string // 1..meta.MaxPlaceName bytes
	backends.Backend
	Type         string // for operators to read, such as s3
	Region       string
	Jurisdiction string
	// CallTimeout is how long a call, or a step of a body or a list, may be without an
	// answer before it is given up; 0: DefaultCallTimeout. It is above what the backend's own
	// limits come to.
	CallTimeout time.Duration
}

// satisfies reports whether the backend is what one demand asks for.
func (b *Backend) satisfies(demand string) bool {
	return demand != "" && (demand == b.Name || demand == b.Region || demand == b.Jurisdiction)
}

// meets reports whether the backend satisfies every demand; none is met by all.
func (b *Backend) meets(residency []string) bool {
	for _, demand := range residency {
		if !b.satisfies(demand) {
			return false
		}
	}
	return true
}

// place is a registered backend that this process is configured with.
type place struct {
	Backend
	id meta.BackendID
	// proved says that its marker has been seen: the configured name leads to
	// the storage that the store means. Nothing is written there before.
	proved atomic.Bool
	// met says that proved was true once since this process began: then nothing that is
	// read there is another deployment's.
	met    atomic.Bool
	sealed atomic.Bool // its sealing marker was seen, or put
	// revoked is the number of the last change of the revocations whose marker is there.
	revoked atomic.Int64
	// disagrees says that it was last seen not to agree with the store.
	disagrees atomic.Bool
	covered   atomic.Int64 // changes of this process that the epoch has moved on after
	begun     atomic.Bool  // the epoch has moved on since this process began
	pool      reservations
	attended  atomic.Bool // a beat's call there has not ended
	noted     string      // the last failure to prove it that was logged; guarded by attended
	epoch     int64       // the newest that was seen; guarded by registry.reading
	advancing sync.Mutex
	tidied    int64 // the epoch before which no marker is left; guarded by advancing
	told      toldApart
}

// fail gives an error of the backend the code that the client is told, and its name for
// the log. p may be nil.
func (p *place) fail(err error) error {
	if err == nil || p == nil {
		return err
	}
	return Coded(fmt.Errorf("backend %s: %w", p.Name, err))
}

// places is what this process knew of the deployment's backends at one moment.
// It is never changed once made.
type places struct {
	rows       []meta.Backend                  // all, by id
	configured map[meta.BackendID]*place       // those that are not retired and configured here
	states     map[meta.BackendID]meta.Backend // rows by id
	// only is the one backend that is not retired, where there is just one: then
	// no blob needs to be looked up.
	only *place
}

// registry keeps the newest places.
type registry struct {
	now atomic.Pointer[places]
	// reading is held while the store is read, so that an older answer never
	// replaces a newer one. known is guarded by it.
	reading sync.Mutex
	known   map[meta.BackendID]*place
}

// errNotConfigured: another gateway knows a backend that this one does not.
var errNotConfigured = errors.New("the backend is registered in the store but is not configured on this gateway")

// refresh reads the registered backends. Its result was true at some moment
// after it was called.
func (bs *Blobs) refresh(ctx context.Context) (*places, error) {
	g := &bs.registry
	g.reading.Lock()
	defer g.reading.Unlock()
	rows, err := bs.c.Store.ListBackends(ctx)
	if err != nil {
		return nil, err
	}
	if g.known == nil {
		g.known = make(map[meta.BackendID]*place)
	}
	s := &places{rows: rows, configured: make(map[meta.BackendID]*place), states: make(map[meta.BackendID]meta.Backend)}
	left := 0
	for _, row := range rows {
		s.states[row.ID] = row
		if row.State == meta.BackendRetired {
			continue
		}
		left++
		p := g.known[row.ID]
		if p == nil {
			if b := bs.configuredAs(row.Name); b != nil {
				p = &place{Backend: *b, id: row.ID, pool: newReservations()}
				// A place lives as long as the process. Its pool, its proof and its epoch must
				// not be lost because the store was read again.
				g.known[row.ID] = p
			}
		}
		if p != nil {
			if row.Epoch < p.epoch { // the store was rolled back while this process runs
				p.proved.Store(false)
			}
			p.epoch = row.Epoch
			s.configured[row.ID] = p
			s.only = p
		}
	}
	// only counts the rows that are not retired, and not those configured here: with a second
	// backend on another gateway, a blob may be there.
	if left != 1 {
		s.only = nil
	}
	g.now.Store(s)
	return s, nil
}

// Refresh reads the registered backends.
func (bs *Blobs) Refresh(ctx context.Context) error {
	_, err := bs.refresh(ctx)
	return err
}

// Has reports whether a backend of the configuration has the name.
func (bs *Blobs) Has(name string) bool { return bs.configuredAs(name) != nil }

// configuredAs finds a backend of the configuration by name, or nil.
func (bs *Blobs) configuredAs(name string) *Backend {
	for i := range bs.c.Backends {
		if bs.c.Backends[i].Name == name {
			return &bs.c.Backends[i]
		}
	}
	return nil
}

// named finds a backend by name among those that are not retired.
func (s *places) named(name string) (meta.Backend, bool) {
	for _, row := range s.rows {
		if row.Name == name && row.State != meta.BackendRetired {
			return row, true
		}
	}
	return meta.Backend{}, false
}

// active lists the configured backends that take new blobs, by id.
func (s *places) active() (ps []*place) {
	for _, row := range s.rows {
		if p := s.configured[row.ID]; p != nil && row.State == meta.BackendActive {
			ps = append(ps, p)
		}
	}
	return ps
}

// at returns a backend by id, as far as this gateway can reach it.
func (s *places) at(id meta.BackendID) (*place, error) {
	if p := s.configured[id]; p != nil {
		return p, nil
	}
	name := fmt.Sprint(id)
	if row, ok := s.states[id]; ok {
		name = row.Name
	}
	return nil, s3err.Wrap(s3err.ServiceUnavailable, fmt.Errorf("backend %s: %w", name, errNotConfigured))
}

// home is where a new blob of the bucket goes: its backend, or while that is
// draining, where it drains to. A bucket's demands are held against the
// configuration once more, for that may have changed since the bucket was made.
func (s *places) home(b *meta.Bucket) (*place, error) {
	id := b.Backend
	if row := s.states[id]; row.State == meta.BackendDraining {
		id = row.Drain.Target
	}
	p, err := s.at(id)
	if err != nil {
		return nil, err
	}
	if !p.meets(b.Residency) {
		return nil, s3err.Wrap(s3err.ServiceUnavailable,
			fmt.Errorf("bucket %s demands %q, which its backend %s does not satisfy", b.Name, b.Residency, p.Name))
	}
	return p, nil
}

// homeOf is where a new blob of the bucket goes that is to be at a backend: there, or
// while that is draining, where it drains to. With an empty name, or that of no backend,
// it is the bucket's home. InvalidStorageClass where the bucket demands another place: the
// name is an object's storage class.
func (s *places) homeOf(b *meta.Bucket, name string) (*place, error) {
	row, ok := s.named(name)
	if !ok {
		return s.home(b)
	}
	if row.State == meta.BackendDraining {
		row.ID = row.Drain.Target
	}
	p, err := s.at(row.ID)
	if err != nil {
		return nil, err
	}
	if !p.meets(b.Residency) {
		return nil, s3err.New(s3err.InvalidStorageClass, "").With("StorageClassRequested", name)
	}
	return p, nil
}

// Home is the backend where a new blob of the bucket goes that is to be at the backend of
// a name, see Reserve. bound reports whether it matters: false where the name is no
// backend's, or there is only one. Errors: InvalidStorageClass.
func (bs *Blobs) Home(b *meta.Bucket, name string) (home meta.BackendID, bound bool, err error) {
	s := bs.registry.now.Load()
	_, known := s.named(name)
	p, err := s.homeOf(b, name)
	if err == nil {
		home = p.id
	}
	return home, known && s.only == nil, err
}
