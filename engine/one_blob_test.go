package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// stubborn is a backend that fails for some blobs, whatever else it is asked with them.
type stubborn struct {
	backends.Backend
	mu      sync.Mutex
	fails   map[backends.BlobID]error
	op      string // Stat, Get, Read or Delete
	deletes int    // calls
}

func (s *stubborn) set(op string, fails map[backends.BlobID]error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.op, s.fails, s.deletes = op, fails, 0
}

func (s *stubborn) of(op string, id backends.BlobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.op == op {
		return s.fails[id]
	}
	return nil
}

func (s *stubborn) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if err := s.of("Stat", id); err != nil {
		return backends.Info{}, err
	}
	return s.Backend.Stat(ctx, id)
}

func (s *stubborn) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if err := s.of("Get", id); err != nil {
		return nil, err
	}
	rc, err := s.Backend.Get(ctx, id, off, n)
	if fails := s.of("Read", id); err == nil && fails != nil {
		return &brokenBody{rc, fails}, nil
	}
	return rc, err
}

type brokenBody struct {
	io.ReadCloser
	err error
}

func (b *brokenBody) Read([]byte) (int, error) { return 0, b.err }

func (s *stubborn) Delete(ctx context.Context, ids ...backends.BlobID) error {
	s.mu.Lock()
	s.deletes++
	s.mu.Unlock()
	for _, id := range ids {
		if err := s.of("Delete", id); err != nil {
			return err
		}
	}
	return s.Backend.Delete(ctx, ids...)
}

// bodies are the blobs of a backend that are no markers.
func bodies(t *testing.T, b backends.Backend) map[backends.BlobID]bool {
	t.Helper()
	all := make(map[backends.BlobID]bool)
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > 0 {
			all[info.ID] = true
		}
	}
	return all
}

// oneBlobErrors are what a backend may say of one blob alone, for as long as it lives.
var oneBlobErrors = map[string]error{
	"bad sector":  errors.New("read: input/output error"),
	"held there":  fmt.Errorf("%w: AccessDenied (HTTP 403)", backends.ErrDenied),
	"not a file":  errors.New("not a plain file (mode 0100)"),
	"other bytes": fmt.Errorf("%w: a checksum", backends.ErrCorrupt),
}

// Blobs that a backend never deletes, more of them than are looked for in one pass, do not
// keep the others from being deleted, and are tried again.
func TestUndeletableBlobs(t *testing.T) {
	const held, free = 20, 25
	for what, why := range oneBlobErrors {
		t.Run(what, func(t *testing.T) {
			r := newBareRig(t)
			s := &stubborn{Backend: r.backend}
			r.config.Backends = local(s)
			r.reopen()
			r.b = r.bucket("first-bucket", "")
			fails := make(map[backends.BlobID]error)
			for i := range held + free {
				r.mustPut(fmt.Sprint("k", i), body(uint64(i), 100))
				if i == held-1 {
					for id := range bodies(t, r.backend) {
						fails[id] = why
					}
				}
			}
			for i := range held + free { // those that are held are condemned first
				r.delete(fmt.Sprint("k", i))
			}
			s.set("Delete", fails)
			for pass := range 3 {
				c, err := r.e.Blobs().Collect(t.Context())
				if err == nil || !errors.Is(err, why) {
					t.Errorf("pass %d: %+v, %v", pass, c, err)
				}
			}
			if left := len(bodies(t, r.backend)); left != held {
				t.Errorf("%d blobs are left, want the %d that the backend holds", left, held)
			}
			s.set("", nil)
			r.wantClean(0)
		})
	}
}

// A backend that does nothing at all is not asked for each blob.
func TestNothingIsDeletedWhileAway(t *testing.T) {
	for _, why := range []error{backends.ErrUnavailable, backends.ErrThrottled, backends.ErrReadOnly, context.DeadlineExceeded} {
		r := newBareRig(t)
		s := &stubborn{Backend: r.backend}
		r.config.Backends = local(s)
		r.reopen()
		r.b = r.bucket("first-bucket", "")
		for i := range 20 {
			r.mustPut(fmt.Sprint("k", i), body(uint64(i), 100))
			r.delete(fmt.Sprint("k", i))
		}
		fails := make(map[backends.BlobID]error)
		for id := range bodies(t, r.backend) {
			fails[id] = why
		}
		s.set("Delete", fails)
		if c, err := r.e.Blobs().Collect(t.Context()); !errors.Is(err, why) || c.Deleted != 0 || s.deletes > 4 { // markers, and once
			t.Errorf("%v: %+v, %v, %d calls", why, c, err, s.deletes)
		}
		s.set("", nil)
		r.wantClean(0)
	}
}

