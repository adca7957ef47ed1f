package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/admin"
)

// keyCommand holds the commands about the keys of a running server.
func keyCommand() *cobra.Command {
	return group("key", "Show the keys that data is under, and bring it under another one",
		keyListCommand(), keyStatusCommand(), keyRewrapCommand(), keyRotateCommand(), keyRotationCommand(), keyGenerationsCommand(), keyDestroyCommand(),
		keyRevokeCommand(), keyRestoreCommand(), keyRevokedCommand())
}

const (
	keysPath   = "/v1/keys"
	rewrapPath = keysPath + "/rewrap"
)

// keyListCommand counts all seeds, a page at a time.
func keyListCommand() *cobra.Command {
	return adminCommand("list", "List the keys that seeds are under, and how many", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			keys, err := a.keys(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), keys)
			}
			var rows [][]string
			for _, k := range keys {
				rows = append(rows, []string{k.ID, strconv.Itoa(k.Seeds)})
			}
			return writeTable(cmd.OutOrStdout(), []string{"key", "seeds"}, rows)
		})
}

// keys sums up the pages of seeds.
func (a *adminClient) keys(ctx context.Context) ([]admin.Key, error) {
	sum := map[string]int{}
	for after := ""; ; {
		var page admin.Keys
		target := keysPath + "?limit=" + strconv.Itoa(admin.MaxPage)
		if after != "" {
			target += "&after=" + url.QueryEscape(after)
		}
		if err := a.call(ctx, http.MethodGet, target, nil, &page); err != nil {
			return nil, err
		}
		for _, k := range page.Keys {
			sum[k.ID] += k.Seeds
		}
		if page.Next <= after {
			break
		}
		after = page.Next
	}
	var all []admin.Key
	for _, id := range slices.Sorted(maps.Keys(sum)) {
		all = append(all, admin.Key{ID: id, Seeds: sum[id]})
	}
	return all, nil
}

// keyStatusCommand shows the job, running or ended.
func keyStatusCommand() *cobra.Command {
	return adminCommand("status", "Show how far the rewrapping of seeds is", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, output string, _ []string) error {
			var r admin.Rewrap
			if err := a.call(cmd.Context(), http.MethodGet, rewrapPath, nil, &r); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return writeRewrap(cmd.OutOrStdout(), r)
		})
}

// writeRewrap writes a job for people.
func writeRewrap(w io.Writer, r admin.Rewrap) error {
	return writeJob(w, r.Job, ", under key "+r.Key, "seeds", "")
}

// keyRewrapCommand starts the job. With --wait it ends with it.
func keyRewrapCommand() *cobra.Command {
	var wait, stop bool
	cmd := adminCommand("rewrap", "Bring all seeds under the current key of the key provider", cobra.NoArgs,
		func(cmd *cobra.Command, a *adminClient, _ string, _ []string) error {
			if stop {
				return a.call(cmd.Context(), http.MethodDelete, rewrapPath, nil, nil)
			}
			if err := a.call(cmd.Context(), http.MethodPost, rewrapPath, nil, nil); err != nil {
				return err
			}
			if !wait {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "started; `gateway key status` shows how far it is")
				return err
			}
			return a.awaitRewrap(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		})
	cmd.Long = `Bring all seeds, of the system and of every bucket, under the current key of the key
provider: after "gateway keyring primary", a new version of a key, another keys.default,
or another keys.second. No object is read or written.

The gateways do it in the background, one at a time, and go on after a restart. Each seed
is replaced only after what replaces it was opened again. Requests are served meanwhile. No
key is destroyed: once it has ended, "gateway keyring remove" gives up an old one.`
	cmd.Flags().BoolVar(&wait, "wait", false, "show the progress, and end when the job does; its failure is the command's")
	cmd.Flags().BoolVar(&stop, "stop", false, "stop the running job; starting it again goes on")
	cmd.MarkFlagsMutuallyExclusive("wait", "stop")
	return cmd
}

// awaitRewrap shows the progress until the job has ended.
func (a *adminClient) awaitRewrap(ctx context.Context, out, progress io.Writer) error {
	var r admin.Rewrap
	return await(ctx, progress, "seeds", func() (admin.Job, error) {
		r = admin.Rewrap{}
		err := a.call(ctx, http.MethodGet, rewrapPath, nil, &r)
		return r.Job, err
	}, func(done bool) error {
		err := writeRewrap(out, r)
		if !done {
			err = errors.Join(err, fmt.Errorf("the seeds are not all under key %s", r.Key))
		}
		return err
	})
}
