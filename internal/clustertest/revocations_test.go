//go:build linux

package clustertest

import (
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/s3err"
)

// look is one look of every gateway at what is revoked.
func (f *felt) look() {
	f.t.Helper()
	for _, g := range f.gateways {
		must(f.t, g.Engine.WatchRevocations(f.t.Context()))
		must(f.t, g.Engine.Beat(f.t.Context()))
	}
}

// bucketRevoked is what revokes /bucket.
func (f *felt) bucketRevoked() engine.Revoked {
	f.t.Helper()
	b, err := f.gateways[0].Engine.Buckets().Get(f.t.Context(), "bucket")
	must(f.t, err)
	return engine.Revoked{Bucket: b.ID, Name: b.Name}
}

// Keys that an operator revokes at one gateway are gone from every gateway with its next
// look, warm buckets included, though the provider would give them; and back when it is
// taken back.
func TestRevocationIsFelt(t *testing.T) {
	for name, open := range feltStores {
		t.Run(name, func(t *testing.T) {
			f := newFelt(t, open(t))
			roads := f.ofBucket()
			other := []road{f.signed(f.root, 200, "GET", "/other/k", ""), f.signed(f.root, 200, "GET", "/", "")}
			for i, what := range []engine.Revoked{f.bucketRevoked(), {Provider: "fake"}, {}} {
				f.travel("before", roads, "", 0)
				by := f.gateways[i].Engine.Revocations()
				must(t, by.Revoke(t.Context(), what, "operator"))
				if res := f.gateways[i].Do(t, f.root, "GET", "/bucket/index.html", nil); res.Code() != "KMS.DisabledException" {
					t.Errorf("the gateway that was told: %d %s", res.Status, res.Code())
				}
				f.look()
				f.travel("revoked", roads, s3err.KMSDisabled, 400)
				if what.Bucket.IsZero() {
					f.travel("another bucket", other[:1], s3err.KMSDisabled, 400)
					f.travel("a new bucket", []road{f.signed(f.root, 200, "PUT", "/new", "")}, s3err.KMSDisabled, 400)
				} else {
					f.travel("another bucket", other[:1], "", 0)
				}
				f.travel("what needs the system's keys alone", other[1:], "", 0)
				if err := by.Revoke(t.Context(), what, "operator"); s3err.From(err) == nil || s3err.From(err).Code != s3err.EntityAlreadyExists {
					t.Errorf("revoked again: %v", err)
				}
				must(t, f.gateways[2].Engine.Revocations().Restore(t.Context(), engine.Revoked{Name: what.Name, Provider: what.Provider}))
				f.look()
			}
			f.travel("restored", roads, "", 0)
		})
	}
}

// A person who may write to the store cannot take a revocation back: a list that is gone, foreign or
// an older one revokes all keys, at the gateways that run and at those that start later, until
// an operator writes it anew.
func TestRevocationOutlivesEdits(t *testing.T) {
	f := newFelt(t, feltStores["sqlite"](t))
	g := f.gateways[0]
	job := func() []byte {
		document, err := g.Store.Job(t.Context(), "revocations")
		must(t, err)
		return document
	}
	revocations := g.Engine.Revocations()
	must(t, revocations.Revoke(t.Context(), engine.Revoked{Provider: "fake"}, "operator"))
	f.look()
	must(t, revocations.Restore(t.Context(), engine.Revoked{Provider: "fake"}))
	f.look()
	free := job()
	must(t, revocations.Revoke(t.Context(), f.bucketRevoked(), "operator"))
	f.look()
	f.travel("revoked", f.ofBucket()[:1], s3err.KMSDisabled, 400)
	for name, edited := range map[string][]byte{"gone": nil, "foreign": []byte("{}"), "older": free} {
		t.Run(name, func(t *testing.T) {
			must(t, g.Store.SetJob(t.Context(), "revocations", job(), edited))
			f.look()
			later := gatewaytest.Start(t, gatewaytest.Options{
				Store: g.Store, Backend: g.Backend, Keys: f.keys, Several: true, KeysCache: keysCache, Elapsed: f.elapsed,
			})
			for i, at := range append([]*gatewaytest.Gateway{later}, f.gateways...) {
				for _, target := range []string{"/bucket/index.html", "/other/k"} {
					if res := at.Do(t, f.root, "GET", target, nil); res.Code() != "KMS.DisabledException" {
						t.Errorf("gateway %d: %s: %d %s", i, target, res.Status, res.Code())
					}
				}
				if _, broken := at.Engine.Revocations().List(); broken == nil {
					t.Errorf("gateway %d does not say that the list was edited", i)
				}
			}
			// An operator mends the list, at a gateway that knows what was revoked, and all agree.
			must(t, revocations.Restore(t.Context(), engine.Revoked{}))
			f.look()
			must(t, later.Engine.WatchRevocations(t.Context()))
			f.travel("the list is mended", f.ofBucket()[:1], s3err.KMSDisabled, 400)
			f.travel("the list is mended", []road{f.signed(f.root, 200, "GET", "/other/k", "")}, "", 0)
		})
	}
	must(t, revocations.Restore(t.Context(), f.bucketRevoked()))
	f.look()
	f.travel("restored", f.ofBucket(), "", 0)
}
