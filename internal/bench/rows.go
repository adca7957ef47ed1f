//go:build linux

package main

import (
	"context"
	"errors"
)

// unit is how a row's speed is shown.
type unit string

const (
	perSecond    unit = "/s"
	megabytes    unit = "MB/s" // of 10^6 bytes
	milliseconds unit = "ms"   // of one request, the median
)

// work is a row and where it is done.
type work struct {
	row
	lanes func(servers []*server) []lane
}

// group is rows that share their servers.
type group struct {
	rows  []work
	start func(ctx context.Context) ([]*server, error)
}

func (b *bench) groups() []group {
	return []group{b.objectGroup(), b.listGroup()}
}

// measureGroup measures those rows of a group that are asked for, and starts no
// server when there are none.
func (b *bench) measureGroup(ctx context.Context, g group) (results []result, err error) {
	var rows []work
	for _, w := range g.rows {
		if b.only.MatchString(w.name) {
			rows = append(rows, w)
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	servers, err := g.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(servers)) }()
	for _, w := range rows {
		r, err := b.measure(ctx, w.row, w.lanes(servers))
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// each is a lane on every server.
func each(make func(*client) request) func([]*server) []lane {
	return func(servers []*server) (lanes []lane) {
		for _, s := range servers {
			lanes = append(lanes, lane{name: s.name, process: s.process, do: make(s.client)})
		}
		return lanes
	}
}
