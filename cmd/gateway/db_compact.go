package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// dbCompactCommand writes a SQLite store anew.
func dbCompactCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compact",
		Short: "Write a SQLite store anew, without remains of removed rows",
		Long: `Write the file of a SQLite store anew. It gives the room of removed rows back, and leaves
no remains of these: SQLite overwrites removed rows, but of rows that it moved a copy can
stay in an unused part of the file.

The store must not be served meanwhile, and as much room as it takes must be free beside it.
An interrupted run leaves the store as it was. What a file system or disk keeps of the old
file is beyond its reach. A PostgreSQL database is compacted by its own VACUUM.`,
		Args: cobra.NoArgs,
	}
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withStore(cmd, func(ctx context.Context, c *configuration) error {
			return failed(compact(ctx, c, cmd.OutOrStdout()))
		})
	}
	return cmd
}

// compact compacts the store, and prints its size before and after.
func compact(ctx context.Context, c *configuration, w io.Writer) error {
	if c.StoreURL != "" {
		return usage(errors.New("the store is a PostgreSQL database, which VACUUM compacts: this command is for SQLite"))
	}
	_, path, err := nameStore(c)
	if err != nil {
		return err
	}
	was, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return noStore(c)
	} else if err != nil {
		return err
	}
	if err := compactStore(ctx, path); err != nil {
		return explain(c, err)
	}
	is, err := os.Stat(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s: %d → %d bytes\n", path, was.Size(), is.Size())
	return err
}
