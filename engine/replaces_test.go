package engine_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// changes are the store's intents that give a key another object, or none.
var changes = []faults.Op{"CommitObject", "CompleteUpload", "RenameObject", "RemoveObjects"}

// TestReplacesOnlyOwn: a write that may take the place of its maker's objects alone
// leaves what another puts there after it looked and before it commits.
func TestReplacesOnlyOwn(t *testing.T) {
	writer := meta.NewID()
	nobody := meta.ID{}
	for name, write := range map[string]func(r *rig, owner *meta.ID) error{
		"put": func(r *rig, owner *meta.ID) error {
			_, err := r.e.PutObject(r.t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: writer, Conditions: engine.Conditions{Replaces: owner},
				Body: engine.Body{Reader: bytes.NewReader(body(1, 10)), Size: 10}})
			return err
		},
		"copy": func(r *rig, owner *meta.ID) error {
			_, err := r.e.CopyObject(r.t.Context(), engine.CopyObject{SourceBucket: r.b, SourceKey: "source", Bucket: r.b, Key: "k", Owner: writer, Conditions: engine.Conditions{Replaces: owner}})
			return err
		},
		"complete": func(r *rig, owner *meta.ID) error {
			u, err := r.e.CreateUpload(r.t.Context(), engine.CreateUpload{Bucket: r.b, Key: "k", Owner: writer})
			if err != nil {
				r.t.Fatal(err)
			}
			p, err := r.e.UploadPart(r.t.Context(), engine.UploadPart{Bucket: r.b, Key: "k", Upload: u.ID, Number: 1, Body: engine.Body{Reader: bytes.NewReader(body(1, 10)), Size: 10}})
			if err != nil {
				r.t.Fatal(err)
			}
			_, err = r.e.CompleteUpload(r.t.Context(), engine.CompleteUpload{Bucket: r.b, Key: "k", Upload: u.ID, Size: -1,
				Parts: []engine.CompletedPart{{Number: 1, ETag: p.ETag}}, Conditions: engine.Conditions{Replaces: owner}})
			return err
		},
		"rename": func(r *rig, owner *meta.ID) error {
			return r.e.RenameObject(r.t.Context(), engine.RenameObject{Bucket: r.b, Source: "source", Key: "k", Conditions: engine.Conditions{Replaces: owner}})
		},
		"rename away": func(r *rig, owner *meta.ID) error {
			return r.e.RenameObject(r.t.Context(), engine.RenameObject{Bucket: r.b, Source: "k", Key: "away", SourceConditions: engine.Conditions{Replaces: owner}})
		},
		"delete": func(r *rig, owner *meta.ID) error {
			_, err := r.e.DeleteObject(r.t.Context(), r.b, engine.DeleteObject{Key: "k", Owner: writer, Replaces: owner})
			return err
		},
	} {
		for _, before := range []string{"vacant", "own"} {
			for whose, owner := range map[string]*meta.ID{"own": &writer, "none": &nobody} {
				removes := name == "rename away" || name == "delete"
				if (before == "vacant" && removes) || (before == "own" && whose == "none") {
					continue // refused, or about nothing, before anything can happen
				}
				t.Run(name+" over "+before+", may replace "+whose, func(t *testing.T) {
					r := newRig(t)
					late := faults.NewPlan(1)
					r.config.Store = faults.Store(r.store, late)
					r.e.Close()
					r.reopen()
					r.mustPut("source", body(2, 10))
					if before == "own" {
						if _, err := r.e.PutObject(t.Context(), engine.PutObject{Bucket: r.b, Key: "k", Owner: writer,
							Body: engine.Body{Reader: bytes.NewReader(body(3, 10)), Size: 10}}); err != nil {
							t.Fatal(err)
						}
					}
					theirs := body(4, 20)
					fired := false
					for _, op := range changes {
						late.Add(faults.Rule{Op: op, N: 1, Hook: func() {
							late.Clear()
							fired = true
							r.mustPut("k", theirs)
						}})
					}
					if err := write(r, owner); !errors.Is(err, s3err.AccessDenied) {
						t.Errorf("%v, want AccessDenied", err)
					}
					if !fired {
						t.Error("nothing was committed late")
					}
					r.wantBody("k", theirs)
				})
			}
		}
	}
}
