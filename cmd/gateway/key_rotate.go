package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

const rotationPath = keysPath + "/rotation"

func generationsOf(bucket string) string { return "/v1/buckets/" + url.PathEscape(bucket) + "/keys" }

// keyRotateCommand gives buckets new generations of their keys. With --wait it ends with the
// job that brings everything under them.
func keyRotateCommand() *cobra.Command {
	var all, resume, stop, wait bool
	cmd := adminCommand("rotate [BUCKET]", "Give a bucket, or all, new keys", cobra.MaximumNArgs(1),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			if (len(args) == 1) == (all || resume || stop) {
				return errors.New("name a bucket, or give one of --all, --resume and --stop")
			}
			if stop {
				return a.call(cmd.Context(), http.MethodDelete, rotationPath, nil, nil)
			}
			if err := a.startRotation(cmd.Context(), cmd.OutOrStdout(), args, all); err != nil {
				return err
			}
			if !wait {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "started; `gateway key rotation` shows how far it is")
				return err
			}
			return a.awaitRotation(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		})
	cmd.Long = `Give a bucket a new generation of its keys. Everything is written with it at once, on all
gateways. Then they bring what is under older generations under the new one, in the
background, one at a time, and go on after a restart: keys of objects and of open uploads,
list records, tags, ACLs, locks and settings. No object is read or written; ETags, dates,
checksums and version ids stay, and locked objects are included. Requests are served
meanwhile.

No generation is destroyed. Once the job has ended, "gateway key destroy" gives up an old one.`
	cmd.Flags().BoolVar(&all, "all", false, "every bucket gets a new generation")
	cmd.Flags().BoolVar(&resume, "resume", false, "go on with a job that was stopped or has failed, without a new generation")
	cmd.Flags().BoolVar(&stop, "stop", false, "stop the running job; --resume goes on")
	cmd.Flags().BoolVar(&wait, "wait", false, "show the progress, and end when the job does; its failure is the command's")
	cmd.MarkFlagsMutuallyExclusive("all", "resume", "stop")
	cmd.MarkFlagsMutuallyExclusive("wait", "stop")
	return cmd
}

func (a *adminClient) startRotation(ctx context.Context, out io.Writer, args []string, all bool) error {
	if len(args) == 0 {
		return a.call(ctx, http.MethodPost, rotationPath, admin.StartRotation{All: all}, nil)
	}
	var made admin.NewGeneration
	if err := a.call(ctx, http.MethodPost, generationsOf(args[0]), nil, &made); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s is written with generation %d\n", args[0], made.Generation)
	return err
}

// keyRotationCommand shows the job, running or ended.
func keyRotationCommand() *cobra.Command {
	return adminCommand("rotation", "Show how far the rotation of buckets' keys is", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			var r admin.Rotation
			if err := a.call(cmd.Context(), http.MethodGet, rotationPath, nil, &r); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return writeRotation(cmd.OutOrStdout(), r)
		})
}

// keyGenerationsCommand lists the generations of one bucket's keys.
func keyGenerationsCommand() *cobra.Command {
	return adminCommand("generations BUCKET", "List the generations of a bucket's keys", cobra.ExactArgs(1),
		func(cmd *cobra.Command, a *adminClient, output string, args []string) error {
			var all admin.Generations
			if err := a.call(cmd.Context(), http.MethodGet, generationsOf(args[0]), nil, &all); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), all.Generations)
			}
			var rows [][]string
			for _, g := range all.Generations {
				use := "written with"
				if g.Former {
					use = "former"
				}
				rows = append(rows, []string{strconv.FormatUint(uint64(g.Generation), 10), g.Created.Format(time.RFC3339), use})
			}
			return writeTable(cmd.OutOrStdout(), []string{"generation", "created", "use"}, rows)
		})
}

// keyDestroyCommand removes a generation that nothing refers to.
func keyDestroyCommand() *cobra.Command {
	cmd := adminCommand("destroy BUCKET GENERATION", "Destroy a former generation of a bucket's keys", cobra.ExactArgs(2),
		func(cmd *cobra.Command, a *adminClient, _ string, args []string) error {
			if err := a.call(cmd.Context(), http.MethodDelete, generationsOf(args[0])+"/"+url.PathEscape(args[1]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "destroyed generation %s of %s\n", args[1], args[0])
			return err
		})
	cmd.Long = `Destroy a former generation of a bucket's keys for good, after "gateway key rotate". Every
row of the bucket is looked at first: it is refused while anything refers to the generation,
and while keys are being rotated or rewrapped. Copies of the store from before the rotation
ended cannot be read without it.`
	return cmd
}

// writeRotation writes a job for people.
func writeRotation(w io.Writer, r admin.Rotation) error {
	more := ""
	if r.Rotated > 0 {
		more += fmt.Sprintf("%d buckets got a new generation\n", r.Rotated)
	}
	if !r.End.IsZero() {
		more += "expected to end " + r.End.Format(time.RFC3339) + "\n"
	}
	return writeJob(w, r.Job, "", "rows", more)
}

// awaitRotation shows the progress until the job has ended.
func (a *adminClient) awaitRotation(ctx context.Context, out, progress io.Writer) error {
	var r admin.Rotation
	return await(ctx, progress, "rows", func() (admin.Job, error) {
		r = admin.Rotation{}
		err := a.call(ctx, http.MethodGet, rotationPath, nil, &r)
		return r.Job, err
	}, func(done bool) error {
		err := writeRotation(out, r)
		if !done {
			err = errors.Join(err, errors.New("not everything is under the newest generations"))
		}
		return err
	})
}
