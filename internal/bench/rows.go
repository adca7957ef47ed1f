//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// unit is how a row's speed is shown.
type unit string

const (
	perSecond    unit = "/s"
	megabytes    unit = "MB/s" // of 10^6 bytes
	milliseconds unit = "ms"   // of one request, the median
	mebibytes    unit = "MiB"
)

// work is a row and where it is done.
type work struct {
	row
	lanes func(list []*server) []lane
	pair  [2]string // the lanes that are compared, unless they are the group's
}

// beside adds a lane that is no server of the group.
func (w work) beside(l func() lane) work {
	lanes := w.lanes
	w.lanes = func(list []*server) []lane { return append(lanes(list), l()) }
	return w
}

// group is rows that share their servers.
type group struct {
	name string
	pair [2]string // the lanes that are compared
	rows []work
	// start starts the servers over new folders in dir.
	start func(ctx context.Context, dir string) ([]*server, error)
}

// Names of groups.
const (
	objectsGroup       = "objects"
	listsGroup         = "lists"
	postgresGroup      = "postgres"
	postgresListsGroup = "postgres-lists"
	s3Group            = "s3"
	s3TLSGroup         = "s3-tls"
)

var groupNames = []string{objectsGroup, listsGroup, postgresGroup, postgresListsGroup, s3Group, s3TLSGroup, lifecycleGroup, tenantsGroup, logsGroup, balancersGroup, frozenGroup, rotationGroup}

func (b *bench) groups() []group {
	return []group{b.objects(), b.lists(), b.postgres(), b.postgresLists(), b.s3(), b.s3TLS(), b.lifecycle(), b.tenants(), b.logs(), b.balancers(), b.frozen(), b.rotation()}
}

// measureGroup measures those rows of a group that are asked for, and starts no
// server when there are none. The data of the servers is gone when it returns.
func (b *bench) measureGroup(ctx context.Context, g group) (results []result, err error) {
	var rows []work
	for _, w := range g.rows {
		if b.only.MatchString(w.name) {
			rows = append(rows, w)
		}
	}
	if len(rows) == 0 || !slices.Contains(b.named, g.name) {
		return nil, nil
	}
	dir := filepath.Join(b.dir, g.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	list, err := g.start(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(list)) }()
	for _, w := range rows {
		r, err := b.measure(ctx, w.row, w.lanes(list))
		if err != nil {
			return nil, err
		}
		r.Group, r.Pair = g.name, g.pair
		if w.pair != [2]string{} {
			r.Pair = w.pair
		}
		results = append(results, r)
	}
	return results, nil
}

// each is a lane on every server.
func each(make func(*client) request) func([]*server) []lane {
	return func(list []*server) (lanes []lane) {
		for _, s := range list {
			lanes = append(lanes, lane{name: s.name, process: s.Process, do: make(s.client)})
		}
		return lanes
	}
}
