package inventory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// lease keeps two gateways from writing lists at the same time.
const lease = "inventory"

// Bounds of one step, and of its rounds.
const (
	stepRows    = meta.MaxPage // versions listed by one step
	stepBuckets = 100          // buckets whose configurations are read by one step
	stepSearch  = 1000         // cost of its search, in rows; the look that reaches it is the last
	// maxTries failures in succession end a list, which is tried again after listAgain.
	maxTries  = 3
	listAgain = time.Hour
	// maxLists of different tenants are under way at once; each may hold fileSize.
	maxLists = 4
)

// Report counts the work of one step.
type Report struct {
	Skipped bool `json:"skipped"` // another gateway has the lease
	Rows    int  `json:"rows"`    // versions listed
	// Searched is the cost of the search for another list, in rows: of the settings that
	// were read, and of the objects that were looked up.
	Searched int  `json:"searched"`
	Lists    int  `json:"lists"` // completed
	More     bool `json:"more"`  // there is work for another step now
}

// round is the progress of this process through all buckets. If a process ends while it
// writes a list, another one begins the list again. The data files of the first stay, and
// no manifest names them.
type round struct {
	after string // buckets up to this name are done with in this round
	begun bool   // a round is under way
	lists fair.Rotation[meta.ID, *list]
	next  map[listName]nextList
	// idle has the buckets that have no list to write before a time, and are not read until
	// then or until their settings change.
	idle  map[meta.ID]nextList
	wrote string // source bucket of the last completed list
	tenantTurns
}

// looks reports whether it is time to look for another list.
func (x *round) looks(now time.Time) bool { return x.lists.Looks(now, maxLists, x.begun) }

// mayHave reports whether a bucket may have a list in this round.
func (x *round) mayHave(b *meta.Bucket) bool {
	may := !x.lists.Has(b.Owner) && !x.had[b.Owner] && b.Name > x.last[b.Owner]
	x.passed = x.passed || !may
	return may
}

// endRound ends the round and reports whether the next one may find a list now. A tenant
// that had no list in the round, and has none under way, begins with its first bucket
// again.
func (x *round) endRound(now time.Time) (more bool) {
	more = x.lists.Empty() && (x.passed || len(x.had) > 0)
	maps.DeleteFunc(x.last, func(tenant meta.ID, _ string) bool { return !x.had[tenant] && !x.lists.Has(tenant) })
	clear(x.had)
	x.passed, x.begun, x.after = false, false, ""
	x.lists.FoundNone(now)
	return more
}

// tenantTurns gives each tenant one list a round, of the first due bucket after that of its
// last list. So a tenant with many or long lists does not delay those of others, nor one of
// its buckets those of another.
type tenantTurns struct {
	had    map[meta.ID]bool   // tenants that had a list in this round
	last   map[meta.ID]string // the bucket of a tenant's last list
	passed bool               // a bucket was passed over
}

// took notes that a list of the bucket was begun.
func (x *tenantTurns) took(b *meta.Bucket) {
	if x.had == nil {
		x.had, x.last = make(map[meta.ID]bool), make(map[meta.ID]string)
	}
	x.had[b.Owner], x.last[b.Owner] = true, b.Name
}

// lookAgain is the time after which a bucket without lists is read again.
const lookAgain = 24 * time.Hour

// listName names a configuration, and nextList is the time of its next list.
type listName struct {
	bucket meta.ID
	id     string
}

type nextList struct {
	revision int64
	since    time.Time // a time in the future comes from a clock that was wrong
	due      time.Time
}

// waits reports whether it is before the time of the list, and the bucket has not changed.
func (n *nextList) waits(b *meta.Bucket, now time.Time) bool {
	return n.revision == b.Revision && fair.Within(now, n.since, n.due)
}

// Step does one bounded step of writing the lists that inventory configurations ask for:
// once a day, or once a week on Sunday, by UTC. A completed list is not written again, even
// if another gateway wrote it. Several tenants have a list under way at once, one each, and
// take steps by rotation. One gateway at a time does this, by lease. Concurrent calls wait
// for one another.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
func (s *Steps) Step(ctx context.Context) (r Report, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &s.round
	_, mine, err := s.engine.Blobs().Hold(ctx, lease)
	if err != nil {
		return r, fmt.Errorf("take the inventory's lease: %w", err)
	}
	if !mine {
		// As in lifecycle: what this process has seen is out of date when it gets the lease
		// back.
		*x = round{}
		return Report{Skipped: true}, nil
	}
	if x.next == nil {
		x.next, x.idle = make(map[listName]nextList), make(map[meta.ID]nextList)
	}
	if x.looks(s.now()) {
		if r.More, err = s.nextList(ctx, &r); err != nil {
			return r, err
		}
	}
	at := x.lists.Next(s.now())
	if at == nil {
		return r, nil
	}
	l, over := at.Turn, false
	if err = l.step(ctx, &r); err != nil {
		err = fmt.Errorf("inventory %s of bucket %s: %w", l.c.ID, l.b.Name, err)
		l.tries++
		at.Fail(s.now(), l.tries)
		if over = l.tries == maxTries || errors.Is(err, errListObsolete); over {
			x.next[l.name()] = nextList{l.b.Revision, s.now(), s.now().Add(listAgain)}
		}
	} else if l.tries, over = 0, l.done; over {
		r.Lists++
		x.wrote, x.next[l.name()] = l.b.Name, nextList{l.b.Revision, s.now(), l.c.nextDay(l.day)}
	}
	if over {
		x.lists.End(at)
	}
	r.More = r.More || over || x.lists.Ready(s.now())
	return r, err
}

