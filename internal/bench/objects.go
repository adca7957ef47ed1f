//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
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
	// How many objects reads choose from.
	stockSmall  = 1000
	stockMedium = 64
	// How many a turn may write, since the gateway keeps what was replaced or
	// deleted until its collector comes by.
	mostMedium = 512
	mostLarge  = 8
)

// Names of rows that others refer to.
const (
	putSmallRow = "PUT 4 KiB"
	putLargeRow = "PUT 64 MiB"
	getLargeRow = "GET 64 MiB"
)

// stock is what objects hold.
type stock struct{ small, medium, large *payload }

// objectGroup is PUT, GET and HEAD of objects.
func (b *bench) objectGroup() group {
	s := new(stock)
	rows := []work{
		{row{name: putSmallRow, unit: perSecond, clients: smallClients, size: small, writes: true},
			func(servers []*server) []lane {
				return append(writeLanes(servers, func() *payload { return s.small }, false), b.diskLane())
			}},
		{row{name: "GET 4 KiB", unit: perSecond, clients: smallClients, size: small}, each(func(c *client) request {
			return func(ctx context.Context, _ int64) error {
				return c.get(ctx, object("small", rand.Int64N(stockSmall)), 0, small, true)
			}
		})},
		{row{name: "HEAD 4 KiB", unit: perSecond, clients: smallClients}, each(func(c *client) request {
			return func(ctx context.Context, _ int64) error {
				return c.head(ctx, object("small", rand.Int64N(stockSmall)), small)
			}
		})},
		{row{name: "PUT 1 MiB", unit: megabytes, clients: mediumClients, size: medium, most: mostMedium, writes: true},
			func(servers []*server) []lane {
				return writeLanes(servers, func() *payload { return s.medium }, false)
			}},
		{row{name: "GET 1 MiB", unit: megabytes, clients: mediumClients, size: medium}, each(func(c *client) request {
			return func(ctx context.Context, _ int64) error {
				return c.get(ctx, object("medium", rand.Int64N(stockMedium)), 0, medium, true)
			}
		})},
		{row{name: putLargeRow, unit: megabytes, clients: 1, size: large, most: mostLarge, writes: true},
			func(servers []*server) []lane {
				return writeLanes(servers, func() *payload { return s.large }, false)
			}},
		{row{name: putLargeRow + ", signed payload", unit: megabytes, clients: 1, size: large, most: mostLarge, writes: true},
			func(servers []*server) []lane {
				return writeLanes(servers, func() *payload { return s.large }, true)
			}},
		{row{name: getLargeRow, unit: megabytes, clients: 1, size: large}, each(func(c *client) request {
			return func(ctx context.Context, _ int64) error { return c.get(ctx, object("large", 0), 0, large, true) }
		})},
		{row{name: "GET 64 KiB of 64 MiB", unit: megabytes, clients: rangeClients, size: rangeSize}, each(func(c *client) request {
			return func(ctx context.Context, _ int64) error {
				return c.get(ctx, object("large", 0), rand.Int64N(large-rangeSize+1), rangeSize, false)
			}
		})},
		{row{name: "synced files", unit: perSecond, clients: 1, size: small, writes: true},
			func([]*server) []lane { return []lane{b.diskLane()} }},
	}
	return group{rows, func(ctx context.Context) ([]*server, error) { return b.startObjects(ctx, s) }}
}

func object(name string, n int64) string { return fmt.Sprintf("/bench/%s/%d", name, n) }

// startObjects starts both servers and puts in place what is read, each size
// checked byte by byte.
func (b *bench) startObjects(ctx context.Context, s *stock) (pair []*server, err error) {
	for _, p := range []struct {
		to   **payload
		name string
		size int64
	}{{&s.small, "small", small}, {&s.medium, "medium", medium}, {&s.large, "large", large}} {
		if *p.to, err = newPayload(b.dir, p.name, p.size); err != nil {
			return nil, err
		}
	}
	if pair, err = b.startPair(ctx, "objects", nil); err != nil {
		return nil, err
	}
	for _, srv := range pair {
		progress("stocking %s", srv.name)
		if err := s.fill(ctx, srv.client); err != nil {
			return nil, errors.Join(fmt.Errorf("stock %s: %w", srv.name, err), closeAll(pair))
		}
	}
	if err := b.flush(); err != nil {
		return nil, errors.Join(err, closeAll(pair))
	}
	return pair, nil
}

func (s *stock) fill(ctx context.Context, c *client) error {
	if err := c.createBucket(ctx, "bench"); err != nil {
		return err
	}
	for _, kind := range []struct {
		name string
		p    *payload
		n    int64
	}{{"small", s.small, stockSmall}, {"medium", s.medium, stockMedium}, {"large", s.large, 1}} {
		put := lane{do: func(ctx context.Context, n int64) error {
			return c.put(ctx, object(kind.name, n), kind.p, kind.p.hash)
		}}
		var made laneResult
		if _, err := put.work(ctx, row{clients: smallClients, most: kind.n}, &made, time.Now().Add(startTimeout)); err != nil {
			return err
		}
		for _, n := range []int64{0, kind.n - 1} {
			if err := c.verify(ctx, object(kind.name, n), kind.p); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeLanes put new objects and delete them after each turn, unless they are
// too small to matter. The payload is asked for when it is needed.
func writeLanes(servers []*server, of func() *payload, signed bool) (lanes []lane) {
	for _, s := range servers {
		w := &writer{c: s.client, p: of(), hash: unsigned}
		if signed {
			w.hash = w.p.hash
		}
		l := lane{name: s.name, process: s.process, do: w.put}
		if w.p.size >= medium {
			l.tidy = w.removeAll
		}
		lanes = append(lanes, l)
	}
	return lanes
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
