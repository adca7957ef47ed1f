//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const frozenGroup = "frozen"

// Lanes of the group: what becomes of the requests that others send to another backend.
const (
	besideFrozen    = "beside requests to a backend that is frozen"
	besideAnswering = "beside requests to a backend that answers"
)

const frozenRow = "GET 4 KiB, beside 500 a second to another backend"

// Buckets by where their bytes are: in the folder, and at the S3 server.
const (
	nearBucket = "near"
	farBucket  = "far"
)

// frozen is what a backend that says nothing any more costs the objects that are on
// another.
func (b *bench) frozen() group {
	p := &payload{}
	get := func(s *server) request {
		return func(ctx context.Context, _ int64) error { return s.get(ctx, anyObject(nearBucket), 0, small, true) }
	}
	far := func(s *server) request {
		return func(ctx context.Context, _ int64) error { return s.ask(ctx, anyObject(farBucket)) }
	}
	row := row{name: frozenRow, unit: milliseconds, clients: 1, size: small}
	lanes := func(list []*server) (lanes []lane) {
		for _, s := range list {
			lanes = append(lanes, lane{name: s.name, process: s.Process, do: get(s), beside: busy(far(s))})
		}
		return lanes
	}
	return group{frozenGroup, [2]string{besideFrozen, besideAnswering}, []work{{row: row, lanes: lanes}}, func(ctx context.Context, dir string) ([]*server, error) {
		made, err := newPayload(dir, "payload", small)
		if err != nil {
			return nil, err
		}
		*p = *made
		var list []*server
		for _, name := range []string{besideFrozen, besideAnswering} {
			s, err := b.startNearAndFar(ctx, name, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")), p, name == besideFrozen)
			if err != nil {
				return nil, errors.Join(err, closeAll(list))
			}
			list = append(list, s)
		}
		return list, nil
	}}
}

// startNearAndFar starts a gateway with objects on two backends: in a folder, and at an
// S3 server, which is frozen if freeze says so.
func (b *bench) startNearAndFar(ctx context.Context, name, dir string, p *payload, freeze bool) (s *server, err error) {
	folder := filepath.Join(dir, rival)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	below, err := startRival(ctx, name+", the backend", folder)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, below.close())
		}
	}()
	if err := below.createBucket(ctx, blobBucket); err != nil {
		return nil, err
	}
	const near, far = "SANCTUM_BACKENDS_NEAR_", "SANCTUM_BACKENDS_FAR_"
	s, err = b.startGateway(ctx, name, filepath.Join(dir, ours), "SANCTUM_PLACEMENT_DEFAULT=near", near+"TYPE=fs", near+"PATH="+filepath.Join(dir, "near"),
		far+"TYPE=s3", far+"ENDPOINT="+below.base, far+"BUCKET="+blobBucket, far+"ACCESS_KEY="+below.access, far+"SECRET_KEY="+below.secret)
	if err != nil {
		return nil, err
	}
	s.below = func() error { return errors.Join(below.Signal(syscall.SIGCONT), below.close()) }
	err = errors.Join(s.createBucket(ctx, nearBucket), s.createBucketAt(ctx, farBucket, "far"))
	for n := range tenantObjects {
		for _, bucket := range []string{nearBucket, farBucket} {
			if err == nil {
				err = s.put(ctx, fmt.Sprintf("/%s/%d", bucket, n), p, p.hash)
			}
		}
	}
	if err == nil && freeze {
		err = below.Signal(syscall.SIGSTOP)
	}
	if err != nil {
		s.below = nil
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// createBucketAt makes a bucket whose bytes are at the backend.
func (c *client) createBucketAt(ctx context.Context, name, backend string) error {
	doc := "<CreateBucketConfiguration><LocationConstraint>" + backend + "</LocationConstraint></CreateBucketConfiguration>"
	res, err := c.send(ctx, http.MethodPut, "/"+name, strings.NewReader(doc), int64(len(doc)), unsigned)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// ask gets an object whose backend may be away.
func (c *client) ask(ctx context.Context, path string) error {
	res, err := c.answer(ctx, http.MethodGet, path, nil, 0, unsigned)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusServiceUnavailable && res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return nil
}

func (r *report) judgeFrozen() {
	if row := r.row(frozenGroup, frozenRow); row != nil {
		r.atMost(frozenRow+" that is frozen, of its time beside one that answers", row.lane(besideFrozen).Latency/row.lane(besideAnswering).Latency, floorFrozen)
	}
}
