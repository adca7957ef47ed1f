//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
)

const lifecycleGroup = "lifecycle"

// Lanes of the group.
const (
	duringPass  = "during a lifecycle pass"
	withoutPass = "without"
)

var passPair = [2]string{duringPass, withoutPass}

// Names of rows that others refer to.
const (
	passRow = "lifecycle without pauses: objects looked at, of which one in twenty expires"
	stepRow = "lifecycle: longest step"
	heapRow = "lifecycle: memory in use after the last step, beyond that after the first"
)

// Of twenty objects one is of the first age and one of the second, and the others
// are new. The pass before the gateway starts expires the first, the passes beside
// requests the second.
const (
	firstAge, firstDays   = 60, 45
	secondAge, secondDays = 30, 15
	oneIn                 = 20
)

const (
	lifecycleTurn   = 2 * time.Second
	lifecycleRounds = 4
	// passSettles is how long a lifecycle must have looked at nothing to be over.
	passSettles = time.Second
	passTimeout = time.Minute
)

// pass is what was measured of a pass without pauses.
type pass struct {
	rows    int64
	took    time.Duration
	longest time.Duration // of its steps
	grown   int64         // bytes of memory in use, from its first step to its end
}

// lifecycle is requests beside a lifecycle that goes through many objects.
func (b *bench) lifecycle() group {
	s := stock{}
	measured := &pass{}
	rounds := 0 // each pass has objects of its own to expire
	beside := func(w work) work {
		return work{row: w.row, lanes: func(list []*server) []lane {
			with := w.lanes(list)[0]
			without := with
			with.name, without.name = duringPass, withoutPass
			with.ready = func(ctx context.Context) error {
				rounds++
				return list[0].beginPass(ctx, fmt.Sprintf("p%02d", (rounds-1)%10))
			}
			with.tidy = list[0].endPass
			return []lane{with, without}
		}}
	}
	rows := []work{
		beside(s.get(getSmallRow, small, smallClients)),
		beside(s.put(putSmallRow, small, smallClients, false)),
		found(passRow, perSecond, func() float64 { return float64(measured.rows) / measured.took.Seconds() }),
		found(stepRow, milliseconds, func() float64 { return 1 / measured.longest.Seconds() }),
		found(heapRow, mebibytes, func() float64 { return float64(measured.grown) / (1 << 20) }),
	}
	for i := range rows[:2] {
		rows[i].rounds, rows[i].turn = lifecycleRounds, lifecycleTurn
	}
	return group{name: lifecycleGroup, pair: passPair, rows: rows, start: func(ctx context.Context, dir string) ([]*server, error) {
		data := filepath.Join(dir, ours)
		progress("loading %d keys into %s", b.keys, ours)
		if err := loadAged(ctx, data, b.keys); err != nil {
			return nil, fmt.Errorf("load %s: %w", ours, err)
		}
		progress("a lifecycle pass without pauses")
		var err error
		if *measured, err = passOver(ctx, data); err != nil {
			return nil, fmt.Errorf("lifecycle pass: %w", err)
		}
		if err := b.flush(); err != nil {
			return nil, err
		}
		g, err := b.startGateway(ctx, ours, data, "SANCTUM_LIFECYCLE_INTERVAL=1s")
		if err != nil {
			return nil, err
		}
		return b.supply(ctx, []*server{g}, s, dir, small)
	}}
}

// found is a row of what was measured before: a number a second, or of MiB.
func found(name string, u unit, value func() float64) work {
	return work{row: row{name: name, unit: u, clients: 1, rounds: 1}, lanes: func([]*server) []lane {
		return []lane{{name: name, turn: func(context.Context, time.Duration) (int64, float64, error) { return 1, value(), nil }}}
	}}
}

// loadAged makes a data folder with a bucket of many objects. Those that are old
// have a body in a blob of their own, which nobody reads: so their removal costs
// the store what it costs with objects that were put.
func loadAged(ctx context.Context, dir string, many int) error {
	if err := loadSQLite(ctx, dir, filled{name: manyBucket, keys: 1}); err != nil {
		return err
	}
	return inSQLite(dir, func(db *sql.DB) error {
		if _, err := db.ExecContext(ctx, copyRows, []byte(manyBucket), many, max(many/prefixes, 1)); err != nil {
			return err
		}
		for place, age := range []int64{firstAge, secondAge} {
			_, err := db.ExecContext(ctx, "UPDATE objects SET modified = modified - ?, body_kind = 1, body_id = randomblob(20) WHERE rowid % ? = ?",
				age*int64(24*time.Hour/time.Microsecond), oneIn, place)
			if err != nil {
				return err
			}
		}
		_, err := db.ExecContext(ctx, "INSERT INTO blobs (id, refs, backend) SELECT body_id, 1, 1 FROM objects WHERE body_kind = 1")
		return err
	})
}

