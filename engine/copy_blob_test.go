package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// lyingOnce is a backend that lies in one of its calls.
type lyingOnce struct {
	backends.Backend
	lie        func([]byte) []byte
	gets, puts atomic.Int64 // calls until then; below 1: it has passed, or never comes
	told       atomic.Bool
	begun      atomic.Int64 // Puts
}

func (l *lyingOnce) body(r io.Reader, when *atomic.Int64) ([]byte, error) {
	body, err := io.ReadAll(r)
	if err == nil && when.Add(-1) == 0 {
		l.told.Store(true)
		body = l.lie(bytes.Clone(body))
	}
	return body, err
}

func (l *lyingOnce) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	if off != 0 || n >= 0 {
		return l.Backend.Get(ctx, id, off, n)
	}
	rc, err := l.Backend.Get(ctx, id, off, n)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	body, err := l.body(rc, &l.gets)
	return io.NopCloser(bytes.NewReader(body)), err
}

func (l *lyingOnce) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	l.begun.Add(1)
	body, err := l.body(backends.Sized(r, size), &l.puts)
	if err != nil {
		return err
	}
	return l.Backend.Put(ctx, id, bytes.NewReader(body), int64(len(body)))
}

// One false answer, of the backend that is drained or of the one that is filled, costs
// no byte: what is deleted was proved to be at the other.
func TestDrainUnderLies(t *testing.T) {
	for name, lie := range map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":           func(b []byte) []byte { return b[:len(b)/2] },
		"longer":        func(b []byte) []byte { return append(b, "evil"...) },
		"nothing":       func([]byte) []byte { return nil },
	} {
		for at, tell := range map[string]func(from, to *lyingOnce){
			"copied from":     func(from, _ *lyingOnce) { from.gets.Store(1) },
			"then":            func(from, _ *lyingOnce) { from.gets.Store(2) },
			"written to":      func(_, to *lyingOnce) { to.puts.Store(1) },
			"read back from":  func(_, to *lyingOnce) { to.gets.Store(1) },
			"copied and kept": func(from, to *lyingOnce) { from.gets.Store(3); to.puts.Store(3) },
		} {
			t.Run(name+"/"+at, func(t *testing.T) {
				s := newSeveralRig(t)
				from, to := &lyingOnce{Backend: s.at[east], lie: lie}, &lyingOnce{Backend: s.at[west], lie: lie}
				s.config.Backends[1].Backend, s.config.Backends[2].Backend = from, to
				s.reopen()
				for i, n := range []int{3000, 70_000, 200_000} {
					s.mustPut(fmt.Sprint("k", i), body(uint64(i), n))
				}
				s.drain(east, west)
				tell(from, to)
				retired := false
				for i := 0; i < 100 && !retired; i++ {
					// Their answers to the lie are tested elsewhere.
					_, _ = s.e.Blobs().Move(t.Context())
					_, _ = s.e.Blobs().Collect(t.Context())
					retired = s.status(east).Row.State == meta.BackendRetired
				}
				if !from.told.Load() && !to.told.Load() {
					t.Error("no lie was told")
				}
				if !retired {
					t.Error("the backend is never retired")
				}
				for i, n := range []int{3000, 70_000, 200_000} {
					s.wantBody(fmt.Sprint("k", i), body(uint64(i), n))
				}
				s.wantClean(3)
			})
		}
	}
}

// A backend that names a length which no blob has is not copied from.
func TestImpossibleLengths(t *testing.T) {
	for name, size := range map[string]int64{"too long for any blob": 6 << 30, "of no blob": 75, "endless": 1<<63 - 1} {
		t.Run(name, func(t *testing.T) {
			s := newSeveralRig(t)
			to := &lyingOnce{Backend: s.at[west]}
			s.config.Backends[1].Backend, s.config.Backends[2].Backend = sized{s.at[east], size}, to
			s.reopen()
			s.mustPut("k", body(1, 3000))
			s.drain(east, west)
			before := to.begun.Load()
			r, err := s.e.Blobs().Move(t.Context())
			if err == nil || r.Stuck != 1 || r.Blobs != 0 || to.begun.Load() != before {
				t.Errorf("%+v, %v, %d writes to the target", r, err, to.begun.Load()-before)
			}
			s.wantBody("k", body(1, 3000))
		})
	}
}

