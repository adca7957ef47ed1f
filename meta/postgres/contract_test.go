package postgres

import (
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

// The contract, on each version of the server at each level of isolation, and in
// every mode in which statements are sent. Then it looks at how the server runs
// each statement that came up.
func TestContract(t *testing.T) {
	t.Run("run", testContract)
	explain(t)
}

func testContract(t *testing.T) {
	for _, run := range []struct {
		c     *cluster
		level string
		mode  string
	}{
		{files15, ReadCommitted, ModeCacheStatement},
		{files15, RepeatableRead, ModeCacheDescribe},
		{files15, Serializable, ModeExec},
		{files18, ReadCommitted, ModeCacheStatement},
		{files18, RepeatableRead, ModeDescribeExec},
		{files18, Serializable, ModeSimple},
	} {
		t.Run(run.c.version+"/"+run.level, func(t *testing.T) {
			t.Parallel()
			run.c.contract(t, func(name string) string { return run.c.server.URL(name) },
				Options{Isolation: run.level, ExecMode: run.mode})
		})
	}
}

// The contract through PgBouncer in transaction mode, in the modes that Open's
// package comment promises for the release that Debian 12 has.
func TestContractThroughPgBouncer(t *testing.T) {
	for _, mode := range []string{ModeExec, ModeSimple} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			files15.contract(t, func(name string) string { return files15.bouncer.URL(name) }, Options{ExecMode: mode})
		})
	}
}

// contract runs the suite in a database that is emptied before each test.
func (c *cluster) contract(t *testing.T, url func(database string) string, o Options) {
	name := c.database(t)
	metatest.Run(t, func(t *testing.T) meta.Store {
		c.empty(t, name)
		return openStore(t, url(name), o)
	})
}
