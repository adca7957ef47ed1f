package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// lease keeps two gateways from carrying out rules at the same time. It only saves work:
// every act is conditional.
const lease = "lifecycle"

// Bounds of one step.
const (
	stepRows    = meta.MaxPage // versions or uploads in a page; at least 2
	stepBuckets = 100          // buckets whose rules are read in search of a turn
	stepSearch  = 1000         // cost of that reading, in rows; the bucket that reaches it is the last
	stepBytes   = 256 << 20    // sealed bytes moved; the version that reaches it is the last
	maxTries    = 3            // failures in succession that end a bucket's turn
	maxTurns    = 32           // of different tenants under way at once
	// turnAgain is the time until a bucket's next turn after one with a failure.
	turnAgain = time.Hour
	// maxErrors is the number of failures with single versions that the log names in one
	// line; all are counted.
	maxErrors = 5
)

// never is the time of the next turn of a bucket without rules.
var never = time.Unix(math.MaxInt32, 0)

// round is the progress of this process through all buckets. If it is lost, the next
// process begins again and does nothing twice, because every act is conditional on the
// state that was judged.
type round struct {
	after string // buckets up to this name are done with in this round
	turns fair.Rotation[meta.ID, *turn]
	seen  map[meta.ID]lastTurn
	next  map[meta.ID]lastTurn // replaces seen at the end of the round; nil between rounds
}

// looks reports whether it is time to look for another turn.
func (x *round) looks(now time.Time) bool { return x.turns.Looks(now, maxTurns, x.next != nil) }

// note remembers a bucket's turn.
func (x *round) note(bucket meta.ID, last lastTurn) {
	if x.next != nil {
		x.next[bucket] = last
	}
	if x.seen == nil {
		x.seen = make(map[meta.ID]lastTurn)
	}
	x.seen[bucket] = last
}

// lastTurn is the revision of a bucket's settings at its last turn, and the time of the next.
type lastTurn struct {
	revision int64
	began    time.Time // a time in the future comes from a clock that was wrong
	due      time.Time
}

// Step carries out lifecycle rules for one page of versions or uploads of one bucket. A
// bucket has a turn once a day, after midnight UTC, when rules fall due, and another one
// after its settings changed. Several tenants have a turn under way at once, one each, and
// take steps by rotation. One gateway at a time does this, by lease. Concurrent calls wait
// for one another. A failure in one bucket, or with one version, does not keep others from
// their turn.
func (s *Steps) Step(ctx context.Context) (r Report, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &s.round
	_, mine, err := s.engine.Blobs().Hold(ctx, lease)
	if err != nil {
		return r, fmt.Errorf("take the lifecycle's lease: %w", err)
	}
	if !mine {
		// The progress belongs to the lease: another gateway acts now, and what this one has
		// seen is out of date when it gets the lease back.
		*x = round{}
		return Report{Skipped: true}, nil
	}
	if x.looks(s.now()) {
		if r.More, err = s.nextTurn(ctx, &r); err != nil {
			return r, err
		}
	}
	at := x.turns.Next(s.now())
	if at == nil {
		return r, nil
	}
	t := at.Turn
	err = t.step(ctx, &r)
	if errors.Is(err, s3err.NoSuchBucket) {
		t.over, err = true, nil
	}
	if err != nil {
		if t.tries++; t.tries == maxTries {
			t.over, t.failed = true, true
		}
		at.Fail(s.now(), t.tries)
		err = fmt.Errorf("lifecycle of bucket %s: %w", t.b.Name, err)
	} else {
		t.tries = 0
	}
	if t.over {
		r.Buckets++
		x.turns.End(at)
		x.note(t.b.ID, t.last())
	}
	r.More = r.More || t.over || x.turns.Ready(s.now())
	return r, err
}

// nextTurn searches a page of buckets for one that is due and begins its turn. more means
// that there may be another one further on.
func (s *Steps) nextTurn(ctx context.Context, r *Report) (more bool, err error) {
	x := &s.round
	if x.next == nil {
		x.next = make(map[meta.ID]lastTurn)
	}
	page, err := s.store.ListBuckets(ctx, meta.BucketQuery{After: x.after, Limit: meta.MaxPage})
	if err != nil {
		return false, err
	}
	read := 0
	for _, b := range page {
		if b.Revision > 0 {
			if err := s.engine.Buckets().Prove(&b); err != nil { // the round goes on after this bucket
				x.after = b.Name
				return true, err
			}
			last, ok := x.seen[b.ID]
			if ok && last.revision == b.Revision && fair.Within(s.now(), last.began, last.due) {
				x.next[b.ID], x.after = last, b.Name
				continue
			}
			if x.turns.Has(b.Owner) { // the next round comes back to it
				x.after = b.Name
				continue
			}
			// Each of these costs a read of settings that may not be remembered. after stays
			// before this bucket, which the next step begins with.
			if read++; read > stepBuckets || r.Searched >= stepSearch {
				return true, nil
			}
			x.after = b.Name
			if begun, err := s.beginTurn(ctx, b, r); err != nil || begun {
				return true, err
			}
		}
		x.after = b.Name
	}
	if len(page) == meta.MaxPage {
		return true, nil
	}
	x.after, x.seen, x.next = "", x.next, nil // buckets that are gone are forgotten
	x.turns.FoundNone(s.now())
	return false, nil
}

// beginTurn begins a bucket's turn if it has rules.
func (s *Steps) beginTurn(ctx context.Context, b meta.Bucket, r *Report) (begun bool, err error) {
	x, now := &s.round, s.now()
	settings, cost, err := s.engine.Buckets().PassingSettings(ctx, b)
	r.Searched += cost
	var l *Configuration
	if err == nil {
		l, err = rulesOf(settings)
	}
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
		return false, nil
	case err != nil:
		x.note(b.ID, lastTurn{b.Revision, now, now.Add(turnAgain)})
		return false, fmt.Errorf("read the lifecycle of bucket %s: %w", b.Name, err)
	case l == nil:
		x.note(b.ID, lastTurn{b.Revision, now, never})
		return false, nil
	}
	x.turns.Begin(b.Owner, &turn{s: s, b: b, l: l, began: now, uploads: l.prefixes(ofUploads), versions: l.prefixes(ofVersions)})
	return true, nil
}