// sized lies about lengths.
type sized struct {
	backends.Backend
	size int64
}

func (s sized) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := s.Backend.Stat(ctx, id)
	if info.Size > 0 { // no marker
		info.Size = s.size
	}
	return info, err
}

// alwaysLying gives other bytes than it was given, the same each time.
type alwaysLying struct {
	backends.Backend
	honest atomic.Bool
}

func (l *alwaysLying) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	rc, err := l.Backend.Get(ctx, id, off, n)
	if err != nil || l.honest.Load() {
		return rc, err
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if len(data) > 0 {
		data[len(data)-1] ^= 1
	}
	return io.NopCloser(bytes.NewReader(data)), err
}

// A backend that gives the same false bytes each time keeps what it holds: keys tell
// them from the true ones, of whole objects and of parts. When it is honest
// again, all moves.
func TestMovesUnderTheSameLie(t *testing.T) {
	for name, swap := range map[string]bool{"what is drained": false, "what is filled": true} {
		t.Run(name, func(t *testing.T) {
			s := newSeveralRig(t)
			from, to := &alwaysLying{Backend: s.at[east]}, &alwaysLying{Backend: s.at[west]}
			from.honest.Store(swap)
			to.honest.Store(!swap)
			s.config.Backends[1].Backend, s.config.Backends[2].Backend = from, to
			s.reopen()
			bodies := map[string][]byte{}
			for i, n := range []int{1000, 70_000, 200_000} {
				key := fmt.Sprint("k", i)
				bodies[key] = body(uint64(i), n)
				s.mustPut(key, bodies[key])
			}
			bodies["parts"] = append(body(7, 5<<20), body(8, 100)...)
			u := s.begin("parts", "", "")
			if _, err := s.complete(u, s.part(u, 1, bodies["parts"][:5<<20]), s.part(u, 2, bodies["parts"][5<<20:])); err != nil {
				t.Fatal(err)
			}
			s.drain(east, west)
			for range 5 {
				r, err := s.e.Blobs().Move(t.Context())
				if r.Blobs > 0 {
					t.Fatalf("%d blobs were moved that are not there: %v", r.Blobs, err)
				}
				_, _ = s.e.Blobs().Collect(t.Context())
			}
			if st := s.status(east); st.Row.State != meta.BackendDraining {
				t.Errorf("%+v", st)
			}
			from.honest.Store(true)
			to.honest.Store(true)
			for key, data := range bodies {
				s.wantBody(key, data)
			}
			for i := 0; i < 100 && s.status(east).Row.State != meta.BackendRetired; i++ {
				_, _ = s.e.Blobs().Move(t.Context())
				_, _ = s.e.Blobs().Collect(t.Context())
			}
			if st := s.status(east); st.Row.State != meta.BackendRetired {
				t.Errorf("not retired when all are honest: %+v", st)
			}
			for key, data := range bodies {
				s.wantBody(key, data)
			}
			s.wantClean(5)
		})
	}
}

