//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// Names of rows that others refer to, and of the lanes of the last one.
const (
	listWholeRow     = "LIST 100,000 keys, in pages of 1000"
	listDelimiterRow = "LIST 100,000 keys by delimiter, 100 prefixes"
	pageRow          = "LIST by delimiter, 100 prefixes, by number of keys"
	fewLane          = "page by delimiter over few keys"
	manyLane         = "page by delimiter over many keys"
)

// Buckets by how many keys they hold.
const (
	fewBucket  = "few"
	someBucket = "some"
	manyBucket = "many"
)

const (
	pageSize = 1000
	// listRounds bounds the row that takes seconds a request.
	listRounds = 2
	// listTurn is enough for one listing by delimiter many times over.
	listTurn = 500 * time.Millisecond
)

// lists is listings of buckets that were filled beforehand.
func (b *bench) lists() group {
	rows := append(listRows(), work{row: row{name: pageRow, unit: milliseconds, clients: 1}, lanes: pageLanes})
	return group{listsGroup, [2]string{ours, rival}, rows, b.startLists}
}

// listRows is listings of the bucket that every server of a group has.
func listRows() []work {
	return []work{
		{row: row{name: listWholeRow, unit: milliseconds, clients: 1, rounds: listRounds, turn: listTurn}, lanes: each(func(c *client) request {
			return func(ctx context.Context, _ int64) error { return c.listWhole(ctx, someBucket, someKeys) }
		})},
		{row: row{name: listDelimiterRow, unit: milliseconds, clients: 1, turn: listTurn}, lanes: each(func(c *client) request {
			return func(ctx context.Context, _ int64) error { return c.listPrefixes(ctx, "/"+someBucket+"?list-type=2") }
		})},
	}
}

// pageLanes compare the gateway with itself.
func pageLanes(list []*server) (lanes []lane) {
	for _, l := range []struct{ name, bucket string }{{manyLane, manyBucket}, {fewLane, fewBucket}} {
		s := list[0]
		lanes = append(lanes, lane{name: l.name, process: s.Process, do: func(ctx context.Context, _ int64) error {
			return s.listPrefixes(ctx, "/"+l.bucket+"?list-type=2")
		}})
	}
	return lanes
}

// startLists starts both servers over buckets that are full.
func (b *bench) startLists(ctx context.Context, dir string) ([]*server, error) {
	return b.startPair(ctx, dir, func(gateway, folder string) error {
		progress("loading %d keys into %s", fewKeys+someKeys+b.keys, ours)
		if err := loadThree(ctx, gateway, b.keys); err != nil {
			return fmt.Errorf("load %s: %w", ours, err)
		}
		progress("loading %d keys into %s", someKeys, rival)
		if err := loadFolder(ctx, filepath.Join(folder, someBucket), someKeys); err != nil {
			return fmt.Errorf("load %s: %w", rival, err)
		}
		return b.flush()
	})
}

// listWhole reads a bucket page by page and counts its keys.
func (c *client) listWhole(ctx context.Context, bucket string, want int) error {
	base := fmt.Sprintf("/%s?list-type=2&max-keys=%d", bucket, pageSize)
	target, got := base, 0
	for range want/pageSize + 1 {
		doc, err := c.list(ctx, target)
		if err != nil {
			return err
		}
		got += bytes.Count(doc, []byte("<Key>"))
		next := continuation(doc)
		if next == "" {
			break
		}
		target = base + next
	}
	if got != want {
		return fmt.Errorf("the listing of %s has %d keys instead of %d", bucket, got, want)
	}
	return nil
}

// listPrefixes asks for one page of a listing by delimiter and counts its common
// prefixes.
func (c *client) listPrefixes(ctx context.Context, listing string) error {
	doc, err := c.list(ctx, listing+"&delimiter=%2F")
	if err != nil {
		return err
	}
	if got := bytes.Count(doc, []byte("<CommonPrefixes>")); got != prefixes {
		return fmt.Errorf("the listing %s has %d common prefixes instead of %d", listing, got, prefixes)
	}
	return nil
}
