package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// All settings of a bucket together stay so small that they are remembered, and what
// there is can be replaced by as much.
func TestSettingsOfABucketAreBounded(t *testing.T) {
	h := newRig(t)
	document := func(n int) []byte { return []byte(strings.Repeat("x", n)) }
	put := func(name string, n int) error {
		b, err := h.e.Bucket(t.Context(), h.b.Name)
		if err != nil {
			t.Fatal(err)
		}
		return h.e.SetSetting(t.Context(), b, name, document(n))
	}
	const one = engine.MaxSettingsText / 8
	for i := range 8 {
		if err := put(fmt.Sprint("inventory/", i), one); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := put("inventory/more", 1); !errors.Is(err, s3err.TooManyConfigurations) {
		t.Errorf("more than there may be: %v", err)
	}
	if err := put("inventory/1", one+1); !errors.Is(err, s3err.TooManyConfigurations) {
		t.Errorf("a longer one: %v", err)
	}
	for _, n := range []int{one, one - 1, 0} {
		if err := put("inventory/1", n); err != nil {
			t.Errorf("one of %d bytes: %v", n, err)
		}
	}
	if err := put("inventory/more", one); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	b, err := h.e.Bucket(t.Context(), h.b.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.e.Settings(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if !engine.RemembersSettings(h.e, b) {
		t.Error("settings of the most that there may be are not remembered")
	}
}

// However many requests of one owner's buckets come at once, few read settings, and
// those of another owner do not wait for them.
func TestReadingSettingsTakesTurns(t *testing.T) {
	h := newRig(t)
	b, err := h.e.Bucket(t.Context(), h.b.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.e.SetSetting(t.Context(), b, "cors", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if b, err = h.e.Bucket(t.Context(), h.b.Name); err != nil {
		t.Fatal(err)
	}
	engine.ForgetSettings(h.e, b)
	turns := engine.SettingTurns(h.e)
	var leave []func()
	for range engine.SettingReads {
		l, err := turns.Enter(t.Context(), b.Owner)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.e.Settings(ctx, b); !errors.Is(err, context.Canceled) {
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
	if _, err := h.e.Settings(t.Context(), b); err != nil || turns.Users(b.Owner) != 0 {
		t.Errorf("%v, %d at it", err, turns.Users(b.Owner))
	}
}
