package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	inventoryRows    = meta.MaxPage // versions listed by one step
	inventoryBuckets = 100          // buckets whose configurations are read by one step
	// maxInventoryTries is how many steps of a list may fail until it is given up,
	// and inventoryAgain when it is tried again.
	maxInventoryTries = 3
	inventoryAgain    = time.Hour
	// maxLists of tenants are under way at once, each of which may hold inventoryFile.
	maxLists = 4
)

// InventoryReport is what one step did.
type InventoryReport struct {
	Skipped bool `json:"skipped"` // another gateway does it
	Rows    int  `json:"rows"`    // versions looked at
	Lists   int  `json:"lists"`   // that are complete
	More    bool `json:"more"`    // another step has work at once
}

// inventorying is what this process remembers of writing inventories. A list that
// is under way when the process ends is begun anew by another; the files that it
// had written stay, named by no manifest.
type inventorying struct {
	after string // buckets up to this name were looked at in this round
	begun bool   // the round
	lists rotation[*inventoryList]
	next  map[listName]nextList
	idle  time.Time // when the last round ended, unless a list has ended since
	wrote string    // the bucket of the list that was written last
	inventoryTurns
}

// looks reports whether it is time to look for another list.
func (x *inventorying) looks(now time.Time) bool {
	n := len(x.lists.turns)
	return n == 0 || n < maxLists && (x.begun || !within(now, x.idle, x.idle.Add(lookAgain)))
}

// mayHave reports whether it is the turn of a bucket.
func (x *inventorying) mayHave(b *meta.Bucket) bool {
	may := !x.lists.has(b.Owner) && !x.had[b.Owner] && b.Name > x.last[b.Owner]
	x.passed = x.passed || !may
	return may
}

// endRound reports whether there may be a list in another round at once. A tenant that
// had none, and has none under way, begins with its first bucket again.
func (x *inventorying) endRound(now time.Time) (more bool) {
	more = len(x.lists.turns) == 0 && (x.passed || len(x.had) > 0)
	maps.DeleteFunc(x.last, func(tenant meta.ID, _ string) bool { return !x.had[tenant] && !x.lists.has(tenant) })
	clear(x.had)
	x.passed, x.begun, x.after, x.idle = false, false, "", now
	return more
}

// inventoryTurns see to it that lists are written of one tenant after another, and of one
// bucket of it after another, so that one who has many or long ones leaves turns to all:
// a tenant has one list in each round, of the first bucket behind that of its last one.
type inventoryTurns struct {
	had    map[meta.ID]bool   // tenants that had a list in this round
	last   map[meta.ID]string // the bucket of a tenant's last list
	passed bool               // over a bucket whose turn it was not
}

// took notes that a list of the bucket was begun.
func (x *inventoryTurns) took(b *meta.Bucket) {
	if x.had == nil {
		x.had, x.last = make(map[meta.ID]bool), make(map[meta.ID]string)
	}
	x.had[b.Owner], x.last[b.Owner] = true, b.Name
}

// listName names a configuration, and nextList when it is looked at again.
type listName struct {
	bucket meta.ID
	id     string
}

type nextList struct {
	revision int64
	since    time.Time // it was said; of the time to come, by a clock that was wrong
	due      time.Time
}

