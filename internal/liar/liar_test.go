package liar

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/backends/gcs"
	"github.com/sanctum-storage/gateway/backends/s3"
)

// patience is each budget of time before a liar, and calm before an honest server.
const (
	patience = 60 * time.Millisecond
	calm     = 30 * time.Second
)

const minPart = 5 << 20

// opener opens a backend at a server with a budget of time.
type opener func(t testing.TB, s *Server, patience time.Duration) backends.Backend

// openMinIO proves small bodies by CRC32C and larger ones by MD5, openGeneric all
// by a look afterwards. Both put bodies above a part's size in parts.
func openMinIO(t testing.TB, s *Server, patience time.Duration) backends.Backend {
	return openS3(t, s, "minio", patience)
}

func openGeneric(t testing.TB, s *Server, patience time.Duration) backends.Backend {
	return openS3(t, s, "generic", patience)
}

func openS3(t testing.TB, s *Server, dialect string, patience time.Duration) backends.Backend {
	t.Helper()
	var b *s3.Backend
	err := again(func() (err error) {
		b, err = s3.Open(t.Context(), s3.Options{
			Endpoint: s.URL, Bucket: Bucket, Prefix: "gateway", Region: "us-east-1", Dialect: dialect, AccessKey: "a", SecretKey: "b", SingleLimit: minPart,
			ConnectTimeout: patience, HeaderTimeout: patience, IdleTimeout: patience, AnswerTimeout: patience,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func openGCS(t testing.TB, s *Server, patience time.Duration) backends.Backend {
	t.Helper()
	var b *gcs.Backend
	err := again(func() (err error) {
		b, err = gcs.Open(t.Context(), gcs.Options{
			Endpoint: s.URL, Bucket: Bucket, Prefix: "gateway/", Anonymous: true,
			ConnectTimeout: patience, ResponseHeaderTimeout: patience, IdleTimeout: patience, AnswerTimeout: patience,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// The liar, being honest, is a server that the adapters' contract holds with.
func TestHonest(t *testing.T) {
	for name, open := range map[string]opener{"s3": openMinIO, "gcs": openGCS} {
		t.Run(name, func(t *testing.T) {
			s := Start(t)
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				s.Clear()
				return open(t, s, calm)
			})
		})
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// held are blobs that were stored while the server was honest.
type held map[backends.BlobID][]byte

func (h held) add(ctx context.Context, b backends.Backend, data []byte) (backends.BlobID, error) {
	id := backends.NewBlobID()
	err := b.Put(ctx, id, bytes.NewReader(data), int64(len(data)))
	if err == nil {
		h[id] = data
	}
	return id, err
}

// read reads a range to its end, or to more than any blob here has.
func read(ctx context.Context, b backends.Backend, id backends.BlobID, off, n int64) ([]byte, error) {
	rc, err := b.Get(ctx, id, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(rc, 2*minPart))
	return data, errors.Join(err, rc.Close())
}

// again repeats what an honest server should do: on a busy machine even that may
// take longer than patience.
func again(f func() error) (err error) {
	for range 50 {
		if err = f(); !errors.Is(err, backends.ErrUnavailable) {
			return err
		}
	}
	return err
}

// errLied is what a test finds where a lie was believed.
var errLied = errors.New("a lie was believed")

// acts are what a gateway does with a backend, by the call that is lied about.
// Each returns nil for the right answer, errLied for a wrong one, and else the
// backend's error.
func acts(ctx context.Context, b backends.Backend, h held, l Lie) map[string]func() error {
	stored := func(size int, known bool) error {
		id, data, announced := backends.NewBlobID(), random(size), int64(size)
		if !known {
			announced = -1
		}
		if err := b.Put(ctx, id, bytes.NewReader(data), announced); err != nil {
			return err
		}
		h[id] = data // which is looked at when the server is honest again
		return nil
	}
	var one backends.BlobID
	for id, data := range h {
		if one.IsZero() || len(data) > len(h[one]) {
			one = id
		}
	}
	return map[string]func() error{
		Put: func() error {
			return errors.Join(stored(1000, true), stored(300_000, true), stored(100, false))
		},
		Begin:    func() error { return stored(minPart+1000, true) },
		Part:     func() error { return stored(minPart+1000, true) },
		Complete: func() error { return stored(minPart+1000, false) },
		Get: func() error {
			var errs []error
			for _, r := range [][2]int64{{0, -1}, {0, 100}, {10, 100}, {10, -1}} {
				got, err := read(ctx, b, one, r[0], r[1])
				want := h[one][r[0]:]
				if r[1] >= 0 {
					want = want[:r[1]]
				}
				if err == nil && !bytes.Equal(got, want) && (!l.Loses || r[1] >= 0 && int64(len(got)) > r[1]) {
					err = fmt.Errorf("%w: range %v has %d bytes", errLied, r, len(got))
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
		Stat: func() error {
			info, err := b.Stat(ctx, one)
			if err == nil && !l.Loses && info.Size != int64(len(h[one])) {
				err = fmt.Errorf("%w: %d bytes", errLied, info.Size)
			}
			return err
		},
		List: func() error {
			found := 0
			for info, err := range b.List(ctx, backends.BlobID{}) {
				if err != nil {
					return err
				}
				if data, ok := h[info.ID]; ok && info.Size == int64(len(data)) {
					found++
				}
			}
			if found != len(h) && !l.Loses {
				return fmt.Errorf("%w: %d of %d blobs are listed", errLied, found, len(h))
			}
			return nil
		},
		Delete: func() error { return b.Delete(ctx, backends.NewBlobID()) },
		Bulk:   func() error { return b.Delete(ctx, backends.NewBlobIDs(3)...) },
		Abort: func() error {
			err := b.Put(ctx, backends.NewBlobID(), io.MultiReader(bytes.NewReader(random(minPart+5)), failing{}), minPart+1000)
			if err == nil {
				return errLied
			}
			return err
		},
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the body broke off") }

// Each lie about each call: the adapter has an error or the right answer, within
// its budgets of memory and time, tells nothing that a terminal would obey, and
// is of use at once when the server is honest again.
func TestLies(t *testing.T) {
	for name, c := range map[string]struct {
		open  opener
		calls []string
	}{
		"s3, checksums": {openMinIO, []string{Put, Get, Stat, Delete, Bulk, List, Begin, Part, Complete, Abort}},
		"s3, nothing":   {openGeneric, []string{Put, Stat, Part, Complete}},
		"gcs":           {openGCS, []string{Put, Get, Stat, Delete, List}},
	} {
		told := 0
		for _, call := range c.calls {
			for _, l := range Lies() {
				if !l.About(call) {
					continue
				}
				t.Run(name+"/"+call+"/"+l.Name, func(t *testing.T) {
					s := Start(t)
					lieOnce(t, s, c.open(t, s, patience), call, l)
					told++
				})
			}
		}
		if want := len(c.calls) * 32; told < want {
			t.Errorf("%s: %d pairs of call and lie were tried, at least %d are wanted", name, told, want)
		}
		t.Logf("%s: %d pairs of call and lie", name, told)
	}
}

// most is what an act may allocate beyond twice its bodies, the liar's own part
// included: a page is 8 MiB, read into a growing buffer.
const mostMemory = 96 << 20

func lieOnce(t *testing.T, s *Server, b backends.Backend, call string, l Lie) {
	ctx, h := t.Context(), held{}
	for _, n := range []int{2000, 1000} {
		err := again(func() error {
			_, err := h.add(ctx, b, random(n))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	act := acts(ctx, b, h, l)[call]
	s.Tell(call, l)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := act()
	runtime.ReadMemStats(&after)
	for tries := 0; s.Told.Load() == 0 && tries < 50; tries++ {
		err = act() // a busy machine may not have got that far
	}
	s.Tell("", Lie{})
	if s.Told.Load() == 0 {
		t.Error("the lie was never told")
	}
	if errors.Is(err, errLied) {
		t.Error(err)
	}
	if l.Stranger && (err == nil || errors.Is(err, backends.ErrNotFound)) {
		t.Errorf("an answer that is none was taken for a proof: %v", err)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\x1b\r") {
		t.Errorf("the error steers a terminal: %q", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > mostMemory {
		t.Errorf("%d bytes were allocated", used)
	}
	// Honest again.
	for id, want := range h {
		var got []byte
		err := again(func() (err error) {
			got, err = read(ctx, b, id, 0, -1)
			return err
		})
		if (err != nil || !bytes.Equal(got, want)) && !(l.Forget && l.Loses) {
			t.Errorf("a blob of %d bytes that was stored is lost: %d bytes, %v", len(want), len(got), err)
		}
	}
	var id backends.BlobID
	if err := again(func() (err error) { id, err = h.add(ctx, b, random(500)); return err }); err != nil {
		t.Errorf("Put after the lie: %v", err)
	}
	if err := again(func() error { return b.Delete(ctx, id, backends.NewBlobID()) }); err != nil {
		t.Errorf("Delete after the lie: %v", err)
	}
	if s.Cookies.Load() > 0 || s.Stolen.Load() > 0 {
		t.Errorf("%d cookies came back, %d redirects were followed", s.Cookies.Load(), s.Stolen.Load())
	}
}

// A start with a liar fails, or knows the truth.
func TestLiesAtOpen(t *testing.T) {
	for _, l := range Lies() {
		if !l.About(List) {
			continue
		}
		s := Start(t)
		s.Tell(List, l)
		o := s3.Options{Endpoint: s.URL, Bucket: Bucket, Prefix: "gateway", Dialect: "ceph", AccessKey: "a", SecretKey: "b",
			ConnectTimeout: patience, HeaderTimeout: patience, IdleTimeout: patience, AnswerTimeout: patience}
		if b, err := s3.Open(t.Context(), o); err == nil {
			b.Close()
		} else if strings.ContainsAny(err.Error(), "\x1b\r") {
			t.Errorf("s3, %s: %q", l.Name, err)
		}
		if b, err := gcs.Open(t.Context(), gcs.Options{Endpoint: s.URL, Bucket: Bucket, Anonymous: true,
			ConnectTimeout: patience, ResponseHeaderTimeout: patience, IdleTimeout: patience, AnswerTimeout: patience}); err == nil {
			b.Close()
		}
		if s.Told.Load() < 2 || s.Cookies.Load() > 0 || s.Stolen.Load() > 0 {
			t.Errorf("%s: told %d times, %d cookies, %d redirects", l.Name, s.Told.Load(), s.Cookies.Load(), s.Stolen.Load())
		}
	}
}
