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
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// logWriters is the number of owners whose log objects are written at the
	// same time, one of each.
	logWriters = 8
	// logTurn is the time of one owner in one delivery. No other object of the
	// owner is begun after it.
	logTurn = 30 * time.Second
	// logObjectTime bounds the writing of one object, so that a target that
	// hangs delays the next delivery no longer.
	logObjectTime = LogInterval
	// maxLogErrors bounds the errors that are named when many logs cannot be
	// delivered.
	maxLogErrors = 5
)

// LogReport is the result of a delivery.
type LogReport struct {
	Delivered int // records
	Objects   int
	Dropped   int // records without room or without a target
}

// DeliverLogs writes the waiting records into their target buckets, owned by
// the buckets' owners. It does so when they are old or many enough, or with all
// at once. Owners have turns side by side, an object each in rotation, and a
// bound on their time in one call: the target of one may be slow. Records that
// come after that bound are due at the next call; with all, nothing but the
// context bounds an owner. Records that cannot be written wait for a later call
// while there is room; the error says why. It is safe for concurrent use.
func (s *Server) DeliverLogs(ctx context.Context, all bool) (LogReport, error) {
	owners, dropped := s.logs.take(all)
	d := logRound{s: s, all: all, r: LogReport{Dropped: dropped}, waiting: make(chan *ownerLogs, len(owners)), left: len(owners)}
	for _, o := range owners {
		d.waiting <- o
	}
	d.endIfDone()
	var writers sync.WaitGroup
	for range min(logWriters, len(owners)) {
		writers.Go(func() {
			for o := range d.waiting {
				d.serve(ctx, o)
			}
		})
	}
	writers.Wait()
	return d.r, errors.Join(d.errs...)
}

// logRound is one call of DeliverLogs.
type logRound struct {
	s       *Server
	all     bool
	waiting chan *ownerLogs // has room for all owners; closed when none is left

	mu   sync.Mutex
	left int // owners that are not done with
	r    LogReport
	errs []error
}

// serve writes one object of an owner, who then waits behind the others. If the
// owner's time is over, it puts off the remaining ones.
func (d *logRound) serve(ctx context.Context, o *ownerLogs) {
	g, records := o.next()
	start := d.s.now()
	within, cancel := context.WithTimeout(ctx, logObjectTime)
	err := d.s.deliver(within, g, records)
	cancel()
	o.took += d.s.now().Sub(start)
	late := o.took >= logTurn && !d.all
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(g, records, err)
	if late {
		for len(o.groups) > 0 {
			g, records := o.next()
			d.r.Dropped += d.s.logs.giveBack(g, records, true)
		}
	}
	if len(o.groups) > 0 {
		d.waiting <- o
		return
	}
	d.left--
	d.endIfDone()
}

// endIfDone closes waiting after the last owner.
func (d *logRound) endIfDone() {
	if d.left == 0 {
		close(d.waiting)
	}
}

// note reports what became of an object.
func (d *logRound) note(g logGroup, records []byte, err error) {
	n := bytes.Count(records, []byte("\n"))
	switch {
	case err == nil:
		d.r.Delivered, d.r.Objects = d.r.Delivered+n, d.r.Objects+1
		return
	// Another try would not help.
	case errors.Is(err, errNoTarget), errors.Is(err, errNotDelivered):
		d.r.Dropped += n
	default:
		d.r.Dropped += d.s.logs.giveBack(g, records, false)
	}
	if len(d.errs) < maxLogErrors {
		d.errs = append(d.errs, fmt.Errorf("log of bucket %s: %w", g.name, err))
	}
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
		// A log object never replaces another object.
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
