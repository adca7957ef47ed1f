package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
	"github.com/sanctum-storage/gateway/reseal"
)

// dbCommand holds the commands about the store.
func dbCommand() *cobra.Command {
	return group("db", "Check, migrate and compact the store, and move it to PostgreSQL",
		dbStatusCommand(), dbMigrateCommand(), dbVerifyCommand(), dbCompactCommand(), dbCopyCommand())
}

// States of a store, as db status shows them.
const (
	stateEmpty      = "empty"
	stateOlder      = "older"
	stateCurrent    = "current"
	stateNewer      = "newer"
	stateUnfinished = "unfinished copy"
	stateMoved      = "moved"
)

// storeStatus is the output of db status. The field names are part of the
// interface.
type storeStatus struct {
	Engine string `json:"engine"`
	Store  string `json:"store"`
	Has    int64  `json:"schema"`
	Knows  int64  `json:"release_schema"`
	State  string `json:"state"`
	// Sealing tells which part of the rows is sealed; empty if it cannot be
	// told.
	Sealing string `json:"sealing,omitempty"`
}

// dbStatusCommand describes the store. It exists for deployment tools, so its
// exit status tells whether serve can start without a migration.
func dbStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the configured store, and whether its schema is that of this release",
		Long: `Show the store that the settings name, the version of its schema and the version that
this release needs. The command changes nothing and takes no lock, so it may run beside
gateways.

The state is one of:
  current          this release can serve the store
  empty            there is no store yet; gateway serve creates one
  older            run gateway db migrate, or start gateway serve, which migrates it
  newer            a later release has migrated the store; run that release
  unfinished copy  gateway db copy was interrupted; run it again
  moved            gateway db copy has moved the store to a database

The sealing tells how much of a store of an older release is sealed:
  whole            every row has its sealed record
  renewed: ROWS    missing records are being added; ROWS names the rows in work
  legacy           gateways of the release before may still be running

Exit status: 0 current; 1 another state, or the state is unknown; 2 usage.`,
		Args: cobra.NoArgs,
	}
	output := addOutputFlag(cmd)
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		return withStore(cmd, func(ctx context.Context, c *configuration) error {
			// The status is printed even if it is a failure for the exit
			// status.
			s, err := statusOf(ctx, c)
			if err != nil {
				return failed(explain(c, err))
			}
			if err := printStatus(cmd.OutOrStdout(), *output, s); err != nil {
				return failed(err)
			}
			if s.State != stateCurrent {
				return failed(fmt.Errorf("the store is not current: %s", s.State))
			}
			return nil
		})
	}
	return cmd
}

// withStore loads the settings and runs do until it ends or a signal arrives.
func withStore(cmd *cobra.Command, do func(context.Context, *configuration) error) error {
	c, err := loadConfig(cmd, withoutCopyTo(environment()))
	if err != nil {
		return usage(err)
	}
	syscall.Umask(0o077) // The store's lock file is created if it is missing.
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	return do(ctx, c)
}

// statusOf finds out the state of the store without changing it.
func statusOf(ctx context.Context, c *configuration) (s storeStatus, err error) {
	if s.Engine, s.Store, err = nameStore(c); err != nil {
		return s, err
	}
	if s.Has, s.Knows, err = schemaOf(ctx, c); err != nil {
		return s, err
	}
	switch {
	case s.Has == 0:
		s.State = stateEmpty
	case s.Has < s.Knows:
		s.State = stateOlder
	case s.Has > s.Knows:
		s.State = stateNewer
	// Only a store with this schema can be read further.
	default:
		s.State, s.Sealing, err = served(ctx, c)
	}
	return s, err
}

// served tells whether a store with the schema of this release can be served,
// and how much of it is sealed.
func served(ctx context.Context, c *configuration) (state, sealing string, err error) {
	store, err := openStoreReadOnly(ctx, c)
	if err != nil {
		return "", "", err
	}
	d, err := store.Deployment(ctx)
	switch {
	case errors.Is(err, meta.ErrNotFound):
		state, err = stateCurrent, nil // no gateway has begun a deployment
	case errors.Is(err, meta.ErrUnfinished):
		state, err = stateUnfinished, nil
	case errors.Is(err, meta.ErrMoved):
		state, err = stateMoved, nil
	case err == nil:
		state, sealing = stateCurrent, reseal.Describe(d)
	}
	return state, sealing, errors.Join(err, store.Close())
}

// printStatus prints the status of the store as one row or as JSON.
func printStatus(w io.Writer, output string, s storeStatus) error {
	if output == "json" {
		return writeJSON(w, s)
	}
	return writeTable(w, []string{"engine", "store", "schema", "release", "state", "sealing"},
		[][]string{{s.Engine, s.Store, fmt.Sprint(s.Has), fmt.Sprint(s.Knows), s.State, cmp.Or(s.Sealing, "-")}})
}

