package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/fsck"
)

// maxShownFound bounds the objects that are shown. A blob may be part of any
// number of copies.
const maxShownFound = 1000

// findCommand finds objects by the identifiers of the log, which does not
// contain keys.
func findCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Find the object of a line of the log, of a finding of fsck or of a blob",
		Long: `Find objects by the identifiers that the log has in place of keys: the hash of the key
(key_hash), the id of the version (version_id) or a blob. The command reads the rows of
the bucket, or of all buckets. It needs no running gateway, may run beside one, and
changes nothing. With --bucket and --key it shows the key_hash to look for in the log.`,
		Args: cobra.NoArgs,
	}
	output := addOutputFlag(cmd)
	var s fsck.Sought
	cmd.Flags().StringVar(&s.Bucket, "bucket", "", "name of the bucket; without it, all buckets are searched")
	cmd.Flags().StringVar(&s.Key, "key", "", "key of the object")
	cmd.Flags().StringVar(&s.KeyHash, "key-hash", "", "hash of the key, key_hash in the log")
	cmd.Flags().StringVar(&s.Version, "version", "", "id of the version, version_id in the log")
	cmd.Flags().StringVar(&s.Blob, "blob", "", "a blob with bytes of the object")
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		found, more, err := find(cmd, c, s)
		if err != nil {
			return failed(err)
		}
		if err := printFound(cmd, *output, found, more); err != nil {
			return failed(err)
		}
		if len(found) == 0 {
			return failed(fmt.Errorf("nothing was found"))
		}
		return nil
	}
	return cmd
}

// find returns the first maxShownFound objects and the number of the others.
// Those are counted, so that the answer never looks complete when it is not.
func find(cmd *cobra.Command, c *configuration, s fsck.Sought) (found []fsck.FoundObject, more int, err error) {
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	var level slog.LevelVar
	level.Set(c.LogLevel)
	d, err := openForReading(ctx, c, newLogger(cmd.ErrOrStderr(), c.LogFormat, &level))
	if err != nil {
		return nil, 0, err
	}
	found = []fsck.FoundObject{} // JSON shows an empty list, not null
	err = fsck.Find(ctx, d.engine, s, func(o fsck.FoundObject) error {
		if len(found) < maxShownFound {
			found = append(found, o)
		} else {
			more++
		}
		return nil
	})
	if closing := d.close(); err == nil {
		err = closing
	}
	return found, more, err
}

// printFound prints the objects. Keys are quoted, because they may contain any
// character.
func printFound(cmd *cobra.Command, output string, found []fsck.FoundObject, more int) error {
	w := cmd.OutOrStdout()
	if output == "json" {
		return writeJSON(w, found)
	}
	if len(found) == 0 {
		return nil
	}
	var rows [][]string
	for _, o := range found {
		rows = append(rows, []string{o.Bucket, strconv.Quote(o.Key), o.Version, strconv.FormatInt(o.Size, 10),
			o.KeyHash, o.ID, strings.Join(o.Backends, ",")})
	}
	if err := writeTable(w, []string{"bucket", "key", "version", "size", "key_hash", "version_id", "backend"}, rows); err != nil {
		return err
	}
	if more > 0 {
		_, err := fmt.Fprintf(w, "and %d more\n", more)
		return err
	}
	return nil
}
