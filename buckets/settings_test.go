package buckets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// rig is a gateway with one bucket.
type rig struct {
	*buckets.Buckets
	*gatewaytest.Gateway
	t *testing.T
}

func newRig(t *testing.T) *rig {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{})
	r := &rig{g.Engine.Buckets(), g, t}
	if _, err := r.Create(t.Context(), "first-bucket", "", g.Engine.Accounts().Root().ID); err != nil {
		t.Fatal(err)
	}
	return r
}

// bucket is the bucket as it is now.
func (r *rig) bucket() meta.Bucket {
	r.t.Helper()
	b, err := r.Get(r.t.Context(), "first-bucket")
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// All settings of a bucket together stay so small that they are remembered, and what
// there is can be replaced by as much.
func TestSettingsOfABucketAreBounded(t *testing.T) {
	r := newRig(t)
	document := func(n int) []byte { return []byte(strings.Repeat("x", n)) }
	put := func(name string, n int) error { return r.SetSetting(t.Context(), r.bucket(), name, document(n)) }
	const one, kind = buckets.MaxSettingsText / 8, "inventory/"
	for i := range 8 {
		if err := put(fmt.Sprint(kind, i), one); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := put(kind+"more", 1); !errors.Is(err, s3err.TooManyConfigurations) {
		t.Errorf("more than there may be: %v", err)
	}
	if err := put(kind+"1", one+1); !errors.Is(err, s3err.TooManyConfigurations) {
		t.Errorf("a longer one: %v", err)
	}
	for _, n := range []int{one, one - 1, 0} {
		if err := put(kind+"1", n); err != nil {
			t.Errorf("one of %d bytes: %v", n, err)
		}
	}
	if err := put(kind+"more", one); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	b := r.bucket()
	if _, err := r.Settings(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if !buckets.RemembersSettings(r.Buckets, b) {
		t.Error("settings of the most that there may be are not remembered")
	}
}

// However many requests of one owner's buckets come at once, few read settings, and
// those of another owner do not wait for them.
func TestReadingSettingsTakesTurns(t *testing.T) {
	r := newRig(t)
	if err := r.SetSetting(t.Context(), r.bucket(), "cors", []byte("x")); err != nil {
		t.Fatal(err)
	}
	b := r.bucket()
	buckets.ForgetSettings(r.Buckets, b)
	turns := buckets.SettingTurns(r.Buckets)
	var leave []func()
	for range buckets.SettingReads {
		l, err := turns.Enter(t.Context(), b.Owner)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Settings(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("one whose client has gone: %v", err)
	}
	if l, err := turns.Enter(t.Context(), meta.NewID()); err != nil {
		t.Error(err)
	} else {
		l()
	}
	for _, l := range leave {
		l()
	}
	if _, err := r.Settings(t.Context(), b); err != nil || turns.Users(b.Owner) != 0 {
		t.Errorf("%v, %d at it", err, turns.Users(b.Owner))
	}
}

// An expired entry is gone with the engine's next beat, though nobody asks for anything.
func TestBeatSweeps(t *testing.T) {
	r := newRig(t)
	left := buckets.RememberExpired(r.Buckets, 100)
	if n := left(); n != 100 {
		t.Fatalf("%d of 100 are remembered", n)
	}
	if err := r.Engine.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != 0 {
		t.Errorf("%d of 100 are left", n)
	}
}

// Settings that a background step reads on its way through all buckets are those that
// requests get, and neither they nor what is made of them is remembered.
func TestPassingSettingsAreNotRemembered(t *testing.T) {
	r := newRig(t)
	if err := r.SetSetting(t.Context(), r.bucket(), "policy", []byte(strings.Repeat("x", 9<<10))); err != nil {
		t.Fatal(err)
	}
	b := r.bucket()
	buckets.ForgetSettings(r.Buckets, b)
	before := bytesHeld(r.Buckets)
	s, cost, err := r.PassingSettings(t.Context(), b)
	if err != nil || cost != 3 {
		t.Fatalf("cost %d, %v; want 3", cost, err)
	}
	text, ok, err := buckets.Parsed(s, "policy", func(doc []byte) (string, error) { return string(doc), nil })
	if err != nil || !ok || len(text) != 9<<10 {
		t.Errorf("a policy of %d bytes, %t, %v", len(text), ok, err)
	}
	if buckets.RemembersSettings(r.Buckets, b) || bytesHeld(r.Buckets) != before {
		t.Errorf("%d bytes are remembered, and were %d before", bytesHeld(r.Buckets), before)
	}
	if _, err := r.Settings(t.Context(), b); err != nil || !buckets.RemembersSettings(r.Buckets, b) {
		t.Fatal("a request's are not remembered", err)
	}
	if _, cost, err := r.PassingSettings(t.Context(), b); err != nil || cost != 0 {
		t.Errorf("remembered ones cost %d, %v", cost, err)
	}
}

// bytesHeld is how much is remembered, without keys and proven rows.
func bytesHeld(bs *buckets.Buckets) int {
	c := bs.Caches()
	return c[2].Bytes() + c[3].Bytes()
}