// dbMigrateCommand migrates the schema, for operators who do not let gateways
// do it at their start.
func dbMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the store's schema up to date",
		Long: `Bring the schema of the store up to date. If it is already, nothing happens.

A SQLite store must not be served meanwhile. A PostgreSQL database may be served by
this release and the one before. Several processes may migrate it at once: one does,
and the others wait. Make a backup first, because there is no way back to an older
schema.`,
		Args: cobra.NoArgs,
	}
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withStore(cmd, func(ctx context.Context, c *configuration) error {
			return failed(migrate(ctx, c, cmd.OutOrStdout()))
		})
	}
	return cmd
}

// migrate migrates the store and prints the versions before and after.
func migrate(ctx context.Context, c *configuration, w io.Writer) error {
	_, name, err := nameStore(c)
	if err != nil {
		return explain(c, err)
	}
	was, _, err := schemaOf(ctx, c)
	if err != nil {
		return explain(c, err)
	}
	// A mistaken data folder must not get a store. An empty database is
	// migrated, for gateways that may not do it themselves.
	if was == 0 && c.StoreURL == "" {
		return noStore(c)
	}
	if err := migrateStore(ctx, c); err != nil {
		return explain(c, err)
	}
	is, _, err := schemaOf(ctx, c)
	if err != nil {
		return explain(c, err)
	}
	how := fmt.Sprintf("schema %d → %d", was, is)
	if was == is {
		how = fmt.Sprintf("schema %d, nothing to do", is)
	}
	_, err = fmt.Fprintf(w, "%s: %s\n", name, how)
	return err
}

// noStore refuses a command for a SQLite store where the data folder has none.
func noStore(c *configuration) error {
	return fmt.Errorf("%s contains no store: gateway serve creates one", c.Data)
}

// dbVerifyCommand checks the store on its own, without keys and backends.
func dbVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that the store's schema is complete and its rows are consistent",
		Long: `Read the whole store and check that every table and column of this release exists
and that the rows are consistent: reference counts are right and references lead to
rows, parts make up their objects, no blob has two states, and rows that belong to a
user, bucket, backend or gateway have one. The command opens no key and asks no backend
(gateway fsck does). It changes nothing and may run beside working gateways.

Exit status: 0 nothing found; 1 rows contradict each other; 2 the check could not be
run.`,
		Args: cobra.NoArgs,
	}
	output := addOutputFlag(cmd)
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		return withStore(cmd, func(ctx context.Context, c *configuration) error {
			report, err := verifyStore(ctx, c)
			if err == nil {
				err = printFaults(cmd.OutOrStdout(), *output, report)
			}
			if err != nil {
				return withStatus(exitNotRun, explain(c, err))
			}
			if !report.Clean() {
				return withStatus(exitLost, fmt.Errorf("contradictions in the store: %d", report.Found))
			}
			return nil
		})
	}
	return cmd
}

// verifyStore checks the rows of the store.
func verifyStore(ctx context.Context, c *configuration) (sqlstore.VerifyReport, error) {
	store, err := openStoreReadOnly(ctx, c)
	if err != nil {
		return sqlstore.VerifyReport{}, err
	}
	report, err := store.Verify(ctx)
	return report, errors.Join(err, store.Close())
}

// printFaults prints the result of db verify. The list of faults is bounded,
// and the number of the others is printed below it.
func printFaults(w io.Writer, output string, r sqlstore.VerifyReport) error {
	if output == "json" {
		return writeJSON(w, struct {
			Clean bool `json:"clean"`
			sqlstore.VerifyReport
		}{r.Clean(), r})
	}
	if _, err := fmt.Fprintf(w, "checked %d objects, %d uploads with %d parts, %d blobs\n",
		r.Rows["objects"], r.Rows["uploads"], r.Rows["parts"], r.Rows["blobs"]); err != nil {
		return err
	}
	if r.Clean() {
		_, err := fmt.Fprintln(w, "clean: the schema is complete and all rows are consistent")
		return err
	}
	var rows [][]string
	for _, f := range r.Faults {
		rows = append(rows, []string{f.Kind, f.Table, f.Row, f.Detail})
	}
	if err := writeTable(w, []string{"kind", "table", "row", "what"}, rows); err != nil {
		return err
	}
	if more := r.Found - int64(len(r.Faults)); more > 0 {
		_, err := fmt.Fprintf(w, "and %d more\n", more)
		return err
	}
	return nil
}
