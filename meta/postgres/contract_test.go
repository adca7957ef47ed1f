package postgres

import (
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

// The contract, on each version of the server at each level of isolation.
func TestContract(t *testing.T) {
	for _, c := range []*cluster{files15, files18} {
		for _, level := range []string{ReadCommitted, RepeatableRead, Serializable} {
			t.Run(c.version+"/"+level, func(t *testing.T) {
				t.Parallel()
				c.contract(t, func(name string) string { return c.server.URL(name) }, Options{Isolation: level})
			})
		}
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

// The remaining modes in which statements are sent.
func TestContractModes(t *testing.T) {
	for _, mode := range []string{ModeCacheDescribe, ModeDescribeExec} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			files18.contract(t, func(name string) string { return files18.server.URL(name) }, Options{ExecMode: mode})
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