// A store that was restored from before a move looks for blobs where they are no more. A
// draining finds those that are at its target, and takes none for one that is not it.
func TestDrainFindsWhatMovedBefore(t *testing.T) {
	s := newSeveralRig(t)
	s.mustPut("moved", body(1, 70_000))
	s.mustPut("stays", body(2, 3000))
	s.mustPut("false", body(3, 3000))
	at := s.at[east]
	for key, lie := range map[string]bool{"moved": false, "false": true} {
		v, err := s.store.Object(t.Context(), s.b.ID, key)
		if err != nil {
			t.Fatal(err)
		}
		id := backends.BlobID(v.Body.Blob)
		r, err := at.Get(t.Context(), id, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if lie {
			sealed[len(sealed)/2] ^= 1
		}
		if err := s.at[west].Put(t.Context(), id, bytes.NewReader(sealed), int64(len(sealed))); err != nil {
			t.Fatal(err)
		}
		if err := at.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	s.drain(east, west)
	for range 3 {
		_, _ = s.e.Blobs().Move(t.Context()) // that one cannot be moved is looked at below
		if _, err := s.e.Blobs().Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.wantBody("moved", body(1, 70_000))
	s.wantBody("stays", body(2, 3000))
	if got, err := s.get("false", nil); err == nil {
		t.Errorf("%d false bytes are given", len(got))
	}
	if got := s.status(east); got.State != "draining" {
		t.Errorf("with a blob that is nowhere the backend is %s", got.State)
	}
	s.delete("false")
	s.drained(east)
	if err := s.e.Blobs().Beat(t.Context()); err != nil { // the place of the copy that was not made is given up
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.e.Blobs().Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.wantClean(2)
}

// A blob that was moved and has since been emptied where it lives is not deleted where
// it was.
func TestMovedCopyThatIsEmptied(t *testing.T) {
	s := newSeveralRig(t)
	to := &emptied{Backend: s.at[west]}
	s.config.Backends[2].Backend = to
	s.reopen()
	s.mustPut("k", body(1, 3000))
	s.drain(east, west)
	if _, err := s.e.Blobs().Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	to.now.Store(true)
	for range 3 {
		if _, err := s.e.Blobs().Collect(t.Context()); !errors.Is(err, backends.ErrCorrupt) {
			t.Errorf("nothing was said of an empty blob: %v", err)
		}
		s.wantBlobs(map[string]int{east: 1, west: 1})
	}
	to.now.Store(false)
	s.drained(east)
	s.wantBody("k", body(1, 3000))
}

// emptied has nothing in its blobs.
type emptied struct {
	backends.Backend
	now atomic.Bool
}

func (e *emptied) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := e.Backend.Stat(ctx, id)
	if e.now.Load() {
		info.Size = 0
	}
	return info, err
}

// cutShort tells a length of its blobs, and has them no longer than that.
type cutShort struct {
	backends.Backend
	to atomic.Int64 // 0: as they are
}

func (c *cutShort) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := c.Backend.Stat(ctx, id)
	if n := c.to.Load(); n > 0 && info.Size > n {
		info.Size = n
	}
	return info, err
}

// A blob that was moved and has since been cut where it lives, to a length that a blob can
// have, is not deleted where it was.
func TestMovedCopyThatIsCut(t *testing.T) {
	s := newSeveralRig(t)
	to := &cutShort{Backend: s.at[west]}
	s.config.Backends[2].Backend = to
	s.reopen()
	s.mustPut("k", body(1, 3000))
	s.drain(east, west)
	if _, err := s.e.Blobs().Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	to.to.Store(encrypt.SealedSize(500))
	for range 3 {
		if _, err := s.e.Blobs().Collect(t.Context()); !errors.Is(err, blobs.ErrOtherBytes) {
			t.Errorf("nothing was said of a blob that was cut: %v", err)
		}
		s.wantBlobs(map[string]int{east: 1, west: 1})
	}
	to.to.Store(0)
	s.drained(east)
	s.wantBody("k", body(1, 3000))
}

// A blob that vanished and is copied again is opened with the keys of its version, of whole
// objects and of parts alike: a source that gives the same false bytes each time keeps what
// it holds.
func TestVanishedCopyUnderTheSameLie(t *testing.T) {
	s := newSeveralRig(t)
	from := &alwaysLying{Backend: s.at[east]}
	from.honest.Store(true)
	s.config.Backends[1].Backend = from
	s.reopen()
	parts := append(body(7, 5<<20), body(8, 100)...)
	s.mustPut("k", body(1, 3000))
	u := s.begin("parts", "", "")
	if _, err := s.complete(u, s.part(u, 1, parts[:5<<20]), s.part(u, 2, parts[5<<20:])); err != nil {
		t.Fatal(err)
	}
	s.drain(east, west)
	if _, err := s.e.Blobs().Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	for info, err := range s.at[west].List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size == 0 { // a marker
			continue
		}
		if err := s.at[west].Delete(t.Context(), info.ID); err != nil {
			t.Fatal(err)
		}
	}
	from.honest.Store(false)
	for range 3 {
		if _, err := s.e.Blobs().Collect(t.Context()); err == nil {
			t.Error("nobody hears of blobs that vanished")
		}
		s.wantBlobs(map[string]int{east: 3, west: 0})
	}
	from.honest.Store(true)
	for range 3 {
		_, _ = s.e.Blobs().Collect(t.Context())
	}
	s.drained(east)
	s.wantBody("k", body(1, 3000))
	s.wantBody("parts", parts)
	s.wantClean(3)
}

// A copy that was cut when it was made does not stay in the way of the next one where no
// keys tell the two apart: of an SSE-C object, and of a part of an open upload.
func TestCutCopyGivesWayWithoutKeys(t *testing.T) {
	for _, customer := range []bool{true, false} {
		s := newSeveralRig(t)
		to := &lyingOnce{Backend: s.at[west], lie: func(b []byte) []byte { return b[:encrypt.SealedSize(500)] }}
		s.config.Backends[2].Backend = to
		s.reopen()
		if customer {
			if _, err := s.e.PutObject(t.Context(), engine.PutObject{Bucket: s.b, Key: "k", Owner: s.b.Owner, Encryption: meta.EncryptionCustomer,
				Customer: &engine.CustomerKey{7}, Body: engine.Body{Reader: bytes.NewReader(body(1, 3000)), Size: 3000}}); err != nil {
				t.Fatal(err)
			}
		} else {
			s.part(s.begin("k", "", ""), 1, body(1, 3000))
		}
		s.drain(east, west)
		to.puts.Store(1)
		if _, err := s.e.Blobs().Move(t.Context()); err == nil || !to.told.Load() {
			t.Fatalf("the copy was not cut: %v", err)
		}
		for i := 0; i < 100 && s.status(east).Row.State != meta.BackendRetired; i++ {
			_, _ = s.e.Blobs().Collect(t.Context())
			_, _ = s.e.Blobs().Move(t.Context())
		}
		if st := s.status(east); st.Row.State != meta.BackendRetired {
			t.Errorf("of a customer: %v: not retired: %+v", customer, st)
		}
		s.wantClean(1)
	}
}

// unreadable fails to read back the first blob that is put there, as from a bad sector, until
// that was deleted.
type unreadable struct {
	backends.Backend
	first atomic.Pointer[backends.BlobID]
	gone  atomic.Bool
}

func (u *unreadable) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if size > 0 { // no marker
		u.first.CompareAndSwap(nil, &id)
	}
	return u.Backend.Put(ctx, id, r, size)
}

