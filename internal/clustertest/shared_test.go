//go:build linux

package clustertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"
)

// shared is what is known of the keys that all workers write to: counters, each
// a list of lines to which a worker appends its own if nobody was faster, and
// races, keys that each belong to who makes them first.
type shared struct {
	mu    sync.Mutex
	lines [counters]claims
	races []claims
}

// claims are what workers tried to put under one key, and learnt of it.
type claims struct{ acked, doubted, refused []string }

// note sorts a claim by the answer it got, and says whether that was one.
func (c *claims) note(claim string, err error) (answered bool) {
	switch code := minio.ToErrorResponse(err).Code; {
	case err == nil:
		c.acked = append(c.acked, claim)
	case code == minio.PreconditionFailed, code == "ConditionalRequestConflict":
		c.refused = append(c.refused, claim)
	default:
		c.doubted = append(c.doubted, claim)
		return false
	}
	return true
}

func counterKey(n int) string { return fmt.Sprintf("counter%d", n) }
func raceKey(n int) string    { return fmt.Sprintf("race%d", n) }

// count appends a line to a counter, if that is still what the worker has read.
func (w *worker) count(ctx context.Context, c *minio.Core) (what string, err error) {
	n := w.r.IntN(counters)
	body, etag, err := w.read(ctx, c, counterKey(n))
	if err != nil {
		return "count", err
	}
	var o minio.PutObjectOptions
	if etag == "" {
		o.SetMatchETagExcept("*")
	} else {
		o.SetMatchETag(etag)
	}
	line := fmt.Sprintf("%d/%d\n", w.id, w.nextID.Add(1))
	err = w.put(ctx, c, counterKey(n), append(body, line...), o)
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	if !w.shared.lines[n].note(line, err) {
		return "count", err
	}
	if err != nil {
		return "refused count", nil
	}
	return "count", nil
}

// race makes the newest raced key, if nobody else has, or begins another.
func (w *worker) race(ctx context.Context, c *minio.Core) (what string, err error) {
	w.shared.mu.Lock()
	n := len(w.shared.races) - 1
	if n < 0 || len(w.shared.races[n].acked)+len(w.shared.races[n].refused)+len(w.shared.races[n].doubted) >= workers/2 {
		w.shared.races = append(w.shared.races, claims{})
		n++
	}
	w.shared.mu.Unlock()
	claim := fmt.Sprintf("%d/%d", w.id, w.nextID.Add(1))
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	err = w.put(ctx, c, raceKey(n), []byte(claim), o)
	w.shared.mu.Lock()
	defer w.shared.mu.Unlock()
	if !w.shared.races[n].note(claim, err) {
		return "race", err
	}
	if err != nil {
		return "refused race", nil
	}
	return "race", nil
}

// verifyShared demands of each counter that it holds every acknowledged line
// once, no line that was refused, and none twice; of each race that it has one
// winner at most, who holds the key. It returns the keys and their sizes.
func (b *battle) verifyShared() map[string]int64 {
	b.t.Helper()
	sizes := map[string]int64{}
	held := func(key string) string {
		body, etag, err := b.read(b.t.Context(), b.clients[0], key)
		must(b.t, err)
		if etag != "" {
			sizes[key] = int64(len(body))
		}
		return string(body)
	}
	for n, c := range b.shared.lines {
		lines := slices.Collect(strings.Lines(held(counterKey(n))))
		b.claimed(counterKey(n), c, lines)
		b.t.Logf("%s: %d of %d lines acknowledged, %d in doubt, %d refused", counterKey(n), len(c.acked), len(lines), len(c.doubted), len(c.refused))
	}
	for n, c := range b.shared.races {
		var holder []string
		if claim := held(raceKey(n)); claim != "" {
			holder = []string{claim}
		}
		b.claimed(raceKey(n), c, holder)
	}
	return sizes
}

// claimed holds what is under a key against what workers were told.
func (b *battle) claimed(key string, c claims, there []string) {
	b.t.Helper()
	seen := map[string]bool{}
	for _, claim := range there {
		if seen[claim] {
			b.t.Errorf("seed %d: %s holds %q twice", b.seed, key, claim)
		}
		seen[claim] = true
		if !slices.Contains(c.acked, claim) && !slices.Contains(c.doubted, claim) {
			b.t.Errorf("seed %d: %s holds %q, which was refused or never sent", b.seed, key, claim)
		}
	}
	for _, claim := range c.acked {
		if !seen[claim] {
			b.t.Errorf("seed %d: %s lost %q, which was acknowledged", b.seed, key, claim)
		}
	}
}
