package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

func dbCommand() *cobra.Command {
	return group("db", "Look after the store: its schema, its rows, and moving it to PostgreSQL",
		dbStatusCommand(), dbMigrateCommand(), dbVerifyCommand(), dbCopyCommand())
}

// What state a store is in, for db status.
const (
	stateEmpty      = "empty"
	stateOlder      = "older"
	stateCurrent    = "current"
	stateNewer      = "newer"
	stateUnfinished = "unfinished copy"
	stateMoved      = "moved"
)

// storeStatus is what db status shows.
type storeStatus struct {
	Engine string `json:"engine"`
	Store  string `json:"store"`
	Has    int64  `json:"schema"`
	Knows  int64  `json:"release_schema"`
	State  string `json:"state"`
	// Sealing says how much of the rows is sealed; empty where that cannot be told.
	Sealing string `json:"sealing,omitempty"`
}

func dbStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which store is configured and whether its schema is this release's",
		Long: `Show the store that the settings name, the version of its schema and the one that
this release knows. It changes nothing, takes no lock, and may run beside gateways.

The state is one of:
  current          this release can serve it
  empty            there is no store yet; gateway serve makes one
  older            run gateway db migrate; or gateway serve does at its start
  newer            a later release has migrated it; run that one
  unfinished copy  gateway db copy has not ended; run it again
  moved            gateway db copy has taken it elsewhere

The sealing says how far a store of an older release is sealed:
  whole            every row has its sealed record
  renewed: ROWS    rows without are given theirs; ROWS is what is looked at now
  legacy           gateways of the release before may still be at work

Exit status: 0 current; 1 another state, or it cannot be told; 2 usage.`,
		Args: cobra.NoArgs,
	}
	output := addOutputFlag(cmd)
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		return withStore(cmd, func(ctx context.Context, c *configuration) error {
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

// withStore runs the rest of a command with the settings, until it is interrupted.
func withStore(cmd *cobra.Command, do func(context.Context, *configuration) error) error {
	c, err := loadConfig(cmd, withoutCopyTo(environment()))
	if err != nil {
		return usage(err)
	}
	syscall.Umask(0o077) // the store's lock is made where there is none
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	return do(ctx, c)
}

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
	default:
		s.State, s.Sealing, err = served(ctx, c)
	}
	return s, err
}

// served tells whether a store with this release's schema may be served, and how far
// it is sealed.
func served(ctx context.Context, c *configuration) (state, sealing string, err error) {
	store, err := openStoreReadOnly(ctx, c)
	if err != nil {
		return "", "", err
	}
	d, err := store.Deployment(ctx)
	switch {
	case errors.Is(err, meta.ErrNotFound):
		state, err = stateCurrent, nil // nobody has begun a deployment
	case errors.Is(err, meta.ErrUnfinished):
		state, err = stateUnfinished, nil
	case errors.Is(err, meta.ErrMoved):
		state, err = stateMoved, nil
	case err == nil:
		state, sealing = stateCurrent, engine.DescribeSealing(d)
	}
	return state, sealing, errors.Join(err, store.Close())
}

func printStatus(w io.Writer, output string, s storeStatus) error {
	if output == "json" {
		return writeJSON(w, s)
	}
	return writeTable(w, []string{"engine", "store", "schema", "release", "state", "sealing"},
		[][]string{{s.Engine, s.Store, fmt.Sprint(s.Has), fmt.Sprint(s.Knows), s.State, cmp.Or(s.Sealing, "-")}})
}

func dbMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the store's schema up to date",
		Long: `Bring the schema of the store up to date. Where it is already, nothing happens.

A SQLite store must not be served meanwhile. A PostgreSQL database may be, by this
release and the one before, and several may migrate it at once: one does it, the
others wait. Make a backup first: there is no way back to an older schema.`,
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

func migrate(ctx context.Context, c *configuration, w io.Writer) error {
	_, name, err := nameStore(c)
	if err != nil {
		return explain(c, err)
	}
	was, _, err := schemaOf(ctx, c)
	if err != nil {
		return explain(c, err)
	}
	if was == 0 && c.StoreURL == "" {
		return fmt.Errorf("%s holds no store: gateway serve makes one", c.Data)
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

func dbVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that the store's schema is whole and its rows agree",
		Long: `Read the whole store and check that every table and column of this release is
there, and that rows agree with one another: references are counted right and lead
somewhere, parts make up their objects, no blob is in two states, and what belongs
to a user, bucket, backend or gateway has one. It opens no key and asks no backend
(gateway fsck does), changes nothing, and may run beside working gateways.

Exit status: 0 nothing found; 1 something contradicts something else; 2 the check
could not be run.`,
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
				return withStatus(exitLost, fmt.Errorf("%d found in the store", report.Found))
			}
			return nil
		})
	}
	return cmd
}

func verifyStore(ctx context.Context, c *configuration) (sqlstore.VerifyReport, error) {
	store, err := openStoreReadOnly(ctx, c)
	if err != nil {
		return sqlstore.VerifyReport{}, err
	}
	report, err := store.Verify(ctx)
	return report, errors.Join(err, store.Close())
}

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
		_, err := fmt.Fprintln(w, "clean: the schema is whole and all rows agree")
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