func (u *unreadable) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	r, err := u.Backend.Get(ctx, id, off, n)
	if first := u.first.Load(); err == nil && first != nil && *first == id && !u.gone.Load() {
		return struct {
			io.Reader
			io.Closer
		}{iotest.ErrReader(syscall.EIO), r}, nil
	}
	return r, err
}

func (u *unreadable) Delete(ctx context.Context, ids ...backends.BlobID) error {
	if first := u.first.Load(); first != nil && slices.Contains(ids, *first) {
		u.gone.Store(true)
	}
	return u.Backend.Delete(ctx, ids...)
}

// A copy that cannot be read back keeps no others from being moved, and is made anew.
func TestDrainToABadSector(t *testing.T) {
	for _, customer := range []*engine.CustomerKey{nil, {7}} {
		s := newSeveralRig(t)
		s.config.Backends[2].Backend = &unreadable{Backend: s.at[west]}
		s.reopen()
		for i := range 5 {
			in := engine.PutObject{Bucket: s.b, Key: fmt.Sprint("k", i), Owner: s.b.Owner, Customer: customer, Encryption: encryption(customer),
				Body: engine.Body{Reader: bytes.NewReader(body(uint64(i), 3000)), Size: 3000}}
			if _, err := s.e.PutObject(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		s.drain(east, west)
		r, err := s.e.Blobs().Move(t.Context())
		if r.Blobs != 4 {
			t.Errorf("customer %v: %d of 5 blobs were moved: %v", customer != nil, r.Blobs, err)
		}
		for i := 0; i < 100 && s.status(east).Row.State != meta.BackendRetired; i++ {
			_, _ = s.e.Blobs().Collect(t.Context())
			_, _ = s.e.Blobs().Move(t.Context())
		}
		if st := s.status(east); st.Row.State != meta.BackendRetired {
			t.Errorf("not retired: %+v", st)
		}
		s.wantClean(5)
	}
}
