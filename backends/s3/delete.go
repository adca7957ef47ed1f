package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
)

// deleters is how many single deletions run at once where the provider has no
// DeleteObjects.
const deleters = 8

// Delete implements backends.Backend: one request for each backends.MaxDelete
// ids, or one for each id where the dialect has no DeleteObjects.
func (b *Backend) Delete(ctx context.Context, ids ...backends.BlobID) error {
	if err := b.delete(ctx, ids); err != nil {
		return fmt.Errorf("delete %d blobs: %w", len(ids), err)
	}
	return nil
}

func (b *Backend) delete(ctx context.Context, ids []backends.BlobID) error {
	if err := b.writable(ctx); err != nil {
		return err
	}
	keys := make([]string, 0, len(ids))
	for _, id := range ids {
		if !id.IsZero() {
			keys = append(keys, b.key(id))
		}
	}
	slices.Sort(keys) // some servers mind a repeated key
	keys = slices.Compact(keys)
	switch {
	case len(keys) == 1:
		return b.deleteOne(ctx, keys[0])
	case b.dialect.BulkDelete:
		return b.deleteBulk(ctx, keys)
	}
	return b.deleteEach(ctx, keys)
}

// deleteBulk sends DeleteObjects requests.
func (b *Backend) deleteBulk(ctx context.Context, keys []string) error {
	for batch := range slices.Chunk(keys, backends.MaxDelete) {
		rctx, x := observed(ctx)
		objects := func(yield func(minio.ObjectInfo) bool) {
			for _, key := range batch {
				if !yield(minio.ObjectInfo{Key: key}) {
					return
				}
			}
		}
		results, err := b.core.RemoveObjectsWithIter(rctx, b.opts.Bucket, objects, minio.RemoveObjectsOptions{})
		if err != nil {
			return b.failed(ctx, x, err)
		}
		for r := range results {
			if r.Err == nil {
				continue
			}
			if err := b.failed(ctx, x, r.Err); !errors.Is(err, backends.ErrNotFound) {
				return err
			}
		}
		if err := ended(ctx); err != nil {
			return err
		}
	}
	return nil
}

// deleteEach sends one request for each key, a few at a time, and stops at the
// first error.
func (b *Backend) deleteEach(ctx context.Context, keys []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan string)
	var wg sync.WaitGroup
	for range min(deleters, len(keys)) {
		wg.Go(func() {
			for key := range todo {
				if err := b.deleteOne(ctx, key); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, key := range keys {
		select {
		case todo <- key:
		case <-ctx.Done():
		}
	}
	close(todo)
	wg.Wait()
	return ended(ctx)
}

func (b *Backend) deleteOne(ctx context.Context, key string) error {
	rctx, x := observed(ctx)
	err := b.failed(ctx, x, b.core.RemoveObject(rctx, b.opts.Bucket, key, minio.RemoveObjectOptions{}))
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	return err
}
