package accounts_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// open returns the accounts of a new deployment. The plan can make its store
// fail.
func open(t *testing.T) (*accounts.Accounts, *faults.Plan) {
	t.Helper()
	dir := t.TempDir()
	keys, err := keyring.Create(filepath.Join(dir, "keyring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(filepath.Join(dir, "meta.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan := faults.NewPlan(1)
	e, err := engine.Open(t.Context(), engine.Config{
		Store: faults.Store(store, plan), Backends: []blobs.Backend{{Name: "local", Backend: mem.New()}}, Keys: keys, Sole: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		store.Close()
		keys.Close()
	})
	return e.Accounts(), plan
}

// TestHolderIsReadOnce sends many requests of one user at once. Only one of
// them may read the user from the store.
func TestHolderIsReadOnce(t *testing.T) {
	const atOnce = 100
	a, plan := open(t)
	cred, err := a.CreateTenant(t.Context(), "busy", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Credential(t.Context(), cred.AccessKey, ""); err != nil { // the key is remembered
		t.Fatal(err)
	}
	accounts.ForgetHolders(a)
	come, waiting := make(chan struct{}), sync.WaitGroup{}
	waiting.Add(atOnce)
	plan.Add(faults.Rule{Op: "Tenant", When: faults.Before, Hook: func() { waiting.Wait() }})
	before := plan.Calls("Tenant")
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			<-come
			waiting.Done()
			if _, err := a.Credential(t.Context(), cred.AccessKey, ""); err != nil {
				t.Error(err)
			}
		})
	}
	close(come)
	all.Wait()
	if n := plan.Calls("Tenant") - before; n != 1 {
		t.Errorf("%d requests at once read %d times whose they are", atOnce, n)
	}
}
