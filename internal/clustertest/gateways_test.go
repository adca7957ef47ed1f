//go:build linux

package clustertest

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/postgres"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// pair is two whole gateways over one store and two backends, with a clock that
// the test moves.
type pair struct {
	t     *testing.T
	a, b  *gatewaytest.Gateway
	store meta.Store // of a
	clock atomic.Int64
}

// newPair runs two gateways over PostgreSQL, each with its own connections, or
// over one SQLite store.
func newPair(t *testing.T, onPostgres bool) *pair {
	t.Helper()
	p := &pair{t: t}
	name := ""
	if onPostgres {
		name = newDatabase(t)
	}
	p.clock.Store(time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC).UnixNano())
	open := func() meta.Store {
		var store meta.Store
		var err error
		switch {
		case onPostgres:
			store, err = postgres.Open(t.Context(), database.server.URL(name), postgres.Options{MaxConnections: poolSize})
		case p.store != nil:
			return p.store
		default:
			store, err = sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
		}
		must(t, err)
		t.Cleanup(func() { store.Close() })
		return store
	}
	keys, err := keyring.Create(filepath.Join(t.TempDir(), "keyring"), nil)
	must(t, err)
	t.Cleanup(func() { keys.Close() })
	o := gatewaytest.Options{Keys: keys, Now: p.now, Several: true, Grace: -1, Default: first}
	for _, name := range []string{first, second} {
		o.Backends = append(o.Backends, blobs.Backend{Name: name, Backend: mem.New()})
	}
	p.store = open()
	o.Store = p.store
	p.a = gatewaytest.Start(t, o)
	o.Store = open()
	p.b = gatewaytest.Start(t, o)
	p.b.Root = p.a.Root
	return p
}

func (p *pair) now() time.Time          { return time.Unix(0, p.clock.Load()).UTC() }
func (p *pair) advance(d time.Duration) { p.clock.Add(int64(d)) }
