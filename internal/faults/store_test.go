package faults

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

func openStore(t *testing.T) meta.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "meta.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStoreAddsNothing(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store { return Store(openStore(t), NewPlan(1)) })
}

// callZero calls a method of a store with zero arguments and returns its error.
func callZero(t *testing.T, s meta.Store, name string) error {
	t.Helper()
	m := reflect.ValueOf(s).MethodByName(name)
	var args []reflect.Value
	for i := range m.Type().NumIn() {
		args = append(args, reflect.Zero(m.Type().In(i)))
	}
	if len(args) > 0 {
		args[0] = reflect.ValueOf(t.Context())
	}
	out := m.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

// Every method of the contract asks the plan by its own name, and does not come
// to the store when the plan says no: here there is none.
func TestEveryIntentCanFail(t *testing.T) {
	contract := reflect.TypeFor[meta.Store]()
	for i := range contract.NumMethod() {
		name := contract.Method(i).Name
		if name == "Close" {
			continue
		}
		plan := NewPlan(1, Rule{Op: Op(name)})
		err := callZero(t, Store(nil, plan), name)
		if !errors.Is(err, meta.ErrUnavailable) || !errors.Is(err, ErrInjected) || errors.Is(err, meta.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		if plan.Fired() != 1 || plan.Calls(Op(name)) != 1 || plan.Calls(Any) != 1 {
			t.Errorf("%s: fired %d, %d calls", name, plan.Fired(), plan.Calls(Any))
		}
	}
}

// A change whose answer is lost has happened and its outcome is unknown; a
// question whose answer is lost may be asked again.
func TestStoreAfter(t *testing.T) {
	ctx := context.Background()
	inner := openStore(t)
	s := Store(inner, NewPlan(1, Rule{When: After}))
	const at = meta.FirstBackend
	owner := meta.Tenant{ID: meta.NewID(), Name: "owner"}
	b := meta.Bucket{ID: meta.NewID(), Name: "b", Owner: owner.ID, Backend: at, Created: time.Now()}
	holder, blob := meta.NewID(), meta.BlobID{1}
	v := meta.Version{Bucket: b.ID, Key: "k", ID: meta.NewID(), Null: true, Modified: time.Now(), Body: meta.Body{Kind: meta.BodyBlob, Blob: blob}}
	unknown := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, meta.ErrUnknown) || errors.Is(err, meta.ErrUnavailable) {
			t.Errorf("%s: %v, want an unknown outcome", what, err)
		}
	}
	unknown("AddBackend", s.AddBackend(ctx, meta.Backend{ID: at, Name: "local", Created: time.Now()}))
	unknown("CreateTenant", s.CreateTenant(ctx, owner, meta.AccessKey{ID: "key", User: owner.ID}))
	unknown("CreateBucket", s.CreateBucket(ctx, b, meta.BucketSeed{Bucket: b.ID, Generation: 1}, meta.MaxBucketCount))
	unknown("Reserve", s.Reserve(ctx, holder, at, []meta.BlobID{blob}, time.Now()))
	unknown("CommitObject", s.CommitObject(ctx, meta.Commit{Version: v, Holder: holder}))
	if got, err := inner.Object(ctx, b.ID, "k"); err != nil || got.ID != v.ID {
		t.Errorf("the commit whose answer was lost did not happen: %v", err)
	}
	if got, err := s.Object(ctx, b.ID, "k"); !errors.Is(err, meta.ErrUnavailable) || errors.Is(err, meta.ErrUnknown) || got.Key != "" {
		t.Errorf("Object: %+v, %v", got, err)
	}
	errs, err := s.RemoveObjects(ctx, b.ID, meta.VersioningOff, []meta.Removal{{Key: "k"}}, time.Now())
	unknown("RemoveObjects", err)
	if errs != nil {
		t.Errorf("a lost answer has outcomes: %v", errs)
	}
	if _, err := inner.Object(ctx, b.ID, "k"); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("the removal whose answer was lost did not happen: %v", err)
	}
	// A refusal of the store is not a lost answer.
	if err := s.AbortUpload(ctx, meta.NewID()); !errors.Is(err, meta.ErrNotFound) || errors.Is(err, ErrInjected) {
		t.Errorf("AbortUpload: %v", err)
	}
}
