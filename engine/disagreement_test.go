package engine_test

import (
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fsck"
)

// cloned is another storage with the same blobs.
func cloned(t *testing.T, b backends.Backend) backends.Backend {
	t.Helper()
	to := mem.New()
	t.Cleanup(func() { to.Close() })
	for info, err := range b.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.Get(t.Context(), info.ID, 0, info.Size)
		if err == nil {
			err = errors.Join(to.Put(t.Context(), info.ID, body, info.Size), body.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A person who starts a gateway on a storage that does not agree with its store is told
// which of the two is the older one, or that they do not belong together.
func TestWordsOfDisagreement(t *testing.T) {
	r, another := newRig(t), newRig(t)
	r.mustPut("k", body(1, 1000))
	if err := r.e.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := cloned(t, r.backend)
	r.mustPut("k", body(2, 1000))
	if err := r.e.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	latest := cloned(t, r.backend)
	var near backends.Backend
	for i := range 20 { // far beyond the epochs that are looked for
		r.mustPut("other", body(uint64(i), 1000))
		if err := r.e.Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == 17 {
			near = cloned(t, r.backend)
		}
	}
	far := latest
	latest = cloned(t, r.backend)
	for name, c := range map[string]struct {
		storage backends.Backend
		want    error
	}{
		"the latest":           {latest, nil},
		"an older storage":     {older, blobs.ErrFarApart},
		"one less old":         {far, blobs.ErrFarApart},
		"one hardly older":     {near, blobs.ErrStorageRolledBack},
		"an empty one":         {mem.New(), blobs.ErrUnknownStorage},
		"another deployment's": {another.backend, blobs.ErrUnknownStorage},
	} {
		config := r.config
		config.Backends, config.ReadOnly = local(c.storage), true
		e, err := engine.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		report, err := fsck.Run(t.Context(), e, fsck.Options{})
		if err != nil || (report.Lost == 0) != (c.want == nil) {
			t.Errorf("%s: fsck: %+v, %v", name, report, err)
		}
		config.ReadOnly = false
		e, err = engine.Open(t.Context(), config)
		if !errors.Is(err, c.want) || blobs.Disagrees(err) != (c.want != nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err == nil {
			defer e.Close()
		}
	}
}
