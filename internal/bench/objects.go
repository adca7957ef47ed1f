//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// Sizes of objects and ranges.
const (
	small     = 4 << 10
	medium    = 1 << 20
	large     = 64 << 20
	rangeSize = 64 << 10
)

const (
	smallClients  = 16
	mediumClients = 4
	rangeClients  = 8
)

// stocked is how many objects of a size reads choose from.
var stocked = map[int64]int64{small: 1000, medium: 64, large: 1}

// mostWritten is how many objects a turn may write, since the gateway keeps what
// was replaced or deleted until its collector comes by. None: no limit.
var mostWritten = map[int64]int64{medium: 512, large: 8}

// Names of rows that others refer to.
const (
	putSmallRow = "PUT 4 KiB"
	headRow     = "HEAD 4 KiB"
	putLargeRow = "PUT 64 MiB"
	getLargeRow = "GET 64 MiB"
)

// Names of rows that are in several groups.
const (
	getSmallRow = "GET 4 KiB"
	rangeRow    = "GET 64 KiB of 64 MiB"
)

// stock is what objects hold, by their size. It is filled when a group starts.
type stock map[int64]*payload

// objects is PUT, GET and HEAD of objects.
func (b *bench) objects() group {
	s := stock{}
	rows := []work{
		s.put(putSmallRow, small, smallClients, false).beside(b.diskLane),
		s.get(getSmallRow, small, smallClients),
		s.head(smallClients),
		s.put("PUT 1 MiB", medium, mediumClients, false),
		s.get("GET 1 MiB", medium, mediumClients),
		s.put(putLargeRow, large, 1, false),
		s.put(putLargeRow+", signed payload", large, 1, true),
		s.get(getLargeRow, large, 1),
		s.ranges(),
		{row: row{name: "synced files", unit: perSecond, clients: 1, size: small, writes: true},
			lanes: func([]*server) []lane { return []lane{b.diskLane()} }},
	}
	return group{objectsGroup, [2]string{ours, rival}, rows, func(ctx context.Context, dir string) ([]*server, error) {
		pair, err := b.startPair(ctx, dir, nil)
		if err != nil {
			return nil, err
		}
		return b.supply(ctx, pair, s, dir, small, medium, large)
	}}
}

func unitOf(size int64) unit {
	if size < medium {
		return perSecond
	}
	return megabytes
}

// put is PUTs of new objects, which are deleted after each turn unless they are
// too small to matter.
func (s stock) put(name string, size int64, clients int, signed bool) work {
	r := row{name: name, unit: unitOf(size), clients: clients, size: size, most: mostWritten[size], writes: true}
	return work{row: r, lanes: func(list []*server) (lanes []lane) {
		for _, srv := range list {
			w := &writer{c: srv.client, p: s[size], hash: unsigned}
			if signed {
				w.hash = w.p.hash
			}
			l := lane{name: srv.name, process: srv.Process, do: w.put}
			if size >= medium {
				l.tidy = w.removeAll
			}
			lanes = append(lanes, l)
		}
		return lanes
	}}
}

// get is GETs of whole objects.
func (s stock) get(name string, size int64, clients int) work {
	r := row{name: name, unit: unitOf(size), clients: clients, size: size}
	return work{row: r, lanes: each(func(c *client) request {
		return func(ctx context.Context, _ int64) error { return c.get(ctx, anyOf(size), 0, size, true) }
	})}
}

// head is HEADs of small objects.
func (s stock) head(clients int) work {
	return work{row: row{name: headRow, unit: perSecond, clients: clients}, lanes: each(func(c *client) request {
		return func(ctx context.Context, _ int64) error { return c.head(ctx, anyOf(small), small) }
	})}
}

// ranges is GETs of parts of the large object.
func (s stock) ranges() work {
	return work{row: row{name: rangeRow, unit: megabytes, clients: rangeClients, size: rangeSize}, lanes: each(func(c *client) request {
		return func(ctx context.Context, _ int64) error {
			return c.get(ctx, anyOf(large), rand.Int64N(large-rangeSize+1), rangeSize, false)
		}
	})}
}

const objectBucket = "bench"

func object(kind string, n int64) string { return fmt.Sprintf("/%s/%s/%d", objectBucket, kind, n) }

func stockObject(size, n int64) string { return object(fmt.Sprint(size), n) }

// anyOf is one of the objects in stock.
func anyOf(size int64) string { return stockObject(size, rand.Int64N(stocked[size])) }

// supply puts in place what is read on the servers of a group, each size
// checked byte by byte. It closes the servers when it fails.
func (b *bench) supply(ctx context.Context, list []*server, s stock, dir string, sizes ...int64) (_ []*server, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(list))
		}
	}()
	for _, size := range sizes {
		if s[size], err = newPayload(dir, fmt.Sprintf("payload-%d", size), size); err != nil {
			return nil, err
		}
	}
	for _, srv := range list {
		progress("stocking %s", srv.name)
		if err := s.fill(ctx, srv.client); err != nil {
			return nil, fmt.Errorf("stock %s: %w", srv.name, err)
		}
	}
	return list, b.flush()
}

func (s stock) fill(ctx context.Context, c *client) error {
	if err := c.createBucket(ctx, objectBucket); err != nil {
		return err
	}
	for size, p := range s {
		put := lane{do: func(ctx context.Context, n int64) error {
			return c.put(ctx, stockObject(size, n), p, p.hash)
		}}
		var made laneResult
		all := row{clients: smallClients, most: stocked[size]}
		if _, err := put.work(ctx, all, &made, time.Now().Add(servers.StartTimeout)); err != nil {
			return err
		}
		for _, n := range []int64{0, stocked[size] - 1} {
			if err := c.verify(ctx, stockObject(size, n), p); err != nil {
				return err
			}
		}
	}
	return nil
}

// writer puts objects under keys of their own.
type writer struct {
	c    *client
	p    *payload
	hash string

	mu      sync.Mutex
	written []string
}

func (w *writer) put(ctx context.Context, n int64) error {
	path := object("new", n)
	if err := w.c.put(ctx, path, w.p, w.hash); err != nil {
		return err
	}
	w.mu.Lock()
	w.written = append(w.written, path)
	w.mu.Unlock()
	return nil
}

// removeAll deletes what was put. It does not run beside put.
func (w *writer) removeAll(ctx context.Context) error {
	for _, path := range w.written {
		if err := w.c.remove(ctx, path); err != nil {
			return err
		}
	}
	w.written = w.written[:0]
	return nil
}
