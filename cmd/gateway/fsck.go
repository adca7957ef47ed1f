package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/meta"
)

// Exit statuses of fsck besides 0. Its help documents them.
const (
	exitLost     = 1
	exitNotRun   = 2
	exitOnlyLeak = 3
)

// fsckCommand checks a deployment. Operators run it from scripts, so the exit
// status distinguishes loss from leftovers.
func fsckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check that the store and the sealed blobs belong together",
		Long: `Check a deployment: every object and part opens and its blobs exist, reference counts
are right, and the backend contains nothing else. The command changes nothing, takes no
lock, and may run beside a working gateway. Blobs that wait for collection are counted
and are no fault. A blob in doubt, which a killed gateway wrote and, as far as the store
knows, did not commit, is named and is no fault either.

With --deep every byte is read and authenticated. Without it, the check covers names,
sizes and manifests.

Exit status: 0 nothing found; 1 something is lost or damaged; 2 the check could
not be run; 3 nothing is lost, but there are bytes or rows that nothing needs.`,
		Args: cobra.NoArgs,
	}
	output := addOutputFlag(cmd)
	deep := cmd.Flags().Bool("deep", false, "read and authenticate every byte")
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
		// From here on an error must not have the status of a loss, which is
		// that of most other commands' errors.
		report, err := checkFolder(ctx, c, cmd.ErrOrStderr(), *deep)
		if err != nil {
			return withStatus(exitNotRun, err)
		}
		if err := printReport(cmd.OutOrStdout(), *output, report); err != nil {
			return withStatus(exitNotRun, err)
		}
		return verdict(report)
	}
	return cmd
}

// checkFolder runs the check. Progress is shown if stderr is a terminal.
func checkFolder(ctx context.Context, c *configuration, stderr io.Writer, deep bool) (fsck.Report, error) {
	var level slog.LevelVar
	level.Set(c.LogLevel)
	d, err := openForReading(ctx, c, newLogger(stderr, c.LogFormat, &level))
	if err != nil {
		return fsck.Report{}, err
	}
	options := fsck.Options{Deep: deep}
	if isTerminal(stderr) {
		options.Progress = func(r fsck.Report) {
			// bare, because the carriage return must reach the terminal as it
			// is.
			fmt.Fprintf(bare(stderr), "\r%d objects, %d uploads, %d blobs checked ", r.Objects, r.Uploads, r.Blobs)
		}
		defer fmt.Fprintln(stderr)
	}
	report, err := fsck.Run(ctx, d.engine, options)
	if closing := d.close(); err == nil {
		err = closing
	}
	return report, err
}

// verdict turns a report into an exit status. The report has been printed
// before.
func verdict(r fsck.Report) error {
	switch {
	case r.Lost > 0:
		return withStatus(exitLost, fmt.Errorf("%d lost or damaged", r.Lost))
	case r.Leaked > 0:
		return withStatus(exitOnlyLeak, fmt.Errorf("%d that nothing needs; nothing is lost", r.Leaked))
	}
	return nil
}

// printReport prints a report. The list of findings is bounded, and the number
// of the others is printed below it.
func printReport(w io.Writer, output string, r fsck.Report) error {
	if output == "json" {
		return writeJSON(w, struct {
			Clean bool `json:"clean"`
			fsck.Report
		}{r.Clean(), r})
	}
	how := "names, sizes and manifests"
	if r.Deep {
		how = "every byte"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "checked %s: %d objects with %d bytes, %d uploads with %d parts, %d blobs\n",
		how, r.Objects, r.Bytes, r.Uploads, r.Parts, r.Blobs)
	fmt.Fprintf(&b, "in the backend: %d blobs; reserved for coming writes: %d; waiting for collection: %d\n",
		r.BackendBlobs, r.ReservedBlob, r.PendingBlobs)
	if r.DoubtfulBlob > 0 {
		fmt.Fprintf(&b, "in doubt, and kept until `gateway backend discard`: %d blobs that killed gateways did not commit\n",
			r.DoubtfulBlob)
	}
	if r.Customer > 0 {
		fmt.Fprintf(&b, "without the keys of customers, only rows and lengths of blobs were checked of %d objects (SSE-C)\n", r.Customer)
	}
	if r.Sealing < meta.SealingWhole {
		b.WriteString("some rows of an older release are not sealed yet: a running gateway seals them (sanctum_store_sealing)\n")
	}
	if r.Clean() {
		b.WriteString("clean: nothing is lost and nothing is left over\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil || len(r.Findings) == 0 {
		return err
	}
	var rows [][]string
	for _, f := range r.Findings {
		rows = append(rows, []string{f.Severity, f.Kind, place(f), f.Detail})
	}
	if err := writeTable(w, []string{"severity", "kind", "where", "what"}, rows); err != nil {
		return err
	}
	if more := r.Lost + r.Leaked + r.DoubtfulBlob - int64(len(r.Findings)); more > 0 {
		_, err := fmt.Fprintf(w, "and %d more\n", more)
		return err
	}
	return nil
}

// place names the subject of a finding. Keys are quoted, because they may
// contain any character.
func place(f fsck.Finding) string {
	var words []string
	switch {
	case f.BucketName != "":
		words = append(words, "bucket "+f.BucketName)
	case f.Bucket != "":
		words = append(words, "bucket with the id "+f.Bucket)
	}
	if f.Key != "" {
		words = append(words, fmt.Sprintf("key %q", f.Key))
	}
	if f.Version != "" {
		words = append(words, "version "+f.Version)
	}
	if f.Upload != "" {
		words = append(words, "upload "+f.Upload)
	}
	if f.Blob != "" {
		words = append(words, "blob "+f.Blob)
	}
	if f.Row != "" {
		words = append(words, f.Row)
	}
	return strings.Join(words, " ")
}
