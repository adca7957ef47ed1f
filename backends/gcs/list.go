package gcs

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

// pageSize is how many objects one request lists, the most that GCS gives.
const pageSize = 1000

// object is what the API says of one, as far as it is of use.
type object struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size,string"`
	Created time.Time `json:"timeCreated"`
}

// fields of object; the API sends no others.
const fields = "name,size,timeCreated"

type page struct {
	Items []object `json:"items"`
	Next  string   `json:"nextPageToken"`
}

// Stat implements backends.Backend.
func (b *Backend) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if err := b.usable(ctx); err != nil {
		return backends.Info{}, fmt.Errorf("stat blob %s: %w", id, err)
	}
	o, err := b.describe(ctx, b.name(id))
	if err != nil {
		return backends.Info{}, fmt.Errorf("stat blob %s: %w", id, err)
	}
	return backends.Info{ID: id, Size: o.Size, Modified: o.Created}, nil
}

func (b *Backend) describe(ctx context.Context, name string) (o object, err error) {
	resp, err := b.send(ctx, call{method: http.MethodGet, url: b.object(name, url.Values{"fields": {fields}}), ok: []int{http.StatusOK}})
	if err != nil {
		return o, err
	}
	return o, answer(ctx, resp, &o)
}

// page lists some objects.
func (b *Backend) page(ctx context.Context, query url.Values) (p page, err error) {
	query.Set("fields", "items("+fields+"),nextPageToken")
	query.Set("prefix", b.opts.Prefix)
	resp, err := b.send(ctx, call{method: http.MethodGet, url: b.objects() + "?" + query.Encode(), ok: []int{http.StatusOK}})
	if err != nil {
		return p, noSuchBucket(err)
	}
	return p, answer(ctx, resp, &p)
}

// List implements backends.Backend with pages of pageSize; GCS lists in the
// order of names' bytes, which is that of ids.
func (b *Backend) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := b.list(ctx, after, yield); err != nil {
			yield(backends.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

// list yields blobs until there are no more or nobody wants them.
func (b *Backend) list(ctx context.Context, after backends.BlobID, yield func(backends.Info, error) bool) error {
	query := url.Values{"maxResults": {strconv.Itoa(pageSize)}}
	if !after.IsZero() {
		query.Set("startOffset", b.name(after)+"0") // inclusive: past after's own name, before any other id's
	}
	for last, token := after, ""; ; {
		if err := b.usable(ctx); err != nil {
			return err
		}
		p, err := b.page(ctx, query)
		if err != nil {
			return err
		}
		for _, o := range p.Items {
			id, err := backends.ParseBlobID(strings.TrimPrefix(o.Name, b.opts.Prefix))
			if err != nil || id.IsZero() {
				continue // not ours
			}
			if id.Compare(last) <= 0 {
				return fmt.Errorf("%w: the listing has %s after %s", backends.ErrCorrupt, id, last)
			}
			last = id
			if err := ended(ctx); err != nil {
				return err
			}
			if !yield(backends.Info{ID: id, Size: o.Size, Modified: o.Created}, nil) {
				return nil
			}
		}
		if p.Next == "" {
			return nil
		}
		if p.Next == token {
			return fmt.Errorf("%w: the listing does not advance", backends.ErrCorrupt)
		}
		token = p.Next
		query.Set("pageToken", token)
	}
}
