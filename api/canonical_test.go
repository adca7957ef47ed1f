package api

import (
	"testing"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
)

// What listings show is what policies and ACLs name.
func TestCanonicalIDsAgree(t *testing.T) {
	id := meta.NewID()
	if got, want := access.ID(id).Canonical(), id.Canonical(); got != want {
		t.Errorf("access says %s, the store %s", got, want)
	}
}
