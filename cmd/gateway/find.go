package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/fsck"
)

// maxShownFound are shown of what is found; a blob may be part of any number of copies.
const maxShownFound = 1000

func findCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Find the object that a line of the log, a finding of fsck or a blob is about",
		Long: `Find objects by what the log says of them, which has no keys: the hash of the key
(key_hash), the version's id (version_id) or a blob. It reads the rows of the bucket, or
of all buckets, beside a running gateway or without one, and changes nothing. With
--bucket and --key it says which key_hash to look for in the log.`,
		Args: cobra.NoArgs,
	}
	output := addOutputFlag(cmd)
	var s fsck.Sought
	cmd.Flags().StringVar(&s.Bucket, "bucket", "", "name of the bucket; without it, all are looked through")
	cmd.Flags().StringVar(&s.Key, "key", "", "key of the object")
	cmd.Flags().StringVar(&s.KeyHash, "key-hash", "", "hash of its key, key_hash in the log")
	cmd.Flags().StringVar(&s.Version, "version", "", "its version, version_id in the log")
	cmd.Flags().StringVar(&s.Blob, "blob", "", "a blob that holds bytes of it")
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		var level slog.LevelVar
		level.Set(c.LogLevel)
		d, err := openForReading(ctx, c, newLogger(cmd.ErrOrStderr(), c.LogFormat, &level))
		if err != nil {
			return failed(err)
		}
		found := []fsck.FoundObject{}
		more := 0
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

// printFound shows what was found. Keys are quoted: they may hold anything.
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
		rows = append(rows, []string{o.Bucket, strconv.Quote(o.Key), o.Version, strconv.FormatInt(o.Size, 10), o.KeyHash, o.ID, strings.Join(o.Backends, ",")})
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
