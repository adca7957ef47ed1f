package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/transfer"
)

// exportCommand copies a bucket out of a gateway. --plaintext is required, so
// that nobody gives up the encryption by mistake.
func exportCommand() *cobra.Command {
	var provider providerFlags
	var gateway gatewayFlags
	var flags transferFlags
	var plaintext bool
	cmd := &cobra.Command{
		Use:   "export --bucket NAME --to URL --to-bucket NAME --plaintext",
		Short: "Copy a bucket of a running gateway to an S3 provider, in plaintext",
		Long: `Copies every object of a gateway's bucket into a bucket of an S3 provider. There it
is in plaintext: the operator of that storage can read it. ETags, metadata and part
boundaries are kept. The command can be interrupted and run again.

` + providerKeyHelp + `

Exit status: 0 everything is copied and exact; 1 it is not, or not yet; 2 usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !plaintext {
				return usage(errors.New("the provider will hold the objects in plaintext, readable by its operator: " +
					"confirm this with --plaintext"))
			}
			from, err := gateway.endpoint(cmd, flags.requests())
			if err != nil {
				return usage(err)
			}
			to, err := provider.endpoint(flags.requests())
			if err != nil {
				return usage(err)
			}
			o, err := flags.options(from, to)
			if err != nil {
				return usage(err)
			}
			return flags.run(cmd, o, func(w io.Writer, r *transfer.Report) {
				// Skipped objects count, because an earlier run left them there
				// in plaintext.
				fmt.Fprintf(w, "NOW IN PLAINTEXT at %s: %d objects.\n", provider.url, r.Copied.Objects+r.Skipped.Objects)
			})
		},
	}
	provider.add(cmd, "to")
	gateway.add(cmd, "from")
	flags.add(cmd)
	cmd.Flags().BoolVar(&plaintext, "plaintext", false, "confirm that the objects will be in plaintext at the provider")
	return cmd
}
