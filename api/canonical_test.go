package api

import (
	"testing"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
)

// Listings show the ids that policies and ACLs use.
func TestCanonicalIDsAgree(t *testing.T) {
	id := meta.NewID()
	if got, want := access.ID(id).Canonical(), id.Canonical(); got != want {
		t.Errorf("package access has %s, the store %s", got, want)
	}
}
