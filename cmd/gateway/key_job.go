package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/jobs"
)

// jobLook is the pause between two looks of --wait.
const jobLook = 500 * time.Millisecond

// writeJob writes a job about keys for people. under says of what, and more has further
// lines.
func writeJob(w io.Writer, j admin.Job, under, things, more string) error {
	text := fmt.Sprintf("%s: %s%s\n%d of %d %s rewrapped, %d failed; begun %s, last step %s\n%s",
		j.State, j.Stage, under, j.Rewrapped, j.Old, things, j.Failed, j.Started.Format(time.RFC3339), j.Changed.Format(time.RFC3339), more)
	if j.Waiting != "" {
		text += "waiting: " + j.Waiting + "\n"
	}
	for _, f := range j.Failures {
		text += f + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// await shows the progress of a job, as look finds it, until the job has ended. Then it
// calls end.
func await(ctx context.Context, progress io.Writer, things string, look func() (admin.Job, error), end func(done bool) error) error {
	shown := ""
	for {
		j, err := look()
		if err != nil {
			return err
		}
		if state := jobs.State(j.State); state != jobs.Running {
			return end(state == jobs.Done)
		}
		now := fmt.Sprintf("%s: %d of %d %s rewrapped, %d failed", j.Stage, j.Rewrapped, j.Old, things, j.Failed)
		if j.Waiting != "" {
			now += "; waiting: " + j.Waiting
		}
		if now != shown {
			if _, err := fmt.Fprintln(progress, now); err != nil {
				return err
			}
			shown = now
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(jobLook):
		}
	}
}