// nextList searches a page of buckets for a list that is due and begins it. more means that
// there may be another one further on.
func (s *Steps) nextList(ctx context.Context, r *Report) (more bool, err error) {
	x := &s.round
	x.begun = true
	page, err := s.store.ListBuckets(ctx, meta.BucketQuery{After: x.after, Limit: meta.MaxPage})
	if err != nil {
		return false, err
	}
	read := 0
	for _, b := range page {
		idle, ok := x.idle[b.ID]
		if b.Revision > 0 && !(ok && idle.waits(&b, s.now())) && x.mayHave(&b) {
			if err := s.engine.Buckets().Prove(&b); err != nil { // the round goes on after this bucket
				x.after = b.Name
				return true, err
			}
			// after stays before this bucket, which the next step begins with.
			if read++; read > stepBuckets || r.Searched >= stepSearch {
				return true, nil
			}
			begun, err := s.nextListOf(ctx, b, r)
			if begun {
				x.after = b.Name // the next round finds another list of the same bucket
				x.took(&b)
				return true, nil
			}
			if errors.Is(err, errSearchedEnough) {
				return true, nil
			}
			if err != nil {
				x.after = b.Name
				return true, fmt.Errorf("inventories of bucket %s: %w", b.Name, err)
			}
		}
		x.after = b.Name
	}
	if len(page) == meta.MaxPage {
		return true, nil
	}
	// A list that is still due was not met in the round, so its configuration is gone.
	maps.DeleteFunc(x.next, func(_ listName, n nextList) bool { return n.due.Before(s.now()) })
	maps.DeleteFunc(x.idle, func(_ meta.ID, n nextList) bool { return n.due.Before(s.now()) })
	return x.endRound(s.now()), nil
}

// errSearchedEnough: the search for a list has cost as much as a step may.
var errSearchedEnough = errors.New("the search goes on in another step")

// nextListOf begins the first of a bucket's lists that is due.
func (s *Steps) nextListOf(ctx context.Context, b meta.Bucket, r *Report) (begun bool, err error) {
	settings, cost, err := s.engine.Buckets().PassingSettings(ctx, b)
	r.Searched += cost
	if errors.Is(err, s3err.NoSuchBucket) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	names := settings.Names(Setting)
	slices.Sort(names)
	looked := false // each step gets further
	idle := nextList{b.Revision, s.now(), s.now().Add(lookAgain)}
	for _, name := range names {
		c, _, err := buckets.Parsed(settings, name, Parse)
		if err != nil {
			return false, err
		}
		at := listName{b.ID, c.ID}
		next, ok := s.round.next[at]
		if c.Enabled && !(ok && next.waits(&b, s.now())) {
			if looked && r.Searched >= stepSearch {
				return false, errSearchedEnough
			}
			looked = true
			if begun, err = s.beginList(ctx, b, c, r); begun || err != nil {
				return begun, err
			}
			next = s.round.next[at]
		}
		if c.Enabled && next.due.Before(idle.due) {
			idle.due = next.due
		}
	}
	s.round.idle[b.ID] = idle
	return false, nil
}

// beginList begins a list of the bucket, unless it is complete.
func (s *Steps) beginList(ctx context.Context, b meta.Bucket, c Configuration, r *Report) (begun bool, err error) {
	at := listName{b.ID, c.ID}
	l := &list{s: s, b: b, c: c, day: c.dayOf(s.now()), files: []dataFile{}}
	written, looks, err := l.written(ctx)
	r.Searched += looks
	switch {
	case err != nil:
		s.round.next[at] = nextList{b.Revision, s.now(), s.now().Add(listAgain)}
		return false, err
	case written:
		s.round.next[at] = nextList{b.Revision, s.now(), c.nextDay(l.day)}
		return false, nil
	}
	s.round.lists.Begin(b.Owner, l)
	return true, nil
}

// dayOf is the day of the list that is due at a time: that day, or the last Sunday.
func (c *Configuration) dayOf(now time.Time) time.Time {
	day := now.UTC().Truncate(24 * time.Hour)
	if c.Weekly {
		day = day.AddDate(0, 0, -int(day.Weekday()))
	}
	return day
}

// nextDay is the day of the list that follows the one of a day.
func (c *Configuration) nextDay(day time.Time) time.Time {
	if c.Weekly {
		return day.AddDate(0, 0, 7)
	}
	return day.AddDate(0, 0, 1)
}
