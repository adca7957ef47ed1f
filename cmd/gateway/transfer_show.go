package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/transfer"
)

// Pauses between two reports of progress.
const (
	terminalEvery = 500 * time.Millisecond
	pipeEvery     = 5 * time.Second
)

// showProgress shows the progress of a run until ended is called: one line on a
// terminal, or lines of JSON on stdout if JSON is wanted. It shows nothing in a
// pipe otherwise, where it would end up in logs, and no JSON where it would mix
// with the report on a terminal.
func showProgress(stdout, stderr io.Writer, output string, progress func() transfer.Progress) (ended func()) {
	same := stdout == stderr
	line := bare(stderr)
	terminal := isTerminal(stderr)
	if !terminal && output != "json" || terminal && output == "json" && same {
		return func() {}
	}
	every := pipeEvery
	if output != "json" {
		every = terminalEvery
	}
	stop := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		var last transfer.Progress
		for {
			select {
			case <-stop:
				if output != "json" {
					fmt.Fprint(line, "\r\x1b[K")
				}
				return
			case <-tick.C:
			}
			p := progress()
			rate := float64(p.Moved-last.Moved) / every.Seconds()
			last = p
			if output == "json" {
				// The report notices that the reader is gone.
				_ = writeLine(stdout, map[string]any{"type": "progress", "progress": p, "bytes_per_second": int64(rate)})
				continue
			}
			fmt.Fprint(line, "\r\x1b[K"+progressLine(p, rate))
		}
	})
	return func() {
		close(stop)
		shown.Wait()
	}
}

// progressLine describes the progress for people. The total grows until the
// source is listed.
func progressLine(p transfer.Progress, rate float64) string {
	of := "of at least"
	if p.ListedAll {
		of = "of"
	}
	return fmt.Sprintf("%d objects %s %d (%s of %s), %d of them there already, %d failed, %s/s",
		p.Copied.Objects+p.Skipped.Objects, of, p.Listed.Objects,
		size(p.Copied.Bytes+p.Skipped.Bytes), size(p.Listed.Bytes), p.Skipped.Objects, p.Failed, size(int64(rate)))
}

// size formats a number of bytes for people.
func size(n int64) string {
	unit, value := "B", float64(n)
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if value < 1024 {
			break
		}
		unit, value = next, value/1024
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// writeLine writes v as one line of JSON.
func writeLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printTransfer prints a report for people. Counts of zero are left out, apart
// from the totals.
func printTransfer(w io.Writer, r *transfer.Report) {
	line := func(what string, c transfer.Count) {
		fmt.Fprintf(w, "%-28s %d objects, %s\n", what, c.Objects, size(c.Bytes))
	}
	line("at the source", r.Listed)
	line("copied", r.Copied)
	line("there already", r.Skipped)
	for _, n := range []struct {
		what string
		n    int64
	}{
		{"failed", r.Failed},
		{"different at the target", r.Conflicts},
		{"deleted meanwhile", r.Vanished},
		{"only at the target", r.Extra},
		{"tags not carried", r.NotCarried.Tags},
		{"storage class not carried", r.NotCarried.StorageClass},
		{"another ETag", r.NotCarried.ETag},
		{"no digest at the source", r.NotCarried.Unproven},
	} {
		if n.n > 0 {
			fmt.Fprintf(w, "%-28s %d objects\n", n.what, n.n)
		}
	}
	if r.Deleted.Objects > 0 {
		line("deleted from the source", r.Deleted)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "%s: %s\n", strconv.Quote(f.Key), strings.ReplaceAll(f.Reason, "\n", "; "))
	}
	// The list of failures is bounded. Their numbers are not.
	if more := r.Failed + r.Conflicts - int64(len(r.Failures)); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}
