package postgres

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/internal/servers/strictpg"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

// faults hit one COMMIT in eight.
var faults = map[strictpg.Fault]float64{
	strictpg.Serialization: 0.04, strictpg.BeforeCommit: 0.02, strictpg.AfterCommit: 0.03,
	strictpg.LateCommit: 0.015, strictpg.HalfCommit: 0.015, strictpg.Between: 0.002,
}

// strict starts a proxy in front of the server. A statement that it refuses fails
// the test.
func strict(t testing.TB, c *cluster, o strictpg.Options) *strictpg.Proxy {
	t.Helper()
	p, err := strictpg.Start(c.up(t).Address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if refused := p.Refused(); len(refused) > 0 {
			t.Errorf("refused: %q", refused)
		}
		if t.Failed() {
			t.Logf("seed of the faults: %d", o.Seed)
		}
	})
	return p
}

func proxyURL(p *strictpg.Proxy, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", servers.PostgresUser, p.Address, database)
}

// The contract holds, and no outcome is unknown, while commits are refused and
// connections break at the worst moments. The store sends only statements that all
// relatives of PostgreSQL accept. The migrations run through the proxy too.
func TestContractUnderFaults(t *testing.T) {
	t.Parallel()
	p := strict(t, files18, strictpg.Options{Named: true, Faults: faults, Seed: rand.Uint64()})
	name := files18.create(t, "")
	o := Options{Migrate: true, MaxConnections: contractConnections}
	metatest.Run(t, func(t *testing.T) meta.Store {
		s := openStore(t, proxyURL(p, name), o)
		files18.empty(t, name)
		return s
	})
	for fault := range faults {
		if p.Happened()[fault] == 0 {
			t.Errorf("%q never happened", fault)
		}
	}
}

// Without named prepared statements there is no session state left: the migrations
// and a few writes pass.
func TestNamelessStatements(t *testing.T) {
	for _, mode := range []string{ModeExec, ModeSimple, ModeCacheDescribe, ModeDescribeExec} {
		p := strict(t, files15, strictpg.Options{})
		s := openStore(t, proxyURL(p, files15.create(t, "")), Options{ExecMode: mode, Migrate: true})
		fill(t, s, addBucket(t, s), 5)
	}
}
