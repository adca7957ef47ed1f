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

// faults of a bad day: one COMMIT in eight.
var faults = map[strictpg.Fault]float64{
	strictpg.Serialization: 0.04, strictpg.BeforeCommit: 0.02, strictpg.AfterCommit: 0.03,
	strictpg.LateCommit: 0.015, strictpg.HalfCommit: 0.015, strictpg.Between: 0.002,
}

// strict starts a proxy before the server. What it refused fails the test.
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
// connections break at the worst of moments; and nothing is asked of the
// database that not all of its relatives have. The migrations run through it too.
func TestContractUnderFaults(t *testing.T) {
	for mode, c := range map[string]*cluster{ModeCacheStatement: files18, ModeExec: files15} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := strict(t, c, strictpg.Options{Named: mode == ModeCacheStatement, Faults: faults, Seed: rand.Uint64()})
			name := c.create(t, "")
			o := Options{ExecMode: mode, Migrate: true}
			metatest.Run(t, func(t *testing.T) meta.Store {
				s := openStore(t, proxyURL(p, name), o)
				c.empty(t, name)
				return s
			})
			for fault := range faults {
				if p.Happened()[fault] == 0 {
					t.Errorf("%q never happened", fault)
				}
			}
			t.Log(p.Happened())
		})
	}
}
