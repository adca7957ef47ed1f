package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// LogInterval is the longest time that records of requests wait for
	// delivery. A full buffer is delivered earlier.
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

// logBuffer holds records until their delivery. The owners of the buckets share
// its bytes and groups, so that nobody's records crowd out another's.
type logBuffer struct {
	mu      sync.Mutex
	groups  map[logGroup][]byte
	size    int
	oldest  time.Time // arrival of the first record
	dropped int       // since the last delivery
	// bytes and places share maxLogBuffer and maxLogGroups among owners.
	bytes, places *fair.Pool[meta.ID]
}

// hold takes bytes more, and a group if it is fresh. It reports whether the
// group's owner had room left.
func (b *logBuffer) hold(g *logGroup, bytes int, fresh bool) bool {
	if b.groups == nil {
		b.groups, b.oldest = make(map[logGroup][]byte), time.Now()
		b.bytes, b.places = fair.New[meta.ID](maxLogBuffer), fair.New[meta.ID](maxLogGroups)
	}
	if !b.bytes.TakeMany(g.owner, bytes) {
		return false
	}
	if fresh && !b.places.Take(g.owner) {
		b.bytes.GiveMany(g.owner, bytes)
		return false
	}
	return true
}

// logGroup returns the group of a record of a request that arrived at a time.
func (s *Server) logGroup(b meta.Bucket, l logging, at time.Time) logGroup {
	g := logGroup{source: b.ID, name: b.Name, owner: b.Owner, to: l}
	if l.Dates == logEventTime {
		g.day = at.UTC().Format(time.DateOnly)
	}
	return g
}

// add buffers a record, or counts it as dropped.
func (b *logBuffer) add(g logGroup, record []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held, ok := b.groups[g]
	more := len(record)
	if !ok {
		more += g.size()
	}
	if !b.hold(&g, more, !ok) {
		b.dropped++
		return
	}
	b.groups[g], b.size = append(held, record...), b.size+more
}

// drop counts records that were never buffered.
func (b *logBuffer) drop(records int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped += records
}

// take empties the buffer if a delivery is due, or if all is set.
func (b *logBuffer) take(all bool) (groups map[logGroup][]byte, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	dropped, b.dropped = b.dropped, 0
	if !all && b.size < maxLogBuffer/2 && time.Since(b.oldest) < LogInterval {
		return nil, dropped
	}
	groups, b.groups, b.size = b.groups, nil, 0
	return groups, dropped
}

// LogReport is the result of a delivery.
type LogReport struct {
	Delivered int // records
	Objects   int
	Dropped   int // records without room or without a target
}

// DeliverLogs writes the waiting records into their target buckets, owned by
// the buckets' owners. It does so when they are old or many enough, or with all
// at once. Records that cannot be written wait for the next call while there is
// room; the error says why. It is safe for concurrent use.
func (s *Server) DeliverLogs(ctx context.Context, all bool) (r LogReport, err error) {
	groups, dropped := s.logs.take(all)
	r.Dropped = dropped
	var errs []error
	for g, records := range groups {
		n := bytes.Count(records, []byte("\n"))
		err := s.deliver(ctx, g, records)
		switch {
		case err == nil:
			r.Delivered, r.Objects = r.Delivered+n, r.Objects+1
			continue
		// Another try would not help.
		case errors.Is(err, errNoTarget), errors.Is(err, errNotDelivered):
			r.Dropped += n
		default:
			r.Dropped += s.logs.giveBack(g, records)
		}
		if len(errs) < maxLogErrors {
			errs = append(errs, fmt.Errorf("log of bucket %s: %w", g.name, err))
		}
	}
	return r, errors.Join(errs...)
}

// maxLogErrors bounds the errors that are named when many logs cannot be
// delivered.
const maxLogErrors = 5

// giveBack keeps records for another try, in front of newer ones. It returns
// the number of those without room.
func (b *logBuffer) giveBack(g logGroup, records []byte) (dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	more := len(records)
	_, ok := b.groups[g]
	if !ok {
		more += g.size()
	}
	if !b.hold(&g, more, !ok) {
		return bytes.Count(records, []byte("\n"))
	}
	b.groups[g], b.size = append(records, b.groups[g]...), b.size+more
	return 0
}

// errNoTarget: the target bucket was deleted, or its name has another owner
// now.
var errNoTarget = errors.New("the target bucket does not exist any more")

// deliver writes one log object. The settings of the target are read now: they
// may have changed since the records were buffered.
func (s *Server) deliver(ctx context.Context, g logGroup, records []byte) error {
	target, err := s.engine.Buckets().Get(ctx, g.to.Target)
	if errors.Is(err, s3err.NoSuchBucket) || err == nil && (target.ID.String() != g.to.TargetID || target.Owner != g.owner) {
		return errNoTarget
	} else if err != nil {
		return err
	}
	key := s.logObjectKey(g)
	from := meta.Bucket{ID: g.source, Name: g.name, Owner: g.owner}
	if err := s.mayDeliver(ctx, logReporter, delivery{from: from, to: target, key: key, byPolicy: g.to.ByPolicy}); err != nil {
		return err
	}
	_, err = s.engine.PutObject(ctx, engine.PutObject{
		Bucket: target, Key: key, Owner: target.Owner, Attributes: engine.Attributes{ContentType: "text/plain"},
		Conditions: engine.Conditions{IfNoneMatch: "*"},
		Body:       engine.Body{Reader: bytes.NewReader(records), Size: int64(len(records)), ChecksumAlgorithm: engine.CRC64NVME},
	})
	return err
}

// logObjectKey returns a new name, as S3 builds it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
func (s *Server) logObjectKey(g logGroup) string {
	var unique [8]byte
	rand.Read(unique[:])
	stamp, folder := s.now().UTC().Format("2006-01-02-15-04-05"), ""
	if g.to.Dates != "" {
		day := stamp[:len(time.DateOnly)]
		// All objects of a day sort together, whenever they are delivered.
		if g.day != "" {
			day, stamp = g.day, g.day+"-00-00-00"
		}
		folder = accounts.Account(g.owner) + "/" + s.region + "/" + g.name + "/" + strings.ReplaceAll(day, "-", "/") + "/"
	}
	return g.to.Prefix + folder + stamp + "-" + strings.ToUpper(hex.EncodeToString(unique[:]))
}