// A fault that an operator has to mend at a backend is no error of the gateway's.
func TestWriteWhereNothingMayBeWritten(t *testing.T) {
	for _, why := range []error{backends.ErrReadOnly, backends.ErrDenied} {
		r := newRig(t)
		r.plannedBackend(1).Add(faults.Rule{Op: faults.OpPut, Err: why})
		if _, err := r.put("k", body(1, 1000)); !errors.Is(err, s3err.ServiceUnavailable) {
			t.Errorf("%v is told as %v", why, err)
		}
	}
}

// One blob that a backend cannot read does not keep the rest of it from being drained, nor
// the draining from ending once it can be read again.
func TestDrainPastUnreadableBlob(t *testing.T) {
	for what, why := range oneBlobErrors {
		for _, op := range []string{"Stat", "Get", "Read"} {
			for _, customer := range []*engine.CustomerKey{nil, {7}} { // proved by keys, and by the ledger
				t.Run(fmt.Sprint(what, " ", op, " ", customer != nil), func(t *testing.T) {
					s := newSeveralRig(t)
					bad := &stubborn{Backend: s.at[east]}
					s.config.Backends[1].Backend = bad
					s.reopen()
					const n = 12
					for i := range n {
						in := engine.PutObject{Bucket: s.b, Key: fmt.Sprint("k", i), Owner: s.b.Owner, Customer: customer,
							Body: engine.Body{Reader: bytes.NewReader(body(uint64(i), 1000)), Size: 1000}}
						if customer != nil {
							in.Encryption = meta.EncryptionCustomer
						}
						if _, err := s.e.PutObject(t.Context(), in); err != nil {
							t.Fatal(err)
						}
					}
					fails := make(map[backends.BlobID]error)
					for id := range bodies(t, s.at[east]) {
						fails[id] = why
						if len(fails) == 2 {
							break
						}
					}
					bad.set(op, fails)
					s.drain(east, west)
					for range 4 {
						if _, err := s.e.Blobs().Move(t.Context()); err == nil {
							t.Error("nobody is told of what cannot be moved")
						}
						s.e.Blobs().Collect(t.Context())
					}
					if there, here := len(bodies(t, s.at[west])), len(bodies(t, s.at[east])); there != n-2 || here != 2 {
						t.Errorf("%d blobs were moved and %d stayed, want %d and 2", there, here, n-2)
					}
					if got := s.status(east); got.State != "draining" {
						t.Errorf("%+v", got)
					}
					bad.set("", nil)
					s.drained(east)
					s.wantClean(n)
				})
			}
		}
	}
}

// Nor does it keep the rest of a bucket from its transition.
func TestTransitionPastUnreadableBlob(t *testing.T) {
	for what, why := range oneBlobErrors {
		t.Run(what, func(t *testing.T) {
			l, s := newSeveralLifecycleRig(t)
			bad := &stubborn{Backend: s.at[east]}
			l.config.Backends[1].Backend = bad
			l.reopen()
			l.mustPut("old/a", body(1, 1000))
			fails := make(map[backends.BlobID]error)
			for id := range bodies(t, s.at[east]) {
				fails[id] = why
			}
			for i := range 5 {
				l.mustPut(fmt.Sprint("old/b", i), body(uint64(i), 1000))
			}
			l.rules(toWest)
			l.now = l.now.Add(3 * oneDay)
			bad.set("Read", fails)
			r, err := l.step()
			if err != nil || r.Moved != 5 || r.Failed != 1 {
				t.Errorf("%+v, %v", r, err)
			}
			bad.set("", nil)
			l.now = l.now.Add(time.Hour + oneDay)
			l.expire() // ends the round
			l.expire()
			l.wantClean(6)
			s.wantBlobs(map[string]int{west: 6})
		})
	}
}
