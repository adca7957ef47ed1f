package meta

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// maxContests is how often a change is made anew because others changed the same row
	// in between. With the pauses it goes on for some seconds.
	maxContests = 64
	// The pauses before a change is made anew are random, up to a length that doubles
	// from the first to the last of these.
	firstContestPause = time.Millisecond
	maxContestPause   = 200 * time.Millisecond
)

// Contest is a change of a row that others change at the same time, each made anew
// until nobody changed the row in between. The zero value begins one.
type Contest struct{ lost int }

// Again waits until a change that came too late may be made anew. OperationAborted: it
// was made often enough; else the error is the context's.
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
