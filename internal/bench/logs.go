//go:build linux

package main

import (
	"context"
	"errors"
	"path/filepath"
)

const logsGroup = "logs"

// Lanes of the group: a gateway that logs a line for each request, and one that does not.
const (
	loggingLane = "a line a request"
	silentLane  = "no line a request"
)

// logsSplit makes turns so short that a neighbour on the machine seldom meets only one of a
// pair: lines cost a few hundredths, which is less than the speed varies from one second
// to the next.
const logsSplit = 4

// logs is what the request log costs the cheapest request.
func (b *bench) logs() group {
	s := stock{}
	head := s.head(smallClients)
	head.row.split = logsSplit
	return group{logsGroup, [2]string{loggingLane, silentLane}, []work{head}, func(ctx context.Context, dir string) ([]*server, error) {
		logging, err := b.startGateway(ctx, loggingLane, filepath.Join(dir, "logging"), "SANCTUM_LOG_LEVEL=info")
		if err != nil {
			return nil, err
		}
		silent, err := b.startGateway(ctx, silentLane, filepath.Join(dir, "silent"))
		if err != nil {
			return nil, errors.Join(err, logging.close())
		}
		return b.supply(ctx, []*server{logging, silent}, s, dir, small)
	}}
}

func (r *report) judgeLogs() {
	if row := r.row(logsGroup, headRow); row != nil {
		r.atLeast(headRow+" with a line in the log for each, of its speed without", row.lane(loggingLane).besides(row.lane(silentLane)), floorLogging)
	}
}
