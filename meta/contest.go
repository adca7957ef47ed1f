package meta

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// maxContests is how often a change is tried while others change the same row.
	// With the pauses, that takes some seconds.
	maxContests = 64
	// Pauses between tries are random, up to a length that doubles from the first
	// to the last of these.
	firstContestPause = time.Millisecond
	maxContestPause   = 200 * time.Millisecond
)

// Contest is the retry loop of a change to a row that others change at the same
// time. The zero value is ready.
type Contest struct{ lost int }

// Again waits before the next try. It returns OperationAborted after maxContests
// tries, or the context's error.
func (c *Contest) Again(ctx context.Context) error {
	longest := min(firstContestPause<<min(c.lost, 16), maxContestPause)
	if c.lost++; c.lost == maxContests {
		return s3err.OperationAborted
	}
	pause := time.NewTimer(rand.N(longest))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
