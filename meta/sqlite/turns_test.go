package sqlite

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// A read of another party comes before those that a busy party has waiting, however many
// came before it. Background work is a party as well.
func TestReadsTakeTurns(t *testing.T) {
	r := openRunner(t, filepath.Join(t.TempDir(), "meta.db"))
	t.Cleanup(func() { r.Close() })
	by := func(party any) context.Context {
		return meta.WithParty(t.Context(), func() any { return party })
	}
	for _, quiet := range []context.Context{t.Context(), by("quiet")} {
		calls := 10 * r.size
		next := make(chan struct{}) // lets one read of the busy party end
		var reading sync.WaitGroup
		read := func(ctx context.Context, intent func()) {
			reading.Go(func() {
				call := func(sqlstore.Tx) error { intent(); return nil }
				ran, err := r.ReadNow(ctx, call) // as sqlstore does
				if !ran {
					err = r.Read(ctx, call)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		for range calls {
			read(by("busy"), func() { <-next })
		}
		for r.turns.Users("busy") < calls {
			time.Sleep(time.Millisecond)
		}
		answered := make(chan struct{})
		read(quiet, func() { close(answered) })
		for r.turns.Users(meta.Party(quiet)) == 0 {
			time.Sleep(time.Millisecond)
		}
		next <- struct{}{} // for the read of the busy party that is first in the rotation
		next <- struct{}{}
		select {
		case <-answered:
		case <-time.After(time.Minute):
			t.Errorf("a read of %v waits for all of another party", meta.Party(quiet))
		}
		close(next)
		reading.Wait()
	}
}
