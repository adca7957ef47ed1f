package postgres

import (
	"context"
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

// The contract, on each version of the server, at each isolation level, and in
// every mode of sending statements. Afterwards it checks the plan of each statement
// that was used.
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

// The contract through PgBouncer in transaction mode, in the mode for releases
// like Debian 12's.
func TestContractThroughPgBouncer(t *testing.T) {
	t.Parallel()
	files15.contract(t, func(name string) string { return files15.bouncer.URL(name) }, Options{ExecMode: ModeExec})
}

// The other modes through PgBouncer: those that need no session, and those that its
// release in Debian 12 does not support, as the package comment says.
func TestModesThroughPgBouncer(t *testing.T) {
	name := files15.database(t)
	for mode, works := range map[string]bool{
		ModeExec: true, ModeSimple: true, ModeCacheStatement: false,
	} {
		t.Run(mode, func(t *testing.T) {
			err := useBouncer(name, mode)
			if works && err != nil || !works && err == nil {
				t.Errorf("works: %v", err)
			}
		})
	}
}

// useBouncer writes through more clients than the pooler has connections.
func useBouncer(name, mode string) error {
	const clients, writes = 24, 5
	errs := make(chan error, clients)
	for range clients {
		go func() {
			url, o := files15.bouncer.URL(name), Options{ExecMode: mode, MaxConnections: 2}
			_, _, err := Status(context.Background(), url, o) // as each start does
			if err = errors.Join(err, Migrate(context.Background(), url, o)); err != nil {
				errs <- err
				return
			}
			s, err := Open(context.Background(), url, o)
			if err != nil {
				errs <- err
				return
			}
			for holder := range writes {
				err = errors.Join(err, s.Beat(context.Background(), meta.ID{1, byte(holder)}, meta.SealingWhole))
			}
			errs <- errors.Join(err, s.Close())
		}()
	}
	var err error
	for range clients {
		err = errors.Join(err, <-errs)
	}
	return err
}

// contractConnections is few, so that most of the suite's calls reuse one.
const contractConnections = 8

// contract runs the suite in a database that is emptied before each test.
func (c *cluster) contract(t *testing.T, url func(database string) string, o Options) {
	name := c.database(t)
	o.MaxConnections = contractConnections
	metatest.Run(t, func(t *testing.T) meta.Store {
		c.empty(t, name)
		return openStore(t, url(name), o)
	})
}
