package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
)

// pageSize is how many keys an answer of ListObjectsV2 has at most.
const pageSize = 1000

// List implements backends.Backend. It holds one page.
func (b *Backend) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := b.list(ctx, after, yield); err != nil {
			yield(backends.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

func (b *Backend) list(ctx context.Context, after backends.BlobID, yield func(backends.Info, error) bool) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	last := after
	for object, err := range b.objects(ctx, after, pageSize) {
		if err != nil {
			return err
		}
		id, ours := b.blob(object.Key)
		if !ours {
			continue
		}
		if id.Compare(last) <= 0 {
			return errors.New("the backend does not list in the order of names")
		}
		last = id
		if !yield(backends.Info{ID: id, Size: object.Size, Modified: object.LastModified}, nil) {
			return nil
		}
		if err := ended(ctx); err != nil {
			return err
		}
	}
	return nil
}

// objects lists all objects below the prefix. An error ends it.
func (b *Backend) objects(ctx context.Context, after backends.BlobID, page int) iter.Seq2[minio.ObjectInfo, error] {
	return func(yield func(minio.ObjectInfo, error) bool) {
		owner := false
		opts := minio.ListObjectsOptions{Prefix: b.opts.Prefix, Recursive: true, MaxKeys: page, FetchOwner: &owner}
		if !after.IsZero() {
			opts.StartAfter = b.key(after)
		}
		rctx, x := observed(ctx)
		for object := range b.core.ListObjectsIter(rctx, b.opts.Bucket, opts) {
			if object.Err != nil {
				yield(minio.ObjectInfo{}, b.failed(ctx, x, object.Err))
				return
			}
			if !yield(object, nil) {
				return
			}
		}
		if err := ended(ctx); err != nil { // minio-go just stops
			yield(minio.ObjectInfo{}, err)
		}
	}
}

// key is the name of a blob's object. Ids sort as their texts do, and so do
// keys with one prefix.
func (b *Backend) key(id backends.BlobID) string { return b.opts.Prefix + id.String() }

// blob is the inverse of key, for names that may be anything.
func (b *Backend) blob(key string) (backends.BlobID, bool) {
	text, ok := strings.CutPrefix(key, b.opts.Prefix)
	if !ok {
		return backends.BlobID{}, false
	}
	id, err := backends.ParseBlobID(text)
	return id, err == nil && !id.IsZero()
}