// lifecycleOf is a rule that objects under a prefix expire after some days.
func lifecycleOf(prefix string, days int) lifecycle.Configuration {
	return lifecycle.Configuration{MinimumSize: lifecycle.MinimumSizeAll, Rules: []lifecycle.Rule{{
		ID: "expire", Enabled: true, Filter: lifecycle.Filter{Prefix: &prefix}, Expiration: &lifecycle.Expiration{Days: days},
	}}}
}

// passOver takes a lifecycle through the whole bucket, one step after the other.
func passOver(ctx context.Context, dir string) (p pass, err error) {
	var store meta.Store
	open := func() (_ meta.Store, err error) {
		store, err = openSQLite(dir)()
		return store, err
	}
	err = inEngine(ctx, dir, open, func(e *engine.Engine) error {
		bucket, err := e.Buckets().Get(ctx, manyBucket)
		if err != nil {
			return err
		}
		doc, err := json.Marshal(lifecycleOf("", firstDays))
		if err != nil {
			return err
		}
		if err := e.Buckets().SetSetting(ctx, bucket, engine.LifecycleSetting, doc); err != nil {
			return err
		}
		steps := lifecycle.New(lifecycle.Config{Engine: e, Store: store})
		var early uint64 // memory in use
		for more := true; more; {
			began := time.Now()
			r, err := steps.Step(ctx)
			if err != nil {
				return err
			}
			took := time.Since(began)
			p.rows, p.took, p.longest, more = p.rows+int64(r.Rows), p.took+took, max(p.longest, took), r.More
			if early == 0 && p.rows > 0 {
				early = heap()
			}
		}
		p.grown = int64(heap()) - int64(early)
		return e.Buckets().SetSetting(ctx, bucket, engine.LifecycleSetting, nil)
	})
	return p, err
}

// heap is the memory in use once what is not has been collected.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// beginPass gives the bucket a rule, and returns when it is being carried out.
func (s *server) beginPass(ctx context.Context, prefix string) error {
	before, err := s.passRows(ctx)
	if err != nil {
		return err
	}
	doc := []byte(fmt.Sprintf(`<LifecycleConfiguration><Rule><ID>expire</ID><Status>Enabled</Status><Filter><Prefix>%s</Prefix></Filter>`+
		`<Expiration><Days>%d</Days></Expiration></Rule></LifecycleConfiguration>`, prefix, secondDays))
	sum := md5.Sum(doc)
	res, err := s.send(ctx, http.MethodPut, "/"+manyBucket+"?lifecycle", bytes.NewReader(doc), int64(len(doc)), unsigned,
		"Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	return s.awaitPass(ctx, func(rows float64, _ time.Duration) bool { return rows > before })
}

// endPass takes the rules away, and returns when nothing more is looked at.
func (s *server) endPass(ctx context.Context) error {
	if err := s.remove(ctx, "/"+manyBucket+"?lifecycle"); err != nil {
		return err
	}
	return s.awaitPass(ctx, func(_ float64, still time.Duration) bool { return still > passSettles })
}

// awaitPass waits until the number of rows that lifecycles have looked at, and for
// how long it has stayed the same, are what is asked for.
func (s *server) awaitPass(ctx context.Context, until func(rows float64, still time.Duration) bool) error {
	last, since := -1.0, time.Now()
	for deadline := time.Now().Add(passTimeout); time.Now().Before(deadline); {
		rows, err := s.passRows(ctx)
		if err != nil {
			return err
		}
		if rows != last {
			last, since = rows, time.Now()
		}
		if until(rows, time.Since(since)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(passSettles / 50):
		}
	}
	return errors.New("the lifecycle does not do as it is told")
}

var passMetric = regexp.MustCompile(`(?m)^sanctum_lifecycle_rows_total (\S+)$`)

// passRows is how many rows lifecycles have looked at.
func (s *server) passRows(ctx context.Context) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metrics, nil)
	if err != nil {
		return 0, err
	}
	res, err := s.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxDocument))
	if err != nil {
		return 0, err
	}
	m := passMetric.FindSubmatch(text)
	if m == nil {
		return 0, errors.New("there is no metric of lifecycles")
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
