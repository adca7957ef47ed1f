package main

import (
	"net/http/httptest"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
)

// transitKey is the key of a script's fake Vault.
const transitKey = "gateway-seeds"

// transitKept is the name under which a script stores its fake Vault.
type transitKept struct{}

// transit start: begin a fake Vault, whose address becomes $VAULT. It has an AppRole with
// the role id gateway-role and the secret id $SECRET_ID.
//
// transit rotate, soft-delete, restore, deny, allow, seal, unseal, underive, derive: change
// it.
func cmdTransit(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(transitKept{}).(*vaulttest.Server)
	verb := args[0]
	switch verb {
	case "start":
		s.AddKey(transitKey)
		s.Grant(transitKey)
		s.Accept("auth/approle/login", map[string]string{"role_id": "gateway-role", "secret_id": ts.Getenv("SECRET_ID")})
		listener := httptest.NewServer(s)
		ts.Defer(listener.Close)
		ts.Setenv("VAULT", listener.URL)
	case "rotate":
		s.Rotate(transitKey)
	case "soft-delete", "restore":
		s.Change(transitKey, func(k *vaulttest.Key) { k.SoftDeleted = verb == "soft-delete" })
	case "underive", "derive":
		s.Change(transitKey, func(k *vaulttest.Key) { k.Derived = verb == "derive" })
	case "deny":
		s.Allow("transit/decrypt/" + transitKey)
	case "allow":
		s.Grant(transitKey)
	case "seal":
		s.Fail(vaulttest.Sealed)
	case "unseal":
		s.Fail(vaulttest.None)
	default:
		ts.Fatalf("transit: no verb %s", verb)
	}
}
