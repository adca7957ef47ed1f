//go:build linux

package awskms

import (
	"errors"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keytest"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// startKMS starts a server with a key that alias/seeds names, and opens a provider of it.
func startKMS(t *testing.T) (*servers.KMS, *Provider) {
	t.Helper()
	k, err := servers.StartKMS(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Kill)
	alias(t, k, "CreateAlias")
	o := settings(k.URL, k.Region)
	o.Timeout = 5 * time.Second
	return k, opened(t, o)
}

// alias has alias/seeds name a new key, and returns the key.
func alias(t *testing.T, k *servers.KMS, operation string) (arn string) {
	t.Helper()
	arn, err := k.CreateKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask(t, k, operation, map[string]any{"AliasName": "alias/seeds", "TargetKeyId": arn})
	return arn
}

func ask(t *testing.T, k *servers.KMS, operation string, input map[string]any) {
	t.Helper()
	if _, err := k.Ask(t.Context(), operation, input); err != nil {
		t.Fatal(err)
	}
}

// The contract holds against a server that others wrote.
func TestContractOfLocalKMS(t *testing.T) {
	alone(t)
	keytest.Run(t, func(t *testing.T) encrypt.Provider {
		_, p := startKMS(t)
		return p
	})
}

// The states of a key are told apart as that server tells them.
func TestKeyStatesOfLocalKMS(t *testing.T) {
	alone(t)
	k, p := startKMS(t)
	old := wrapped(t, p)
	first, err := p.KeyID(old)
	if err != nil {
		t.Fatal(err)
	}
	second := alias(t, k, "UpdateAlias")
	again, err := p.Rewrap(t.Context(), seedContext(), old)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := p.KeyID(again); err != nil || id != second || id == first {
		t.Errorf("rewrapped under %q, %v, want %q", id, err, second)
	}
	opens(t, p, old)
	opens(t, p, again)

	ask(t, k, "EnableKeyRotation", map[string]any{"KeyId": second})
	opens(t, p, again)
	ask(t, k, "DisableKey", map[string]any{"KeyId": first})
	refuses(t, p, old, encrypt.ErrKeyDisabled)
	opens(t, p, again)
	ask(t, k, "ScheduleKeyDeletion", map[string]any{"KeyId": second, "PendingWindowInDays": 7})
	refuses(t, p, again, encrypt.ErrKeyNotFound)
	if err := p.Check(t.Context()); !errors.Is(err, encrypt.ErrKeyNotFound) {
		t.Errorf("Check: %v", err)
	}
	ask(t, k, "CancelKeyDeletion", map[string]any{"KeyId": second})
	ask(t, k, "EnableKey", map[string]any{"KeyId": second})
	opens(t, p, again)

	k.Kill()
	refuses(t, p, again, encrypt.ErrUnavailable)
}
