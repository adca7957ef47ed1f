package fsck_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"syscall"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// brokenList lists no blob above one.
type brokenList struct {
	backends.Backend
	last backends.BlobID
	err  error
	only int // of the lists, counted from 1, breaks off; 0: each
	n    int
}

func (b *brokenList) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		b.n++
		breaks := b.err != nil && (b.only == 0 || b.only == b.n)
		for info, err := range b.Backend.List(ctx, after) {
			if breaks && info.ID.Compare(b.last) > 0 {
				yield(backends.Info{}, b.err)
				return
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// listed returns the ids of a backend's blobs, without its markers.
func listed(t *testing.T, b backends.Backend) (ids []backends.BlobID) {
	t.Helper()
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > 0 {
			ids = append(ids, info.ID)
		}
	}
	return ids
}

// A backend whose list breaks off, as that of a folder with a bad sector, does not hide
// what is wrong elsewhere, and no blob counts as missing that the list did not come to.
func TestListBreaksOff(t *testing.T) {
	east, west := &brokenList{Backend: mem.New()}, mem.New()
	r := newRig(t, gatewaytest.Options{Default: "east", Backends: []blobs.Backend{{Name: "east", Backend: east}, {Name: "west", Backend: west}}})
	for i := range 9 {
		r.put(fmt.Sprint("k", i), body(1000+i))
	}
	ids := listed(t, east)
	if err := east.Delete(t.Context(), ids[1]); err != nil { // what the list comes to is missing
		t.Fatal(err)
	}
	if err := west.Put(t.Context(), ids[8], strings.NewReader("x"), 1); err != nil { // and there is a stray elsewhere
		t.Fatal(err)
	}
	east.last, east.err = ids[4], fmt.Errorf("read folder: %w", syscall.EIO)
	report, err := fsck.Run(t.Context(), r.Engine, fsck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range report.Findings {
		got[f.Kind] += f.Backend + " " + f.Blob + ";"
	}
	want := map[string]string{
		"backend-unlisted": "east ;", "blob-missing": "east " + ids[1].String() + ";", "stray-copy": "west " + ids[8].String() + ";",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || report.Lost != 2 {
		t.Errorf("%+v, want %v", report.Findings, want)
	}
	for _, away := range []error{backends.ErrUnavailable, backends.ErrDenied} {
		east.err = away
		if _, err := fsck.Run(t.Context(), r.Engine, fsck.Options{}); !errors.Is(err, away) {
			t.Errorf("a backend that is away: %v", err)
		}
	}
}

// A list that breaks off in one of the two passes is told of, because what it did not
// come to was not looked at twice.
func TestListBreaksOffOnce(t *testing.T) {
	for only := 1; only <= 2; only++ {
		t.Run(fmt.Sprint("pass ", only), func(t *testing.T) {
			east := &brokenList{Backend: mem.New()}
			r := newRig(t, gatewaytest.Options{Default: "east", Backends: []blobs.Backend{{Name: "east", Backend: east}}})
			for i := range 9 {
				r.put(fmt.Sprint("k", i), body(1000+i))
			}
			ids := listed(t, east)
			if err := east.Delete(t.Context(), ids[8]); err != nil {
				t.Fatal(err)
			}
			east.last, east.err, east.only, east.n = ids[4], fmt.Errorf("read folder: %w", syscall.EIO), only, 0
			report, err := fsck.Run(t.Context(), r.Engine, fsck.Options{})
			if err != nil || report.Clean() || len(report.Findings) != 1 || report.Findings[0].Kind != "backend-unlisted" {
				t.Errorf("with a blob missing behind the place: %+v, %v", report, err)
			}
		})
	}
}
