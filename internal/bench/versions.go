//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"net/url"
	"sync"
	"time"
)

// Listings of versions are compared with listings of objects on the same gateway.
// Both lanes of a row return as many rows, so that times compare per row.

// The two sides of the comparison.
const (
	ofVersions = "ListObjectVersions"
	ofObjects  = "ListObjectsV2 with owners"
)

var versionsPair = [2]string{ofVersions, ofObjects}

// versionsTurn is enough for dozens of pages.
const versionsTurn = 400 * time.Millisecond

// versionsEach is how many versions the keys of a bucket have.
const versionsEach = 10

// Buckets that keep versions: with one of each key, and with versionsEach.
const (
	keptBucket     = "kept"
	manyfoldBucket = "manyfold"
)

// versionsRow is one row of a store.
type versionsRow struct {
	name            string
	versions, plain string // buckets that are listed
	delimiter       bool
}

// name of the row of a store.
func (v versionsRow) on(store string) string { return v.name + ", " + store }

var versionsRows = []versionsRow{
	{"page of 1000 of 100,000 keys, never versioned", someBucket, someBucket, false},
	{"page of 1000 of 100,000 keys with a version each", keptBucket, keptBucket, false},
	{"page of 1000 of 10,000 keys with 10 versions each, beside 100,000 keys", manyfoldBucket, keptBucket, false},
	{"page by delimiter, never versioned", someBucket, someBucket, true},
	{"page by delimiter, a version each", keptBucket, keptBucket, true},
	{"page by delimiter, 10 versions each", manyfoldBucket, manyfoldBucket, true},
}

// versionsWork is listings of versions by every server of a group of stores.
func versionsWork() (rows []work) {
	for place, store := range storePair {
		for _, v := range versionsRows {
			r := row{name: v.on(store), unit: milliseconds, clients: 1, turn: versionsTurn}
			rows = append(rows, work{row: r, pair: versionsPair, lanes: func(list []*server) []lane {
				s := list[place]
				return []lane{
					{name: ofVersions, process: s.Process, do: v.request(s.client, "/"+v.versions+"?versions", versionMarkers)},
					{name: ofObjects, process: s.Process, do: v.request(s.client, "/"+v.plain+"?list-type=2&fetch-owner=true", continuation)},
				}
			}})
		}
	}
	return rows
}

// request is of the listing at base, page by page.
func (v versionsRow) request(c *client, base string, next func(doc []byte) string) request {
	if v.delimiter {
		return func(ctx context.Context, _ int64) error { return c.listPrefixes(ctx, base) }
	}
	return (&pages{c: c, base: fmt.Sprintf("%s&max-keys=%d", base, pageSize), next: next}).ask
}

// pages asks for a bucket's pages in turn, over and over, and counts their rows.
type pages struct {
	c    *client
	base string
	// next is the parameters that ask for the page after a document; empty: it was
	// the last.
	next func(doc []byte) string

	mu   sync.Mutex
	more string
	rows int // since the first page
}

func (p *pages) ask(ctx context.Context, _ int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc, err := p.c.list(ctx, p.base+p.more)
	if err != nil {
		return err
	}
	p.rows += bytes.Count(doc, []byte("<Key>"))
	if p.more = p.next(doc); p.more != "" {
		return nil
	}
	if p.rows != someKeys {
		return fmt.Errorf("the listing %s has %d rows instead of %d", p.base, p.rows, someKeys)
	}
	p.rows = 0
	return nil
}

func continuation(doc []byte) string {
	token := element(doc, "NextContinuationToken")
	if token == "" {
		return ""
	}
	return "&continuation-token=" + url.QueryEscape(token)
}

func versionMarkers(doc []byte) string {
	key, version := element(doc, "NextKeyMarker"), element(doc, "NextVersionIdMarker")
	if key == "" {
		return ""
	}
	return "&key-marker=" + url.QueryEscape(key) + "&version-id-marker=" + url.QueryEscape(version)
}

// element is the text of the first element of that name; empty: there is none.
func element(doc []byte, name string) string {
	_, rest, _ := bytes.Cut(doc, []byte("<"+name+">"))
	text, _, _ := bytes.Cut(rest, []byte("<"))
	return html.UnescapeString(string(text))
}
