package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlstore"
)

// envCopyTo names the target of db copy. It is no setting, because gateways
// serve the settings' store and never this one.
const envCopyTo = "SANCTUM_DB_COPY_TO"

// dbCopyCommand moves the store to PostgreSQL.
func dbCopyCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Move the store from SQLite in the data folder to PostgreSQL",
		Long: `Copy the store in the data folder into an empty PostgreSQL database, which takes its
place. No gateway may serve the store meanwhile. The URL of the database contains a
password, so it comes from ` + envCopyTo + ` or from a file with mode 0600 that
--to-file names.

Objects stay where they are: sealed blobs and the key file are not touched. An
interrupted copy continues when the command is run again. At the end every row is read
on both sides and compared. Until then gateway serve refuses the database, and from
then on it refuses the old store, which is left in the data folder.`,
		Args: cobra.NoArgs,
	}
	addSettingFlags(cmd, forFolder)
	cmd.Flags().StringVar(&file, "to-file", "", "file with the URL of the database, mode 0600; instead of "+envCopyTo)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		url, err := copyTarget(os.Getenv(envCopyTo), file)
		if err != nil {
			return usage(err)
		}
		return withStore(cmd, func(ctx context.Context, c *configuration) error {
			if c.StoreURL != "" {
				return usage(errors.New("store.url is set, but db copy moves the store in the data folder: unset it; " +
					"to move a database, use PostgreSQL's own tools"))
			}
			copied, err := copyStore(ctx, c, url, cmd.ErrOrStderr())
			if err != nil {
				return failed(err)
			}
			return failed(printCopied(cmd.OutOrStdout(), c, copied))
		})
	}
	return cmd
}

// copyTarget returns the URL of the database to copy to. Exactly one of its two
// sources must be given.
func copyTarget(env, file string) (string, error) {
	switch {
	case env != "" && file != "":
		return "", fmt.Errorf("%s and --to-file: give one of them", envCopyTo)
	case env != "":
		return env, nil
	case file != "":
		url, err := readSecretFile(file)
		if err != nil {
			return "", fmt.Errorf("--to-file: %w", err)
		}
		return url, nil
	}
	return "", fmt.Errorf("the target is missing: set %s to the URL of an empty PostgreSQL database, "+
		"or name a file that contains it with --to-file", envCopyTo)
}

// withoutCopyTo removes the target of the copy from the environment, because it
// is not a setting.
func withoutCopyTo(environ []string) (kept []string) {
	for _, e := range environ {
		if !strings.HasPrefix(e, envCopyTo+"=") {
			kept = append(kept, e)
		}
	}
	return kept
}

// copyStore locks the store in the data folder and copies it.
func copyStore(ctx context.Context, c *configuration, url string, stderr io.Writer) (_ sqlstore.Copied, err error) {
	status, err := statusOf(ctx, c)
	switch {
	case err != nil:
		return sqlstore.Copied{}, explain(c, err)
	case status.State == stateEmpty:
		return sqlstore.Copied{}, fmt.Errorf("%s contains no store", c.Data)
	case status.State == stateOlder:
		return sqlstore.Copied{}, explainCopy(c, sqlstore.ErrOlderSchema)
	}
	var level slog.LevelVar
	level.Set(c.LogLevel)
	// Opening for serving takes the lock, so that no gateway can serve the store
	// during the copy.
	from, err := openStore(ctx, c, newLogger(stderr, c.LogFormat, &level))
	if err != nil {
		return sqlstore.Copied{}, explain(c, err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := openCopy(ctx, c, url)
	if err != nil {
		return sqlstore.Copied{}, fmt.Errorf("the database to copy to: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	var o sqlstore.CopyOptions
	if isTerminal(stderr) {
		// bare, because the carriage return must reach the terminal as it is.
		o.Progress = func(table string, rows int64) { fmt.Fprintf(bare(stderr), "\r%s: %d rows copied ", table, rows) }
		defer fmt.Fprintln(stderr)
	}
	copied, err := sqlstore.Copy(ctx, from, to, o)
	if err != nil && ctx.Err() != nil {
		return copied, fmt.Errorf("interrupted: run the command again to continue (%w)", err)
	}
	return copied, explainCopy(c, err)
}

// explainCopy adds the remedy to errors of a copy.
func explainCopy(c *configuration, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sqlstore.ErrOlderSchema):
		return fmt.Errorf("%s was written by an older release: run `gateway db migrate` first (%w)", storeOf(c), err)
	case errors.Is(err, sqlstore.ErrTargetInUse):
		return fmt.Errorf("the database to copy to is neither empty nor an unfinished copy of %s: create a new one (%w)", storeOf(c), err)
	case errors.Is(err, sqlstore.ErrSourceChanged), errors.Is(err, sqlstore.ErrCopyDiffers):
		return fmt.Errorf("%s was used after the copy had begun: drop the target database, create it again, and restart the copy (%w)",
			storeOf(c), err)
	case errors.Is(err, meta.ErrMoved):
		return fmt.Errorf("%s was copied to another database, which has taken its place (%w)", storeOf(c), err)
	}
	return err
}

// printCopied prints the result and the next steps. The database is served only
// after the operator has changed store.url.
func printCopied(w io.Writer, c *configuration, copied sqlstore.Copied) error {
	_, err := fmt.Fprintf(w, `copied and compared: %d objects, %d uploads, %d blobs of deployment %s

The database has taken the store's place. Next:
  1. give every gateway its URL as store.url (SANCTUM_STORE_URL or SANCTUM_STORE_URL_FILE,
     without `+envCopyTo+`), the key file %s, and the same backends as before
  2. gateway db status && gateway serve && gateway fsck
  3. keep %s until you are sure; gateway serve refuses it from now on
`, copied.Rows["objects"], copied.Rows["uploads"], copied.Rows["blobs"], copied.Deployment.ID, c.KeyringPath, filepath.Join(c.Data, storeName))
	return err
}
