package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// compare tells how the target's object differs from the source's; empty: as
// far as the options demand, it does not.
func (c *Copier) compare(ctx context.Context, t *task) (why string, err error) {
	if t.size != t.at.size {
		return fmt.Sprintf("the target has %d bytes, the source %d", t.at.size, t.size), nil
	}
	// known: an earlier run with this journal has proven the copy of these two
	// states. read: it has read the copy back.
	known, read := c.journal.knows(t)
	if read || (known || t.etag == t.at.etag) && c.Verify != VerifyRead {
		return "", nil
	}
	if !known && t.etag != t.at.etag {
		if telling, err := c.etagsTell(ctx, t); err != nil || telling {
			return "the target has other bytes: their MD5 differs", err
		}
	}
	err = c.from.again(ctx, func() error {
		why, err = c.compareBytes(ctx, t)
		return err
	})
	if err == nil && why == "" {
		err = c.journal.proven(t, t.at.etag, true)
	}
	return why, err
}

// etagsTell reports whether two different entity tags prove different bytes.
// Both must be MD5s.
func (c *Copier) etagsTell(ctx context.Context, t *task) (bool, error) {
	if !md5ETag.MatchString(t.etag) || !md5ETag.MatchString(t.at.etag) || c.from.OpaqueETags || c.to.OpaqueETags {
		return false, nil
	}
	s, err := c.from.head(ctx, t.key, t.etag, 0)
	if err != nil {
		return false, err
	}
	d, err := c.to.head(ctx, c.name(t.key), t.at.etag, 0)
	if err != nil {
		return false, err
	}
	return !s.foreignKey && !d.foreignKey, nil
}

// compareBytes reads the objects of both sides.
func (c *Copier) compareBytes(ctx context.Context, t *task) (why string, err error) {
	ctx, w, stop := c.watched(ctx)
	defer stop()
	defer func() { err = cause(ctx, err) }()
	var sums [2][]byte
	var sides [2]*object
	for i, from := range []struct {
		place
		key, etag string
	}{{c.from, t.key, t.etag}, {c.to, c.name(t.key), t.at.etag}} {
		o, err := from.get(ctx, from.key, from.etag, piece{})
		if err != nil {
			return "", err
		}
		h, n := sha256.New(), int64(0)
		if o.size == t.size { // a body of another length may be endless
			n, err = io.Copy(io.MultiWriter(h, w), o.body)
		}
		o.body.Close()
		if err == nil && n != t.size {
			err = fmt.Errorf("%d bytes were received of %d: %w", o.size, t.size, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return "", fmt.Errorf("%s: reading for comparison: %w", from.role, err)
		}
		sums[i], sides[i] = h.Sum(nil), o
	}
	if !bytes.Equal(sums[0], sums[1]) {
		return "the target has other bytes: their SHA-256 differs", nil
	}
	return unlike(sides[0].attributes, sides[1].attributes), nil
}

// unlike names the attributes that differ; empty: none.
func unlike(source, target http.Header) string {
	if names := differing(source, target); len(names) > 0 {
		return "the target has another " + strings.Join(names, ", ")
	}
	return ""
}

// readBack reads the written object and compares it with the bytes that were
// sent.
func (c *Copier) readBack(ctx context.Context, t *task, got *copied) error {
	return eachOf(ctx, len(got.pieces), func(ctx context.Context, i int) error {
		return c.to.again(ctx, func() error { return c.readPiece(ctx, t, got, i) })
	})
}

// readPiece reads one range back.
func (c *Copier) readPiece(ctx context.Context, t *task, got *copied, i int) (err error) {
	ctx, w, stop := c.watched(ctx)
	defer stop()
	defer func() { err = cause(ctx, err) }()
	p := got.pieces[i]
	o, err := c.to.get(ctx, c.name(t.key), got.etag, piece{ranged: len(got.pieces) > 1, off: p.off, n: p.n})
	if err != nil {
		return err
	}
	defer o.body.Close()
	// The attributes are those of the whole object, so that one piece tells.
	if why := unlike(got.source.attributes, o.attributes); why != "" && i == 0 {
		return final{fmt.Errorf("written, but %s", why)}
	}
	d, n := newDigests("", p.sha != nil), int64(-1)
	if o.size == p.n { // a body of another length may be endless
		n, err = io.Copy(io.MultiWriter(d, w), o.body)
	}
	switch {
	case err != nil:
		return fmt.Errorf("target: read back: %w", err)
	case n != p.n || d.etag() != p.etag() || d.sha != nil && !bytes.Equal(d.sha.Sum(nil), p.sha.Sum(nil)):
		return final{fmt.Errorf("written, but the %d bytes at %d differ when read back", p.n, p.off)}
	}
	return nil
}

// eachOf calls f for 0 to n-1, PartsAtOnce at a time, until one call fails.
func eachOf(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, PartsAtOnce) {
		workers.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	// The cause is the first error of a call, or that of the caller's context.
	return context.Cause(ctx)
}
