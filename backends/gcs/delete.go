package gcs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/backends"
)

// DeleteStreams is the number of concurrent deletions of one Delete. The JSON API
// deletes one object per request, and its batches count each of their parts.
const DeleteStreams = 16

// Delete implements backends.Backend with one request for each id.
func (b *Backend) Delete(ctx context.Context, ids ...backends.BlobID) error {
	if err := b.gate.Writable(ctx); err != nil {
		return fmt.Errorf("delete blobs: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(DeleteStreams, len(ids)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ids)); i = next.Add(1) - 1 {
				if err := b.remove(ctx, b.name(ids[i]), url.Values{}); err != nil {
					stop(fmt.Errorf("delete blob %s: %w", ids[i], err)) // the first cause is kept
					return
				}
			}
		})
	}
	wg.Wait()
	return backends.Ended(ctx)
}

// remove deletes one object; a missing one is no error.
func (b *Backend) remove(ctx context.Context, name string, query url.Values) error {
	resp, err := b.send(ctx, call{method: http.MethodDelete, url: b.object(name, query), ok: []int{http.StatusOK, http.StatusNoContent}})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && len(text) > 0 && !json.Valid(text) {
		err = fmt.Errorf("%w: the answer to a deletion is not JSON", backends.ErrCorrupt)
	}
	return err
}

// probe is the text that Check writes and reads.
var probe = []byte("sanctum gateway: can this bucket be written and read?\n")

// Check implements backends.Backend with three requests for an object beside the
// blobs, which it removes. If the backend is read-only, it lists one object.
func (b *Backend) Check(ctx context.Context) error {
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("check bucket %s: %w", b.opts.Bucket, err)
	}
	return nil
}

func (b *Backend) check(ctx context.Context) error {
	if err := b.gate.Usable(ctx); err != nil {
		return err
	}
	if b.opts.ReadOnly {
		_, err := b.page(ctx, url.Values{"maxResults": {"1"}})
		return err
	}
	name := b.opts.Prefix + "check-" + backends.NewBlobID().String() // too long for a blob's name
	if err := b.insert(ctx, name, bytes.NewReader(probe), int64(len(probe))); err != nil {
		return err
	}
	err := b.readProbe(ctx, name)
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	return errors.Join(err, b.remove(undo, name, url.Values{}))
}

func (b *Backend) readProbe(ctx context.Context, name string) error {
	rc, err := b.fetch(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	defer rc.Close()
	got, err := io.ReadAll(io.LimitReader(rc, int64(len(probe))+1))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, probe) {
		return fmt.Errorf("%w: the probe did not read back as written", backends.ErrCorrupt)
	}
	return nil
}
