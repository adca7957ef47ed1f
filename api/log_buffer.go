package api

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// LogInterval is the longest time that records of requests wait for
	// delivery. If the buffer is half full, owners with many are delivered
	// earlier.
	LogInterval = 5 * time.Minute
	// maxLogBuffer bounds the waiting records, in bytes; further ones are
	// dropped.
	maxLogBuffer = 32 << 20
	// maxLogGroups bounds the log objects that they would become.
	maxLogGroups = 10_000
	// logGroupBytes is the memory of a group besides its records and names.
	logGroupBytes = 512
)

// logGroup identifies the records that go into one log object.
type logGroup struct {
	source meta.ID
	name   string // of the source bucket
	owner  meta.ID
	to     logging
	day    string // of the events, if the key has it; else ""
}

// size is the memory of the group without its records, in bytes.
func (g *logGroup) size() int {
	return logGroupBytes + len(g.name) + len(g.to.Target) + len(g.to.TargetID) + len(g.to.Prefix)
}

// logGroup returns the group of a record of a request that arrived at a time.
func (s *Server) logGroup(b meta.Bucket, l logging, at time.Time) logGroup {
	g := logGroup{source: b.ID, name: b.Name, owner: b.Owner, to: l}
	if l.Dates == logEventTime {
		g.day = at.UTC().Format(time.DateOnly)
	}
	return g
}

// ownerLogs are the records of one owner's buckets.
type ownerLogs struct {
	owner  meta.ID
	groups map[logGroup][]byte
	size   int
	oldest time.Time     // arrival of the first record
	late   bool          // some were put off, and are due now
	took   time.Duration // the time of the owner's turn in a delivery
}

// next takes any group out.
func (o *ownerLogs) next() (g logGroup, records []byte) {
	for g, records = range o.groups {
		delete(o.groups, g)
		break
	}
	return g, records
}

// logBuffer holds records until their delivery. The owners of the buckets share
// its bytes and groups, so that nobody's records crowd out another's. Each
// owner's records are due by themselves, so that one with many does not have
// those of others written in more and smaller objects.
type logBuffer struct {
	now     func() time.Time
	mu      sync.Mutex
	owners  map[meta.ID]*ownerLogs
	size    int
	dropped int // since the last delivery
	// bytes and places share maxLogBuffer and maxLogGroups among owners.
	bytes, places *fair.Pool[meta.ID]
}

// hold takes bytes more, and a group if it is fresh. It returns the group's
// owner, or nil if the owner has no room left.
func (b *logBuffer) hold(g *logGroup, bytes int, fresh bool) *ownerLogs {
	if b.owners == nil {
		b.owners = make(map[meta.ID]*ownerLogs)
		b.bytes, b.places = fair.New[meta.ID](maxLogBuffer), fair.New[meta.ID](maxLogGroups)
	}
	if !b.bytes.TakeMany(g.owner, bytes) {
		return nil
	}
	if fresh && !b.places.Take(g.owner) {
		b.bytes.GiveMany(g.owner, bytes)
		return nil
	}
	o := b.owners[g.owner]
	if o == nil {
		o = &ownerLogs{owner: g.owner, groups: make(map[logGroup][]byte), oldest: b.now()}
		b.owners[g.owner] = o
	}
	o.size, b.size = o.size+bytes, b.size+bytes
	return o
}

// keep holds records in front of a group's, or behind them, and returns its
// owner; nil if there is no room.
func (b *logBuffer) keep(g *logGroup, records []byte, front bool) *ownerLogs {
	var held []byte
	fresh := true
	if o := b.owners[g.owner]; o != nil {
		held = o.groups[*g]
		fresh = held == nil
	}
	more := len(records)
	if fresh {
		more += g.size()
	}
	o := b.hold(g, more, fresh)
	switch {
	case o == nil:
	case front:
		o.groups[*g] = append(records, held...)
	default:
		o.groups[*g] = append(held, records...)
	}
	return o
}

// add buffers a record, or counts it as dropped.
func (b *logBuffer) add(g logGroup, record []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keep(&g, record, false) == nil {
		b.dropped++
	}
}

// giveBack keeps records for another try, in front of newer ones. If they are
// late, they are due at the next delivery. It returns the number of those
// without room.
func (b *logBuffer) giveBack(g logGroup, records []byte, late bool) (dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.keep(&g, records, true)
	if o == nil {
		return bytes.Count(records, []byte("\n"))
	}
	o.late = o.late || late
	return 0
}

// drop counts records that were never buffered.
func (b *logBuffer) drop(records int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped += records
}

// take removes the records of the owners who are due, or all of them. If the
// buffer is half full, the owners with the most records are due, until it would
// be a quarter full.
func (b *logBuffer) take(all bool) (due []*ownerLogs, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	dropped, b.dropped = b.dropped, 0
	full := b.size >= maxLogBuffer/2
	owners := slices.SortedFunc(maps.Values(b.owners), func(x, y *ownerLogs) int { return cmp.Compare(y.size, x.size) })
	for _, o := range owners {
		if !all && !o.late && b.now().Sub(o.oldest) < LogInterval && (!full || b.size < maxLogBuffer/4) {
			continue
		}
		due = append(due, o)
		b.size -= o.size
		b.bytes.GiveMany(o.owner, o.size)
		b.places.GiveMany(o.owner, len(o.groups))
		delete(b.owners, o.owner)
	}
	return due, dropped
}
