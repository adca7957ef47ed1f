package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/backends"
)

// deleters is the number of concurrent single deletions for providers without
// DeleteObjects.
const deleters = 8

// Delete implements backends.Backend: one request for each backends.MaxDelete ids,
// or one for each id where the dialect has no DeleteObjects.
func (b *Backend) Delete(ctx context.Context, ids ...backends.BlobID) error {
	if err := b.delete(ctx, ids); err != nil {
		return fmt.Errorf("delete %d blobs: %w", len(ids), err)
	}
	return nil
}

func (b *Backend) delete(ctx context.Context, ids []backends.BlobID) error {
	if err := b.gate.Writable(ctx); err != nil {
		return err
	}
	keys := make([]string, 0, len(ids))
	for _, id := range ids {
		if !id.IsZero() {
			keys = append(keys, b.key(id))
		}
	}
	slices.Sort(keys) // some servers refuse a repeated key
	keys = slices.Compact(keys)
	switch {
	case len(keys) == 1:
		return b.deleteOne(ctx, keys[0])
	case b.dialect.BulkDelete:
		return b.deleteBulk(ctx, keys)
	}
	return b.deleteEach(ctx, keys)
}

// deletion and deleted are the request and response of DeleteObjects.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
type deletion struct {
	XMLName xml.Name    `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Delete"`
	Objects []objectKey `xml:"Object"`
}

type objectKey struct {
	Key string `xml:"Key"`
}

type deleted struct {
	XMLName xml.Name    `xml:"DeleteResult"`
	Deleted []objectKey `xml:"Deleted"`
	Errors  []struct {
		Key  string `xml:"Key"`
		Code string `xml:"Code"`
	} `xml:"Error"`
}

// deleteBulk sends DeleteObjects requests. It deletes keys that a response does not
// mention one by one.
func (b *Backend) deleteBulk(ctx context.Context, keys []string) error {
	for batch := range slices.Chunk(keys, backends.MaxDelete) {
		unnamed, err := b.deleteBatch(ctx, batch)
		if err == nil {
			err = b.deleteEach(ctx, unnamed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteBatch sends one request. It returns the keys that the response does not
// mention.
func (b *Backend) deleteBatch(ctx context.Context, keys []string) (unnamed []string, err error) {
	question := deletion{}
	asked := make(map[string]bool, len(keys))
	for _, key := range keys {
		question.Objects = append(question.Objects, objectKey{key})
		asked[key] = true
	}
	text, err := xml.Marshal(question)
	if err != nil {
		return nil, err
	}
	var answer deleted
	if err := b.ask(ctx, http.MethodPost, url.Values{"delete": {""}}, text, &answer); err != nil {
		return nil, err
	}
	for _, d := range answer.Deleted {
		delete(asked, d.Key)
	}
	for _, e := range answer.Errors {
		err := b.failed(ctx, &exchange{status: http.StatusOK}, minio.ErrorResponse{Code: e.Code})
		if errors.Is(err, backends.ErrNotFound) {
			delete(asked, e.Key)
		} else {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !asked[key] }), nil
}

// deleteEach sends one request for each key, several at a time, and stops at the
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
	return backends.Ended(ctx)
}

func (b *Backend) deleteOne(ctx context.Context, key string) error {
	rctx, x := observed(ctx)
	err := b.failed(ctx, x, b.core.RemoveObject(rctx, b.opts.Bucket, key, minio.RemoveObjectOptions{}))
	switch {
	case errors.Is(err, backends.ErrNotFound):
		return nil
	case err == nil && x.status != http.StatusNoContent: // minio-go accepts a page of another server as success
		return fmt.Errorf("%w: HTTP %d is no answer to a deletion", backends.ErrCorrupt, x.status)
	}
	return err
}
