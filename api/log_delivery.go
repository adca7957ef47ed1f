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
	// LogInterval is how long records of requests wait for their delivery at most,
	// unless the buffer fills.
	LogInterval = 5 * time.Minute
	// maxLogBuffer bounds the records that wait, in bytes; more are dropped.
	maxLogBuffer = 32 << 20
	// maxLogGroups bounds the log objects that they would become.
	maxLogGroups = 10_000
	// logGroupBytes is what one of these takes beside its records and names.
	logGroupBytes = 512
)

// logGroup is what goes into one log object.
type logGroup struct {
	source meta.ID
	name   string // of the source bucket
	owner  meta.ID
	to     engine.Logging
	day    string // of the events, where the key has it
}

// size is how many bytes the group takes without its records.
func (g *logGroup) size() int {
	return logGroupBytes + len(g.name) + len(g.to.Target) + len(g.to.TargetID) + len(g.to.Prefix)
}

// logBuffer holds records of requests until their delivery. Its bytes and groups are
// shared among the owners of the buckets, so that nobody makes another's be dropped.
type logBuffer struct {
	mu      sync.Mutex
	groups  map[logGroup][]byte
	size    int
	oldest  time.Time // when the first of the records came
	dropped int       // since the last delivery
	// bytes and places are what owners have of maxLogBuffer and maxLogGroups.
	bytes, places *fair.Pool[meta.ID]
}

// hold takes so many bytes more, or a new group of them, and reports whether there was
// room for the group's owner.
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

// logGroup is where the record of a request that came at a time belongs.
func (s *Server) logGroup(b meta.Bucket, l engine.Logging, at time.Time) logGroup {
	g := logGroup{source: b.ID, name: b.Name, owner: b.Owner, to: l}
	if l.Dates == engine.LogEventTime {
		g.day = at.UTC().Format(time.DateOnly)
	}
	return g
}

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

func (b *logBuffer) drop(records int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped += records
}

// take empties the buffer, if that is due.
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

// LogReport says what became of records of requests.
type LogReport struct {
	Delivered int // records
	Objects   int
	Dropped   int // records for which there was no room, or no bucket
}

// DeliverLogs writes the records of requests that wait to the buckets that they are
// meant for, as their owner, when they are old enough or many; with all, at once.
// Those that cannot be written wait for the next call, as far as there is room.
// The error is why. It is safe for concurrent use.
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

// maxLogErrors are named when many logs cannot be delivered.
const maxLogErrors = 5

// giveBack keeps records for another try, and returns how many it could not.
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

// errNoTarget: the bucket that a log is meant for is gone, or another's by now.
var errNoTarget = errors.New("the target bucket is not there any more")

// deliver writes one log object.
func (s *Server) deliver(ctx context.Context, g logGroup, records []byte) error {
	target, err := s.engine.Bucket(ctx, g.to.Target)
	if errors.Is(err, s3err.NoSuchBucket) || err == nil && (target.ID.String() != g.to.TargetID || target.Owner != g.owner) {
		return errNoTarget
	} else if err != nil {
		return err
	}
	key := s.logObjectKey(g)
	from := meta.Bucket{ID: g.source, Name: g.name, Owner: g.owner}
	if err := s.mayDeliver(ctx, logReporter, engine.Delivery{From: from, To: target, Key: key, ByPolicy: g.to.ByPolicy}); err != nil {
		return err
	}
	_, err = s.engine.PutObject(ctx, engine.PutObject{
		Bucket: target, Key: key, Owner: target.Owner, Attributes: engine.Attributes{ContentType: "text/plain"},
		Conditions: engine.Conditions{IfNoneMatch: "*"},
		Body:       engine.Body{Reader: bytes.NewReader(records), Size: int64(len(records)), ChecksumAlgorithm: engine.CRC64NVME},
	})
	return err
}

// logObjectKey names a new log object, as S3 does.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
func (s *Server) logObjectKey(g logGroup) string {
	var unique [8]byte
	rand.Read(unique[:])
	stamp, folder := s.now().UTC().Format("2006-01-02-15-04-05"), ""
	if g.to.Dates != "" {
		day := stamp[:len(time.DateOnly)]
		if g.day != "" {
			day, stamp = g.day, g.day+"-00-00-00"
		}
		folder = accounts.Account(g.owner) + "/" + s.region + "/" + g.name + "/" + strings.ReplaceAll(day, "-", "/") + "/"
	}
	return g.to.Prefix + folder + stamp + "-" + strings.ToUpper(hex.EncodeToString(unique[:]))
}
