package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/transfer"
)

// importCommand copies a bucket into a gateway.
func importCommand() *cobra.Command {
	var provider providerFlags
	var gateway gatewayFlags
	var flags transferFlags
	var deleteSource, oldVersions bool
	cmd := &cobra.Command{
		Use:   "import --from URL --from-bucket NAME --bucket NAME",
		Short: "Encrypt an existing bucket of an S3 provider into a running gateway",
		Long: `Copies every object of a provider's bucket into a bucket of a running gateway,
which seals it. ETags, metadata and part boundaries are kept. The command can be
interrupted and run again: it skips objects that are copied already. It changes the
source only with --delete-source. The report tells what is left there in plaintext.

` + providerKeyHelp + `

Exit status: 0 everything is copied and exact; 1 it is not, or not yet; 2 usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := provider.endpoint(flags.requests())
			if err != nil {
				return usage(err)
			}
			to, err := gateway.endpoint(cmd, flags.requests())
			if err != nil {
				return usage(err)
			}
			o, err := flags.options(from, to)
			if err != nil {
				return usage(err)
			}
			// Only an import counts what is left at the source: its purpose is
			// that no plaintext stays there.
			o.DeleteSource, o.KeepOldVersions, o.Survey = deleteSource, oldVersions, true
			return flags.run(cmd, o, printLeft)
		},
	}
	provider.add(cmd, "from")
	gateway.add(cmd, "to")
	flags.add(cmd)
	cmd.Flags().BoolVar(&deleteSource, "delete-source", false,
		"delete each object at the provider after reading it back from the gateway and comparing it; implies --verify=read")
	cmd.Flags().BoolVar(&oldVersions, "old-versions-stay", false,
		"with --delete-source: accept that a source with versioning keeps deleted objects as old versions, in plaintext")
	return cmd
}

// printLeft tells what the source still contains. Operators who import to get
// rid of plaintext must not overlook it.
func printLeft(w io.Writer, r *transfer.Report) {
	left := r.Left
	if left == nil {
		fmt.Fprintln(w, "The source was not examined again: everything in it is still in plaintext.")
		return
	}
	if left.Current.Objects+left.Noncurrent.Objects+left.Uploads == 0 && left.VersionsUnknown+left.UploadsUnknown == "" {
		fmt.Fprintln(w, "Nothing is left in plaintext at the source.")
		return
	}
	fmt.Fprintf(w, "LEFT IN PLAINTEXT at the source: %d objects (%s), %d old versions (%s), %d incomplete uploads.\n",
		left.Current.Objects, size(left.Current.Bytes), left.Noncurrent.Objects, size(left.Noncurrent.Bytes), left.Uploads)
	if left.VersionsUnknown != "" {
		fmt.Fprintf(w, "It is not known whether the source keeps old versions: %s\n", left.VersionsUnknown)
	}
	if left.UploadsUnknown != "" {
		fmt.Fprintf(w, "It is not known whether the source contains incomplete uploads: %s\n", left.UploadsUnknown)
	}
}
