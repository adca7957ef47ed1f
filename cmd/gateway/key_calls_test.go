package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
)

// seen is how many calls of provider kms the metrics show.
func (c *keyCalls) seen(t *testing.T, operation, outcome string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["provider"] == "kms" && labels["operation"] == operation && labels["outcome"] == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// Each call of a provider counts once, under what came of it.
func TestKeyCalls(t *testing.T) {
	for fault, want := range map[keytest.Fault]string{
		keytest.Works: "ok", keytest.Down: "unavailable", keytest.Throttled: "unavailable", keytest.Denied: "denied",
		keytest.Disabled: "disabled", keytest.PendingDeletion: "not_found", keytest.Deleted: "not_found",
	} {
		calls, fake := newKeyCalls(), keytest.NewFake("fake")
		p := calls.of("kms", fake)
		secret := encrypt.NewSeed()
		wrapped, err := p.Wrap(t.Context(), encrypt.Context{}, secret[:])
		if err != nil {
			t.Fatal(err)
		}
		fake.Set(fault)
		_, _ = p.Unwrap(t.Context(), encrypt.Context{}, wrapped)
		_, _ = p.Rewrap(t.Context(), encrypt.Context{}, wrapped)
		for _, operation := range []string{keyUnwrap, keyRewrap} {
			if n := calls.seen(t, operation, want); n != 1 {
				t.Errorf("fault %d: %v calls of %s ended as %s", fault, n, operation, want)
			}
		}
		if n := calls.seen(t, keyWrap, "ok"); n != 1 {
			t.Errorf("fault %d: %v wraps", fault, n)
		}
	}
	calls := newKeyCalls()
	p := calls.of("kms", keytest.NewFake("fake"))
	secret := encrypt.NewSeed()
	wrapped, err := p.Wrap(t.Context(), encrypt.Context{}, secret[:])
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Unwrap(t.Context(), encrypt.Context{Generation: 7}, wrapped)
	if n := calls.seen(t, keyUnwrap, "wrong_key"); n != 1 || err == nil {
		t.Errorf("another context: %v, %v calls", err, n)
	}
}