// Inventory does one bounded step of writing the lists that buckets' inventory
// configurations ask for: once a day, or once a week, on Sunday, by UTC. A list
// whose manifest is there is not written again, whoever wrote it. Lists of several
// tenants are under way at once, one of each. One gateway at a time does it. Concurrent calls wait for one another.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
func (e *Engine) Inventory(ctx context.Context) (r InventoryReport, err error) {
	e.inventoryMu.Lock()
	defer e.inventoryMu.Unlock()
	x := &e.inventorying
	_, mine, err := e.hold(ctx, inventoryLease)
	if err != nil {
		return r, fmt.Errorf("take the inventory's lease: %w", err)
	}
	if !mine {
		*x = inventorying{}
		return InventoryReport{Skipped: true}, nil
	}
	if x.next == nil {
		x.next = make(map[listName]nextList)
	}
	if x.looks(e.now()) {
		if r.More, err = e.nextList(ctx); err != nil {
			return r, err
		}
	}
	at := x.lists.next(e.now())
	if at == nil {
		return r, nil
	}
	l, over := at.turn, false
	if err = l.step(ctx, &r); err != nil {
		err = fmt.Errorf("inventory %s of bucket %s: %w", l.c.ID, l.b.Name, err)
		l.tries++
		at.failed = e.now()
		at.resumes = at.failed.Add(time.Duration(l.tries) * resumeAfter)
		if over = l.tries == maxInventoryTries || errors.Is(err, errListObsolete); over {
			x.next[l.name()] = nextList{l.b.Revision, e.now(), e.now().Add(inventoryAgain)}
		}
	} else if l.tries, over = 0, l.done; over {
		r.Lists++
		x.wrote, x.next[l.name()] = l.b.Name, nextList{l.b.Revision, e.now(), l.c.nextDay(l.day)}
	}
	if over {
		x.lists.end(at)
		x.idle = time.Time{} // another of the tenant's may be due
	}
	r.More = r.More || over || x.lists.ready(e.now())
	return r, err
}

// nextList looks for a list that is due. More: there may be one further on.
func (e *Engine) nextList(ctx context.Context) (more bool, err error) {
	x := &e.inventorying
	x.begun = true
	page, err := e.store.ListBuckets(ctx, meta.BucketQuery{After: x.after, Limit: meta.MaxPage})
	if err != nil {
		return false, err
	}
	read := 0
	for _, b := range page {
		if b.Revision > 0 && x.mayHave(&b) {
			if err := e.proveBucket(&b); err != nil { // the others have their turn all the same
				x.after = b.Name
				return true, err
			}
			if read++; read > inventoryBuckets {
				return true, nil
			}
			begun, err := e.nextListOf(ctx, b)
			if begun {
				x.after = b.Name // the same bucket may have another, in the next round
				x.took(&b)
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
	// What is still due was not met in the round: it is gone.
	maps.DeleteFunc(x.next, func(_ listName, n nextList) bool { return n.due.Before(e.now()) })
	return x.endRound(e.now()), nil
}

// nextListOf begins the first of a bucket's lists that is due.
func (e *Engine) nextListOf(ctx context.Context, b meta.Bucket) (begun bool, err error) {
	s, err := e.Settings(ctx, b)
	if errors.Is(err, s3err.NoSuchBucket) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	names := s.Names(InventorySetting)
	slices.Sort(names)
	for _, name := range names {
		c, _, err := Parsed(s, name, ParseInventory)
		if err != nil {
			return false, err
		}
		at := listName{b.ID, c.ID}
		if next, ok := e.inventorying.next[at]; !c.Enabled || ok && next.revision == b.Revision && within(e.now(), next.since, next.due) {
			continue
		}
		l := &inventoryList{e: e, b: b, c: c, day: c.dayOf(e.now()), files: []inventoryData{}}
		written, err := l.written(ctx)
		switch {
		case err != nil:
			e.inventorying.next[at] = nextList{b.Revision, e.now(), e.now().Add(inventoryAgain)}
			return false, err
		case written:
			e.inventorying.next[at] = nextList{b.Revision, e.now(), c.nextDay(l.day)}
			continue
		}
		e.inventorying.lists.begin(b.Owner, l)
		return true, nil
	}
	return false, nil
}

// dayOf is the day whose list is due at a time: that day, or the last Sunday.
func (c *Inventory) dayOf(now time.Time) time.Time {
	day := now.UTC().Truncate(24 * time.Hour)
	if c.Weekly {
		day = day.AddDate(0, 0, -int(day.Weekday()))
	}
	return day
}

// nextDay is the day of the list after that of a day.
func (c *Inventory) nextDay(day time.Time) time.Time {
	if c.Weekly {
		return day.AddDate(0, 0, 7)
	}
	return day.AddDate(0, 0, 1)
}
