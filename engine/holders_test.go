package engine_test

import (
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
)

// Of requests of one user that come at once, one reads who that is.
func TestHolderIsReadOnce(t *testing.T) {
	const atOnce = 100
	r := newRig(t)
	cred, err := r.e.CreateTenant(t.Context(), "busy", "", "", "")
	if err != nil {
		t.Fatal(err)
	}
	plan := r.plannedStore(1)
	if _, err := r.e.Credential(t.Context(), cred.AccessKey, ""); err != nil { // the key is remembered
		t.Fatal(err)
	}
	engine.ForgetHolders(r.e)
	come, waiting := make(chan struct{}), sync.WaitGroup{}
	waiting.Add(atOnce)
	plan.Add(faults.Rule{Op: "Tenant", When: faults.Before, Hook: func() { waiting.Wait() }})
	before := plan.Calls("Tenant")
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			<-come
			waiting.Done()
			if _, err := r.e.Credential(t.Context(), cred.AccessKey, ""); err != nil {
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
