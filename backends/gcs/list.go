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
	"github.com/sanctum-storage/gateway/outbound"
)

// pageSize is the number of objects per request, the most that GCS permits.
const pageSize = 1000

// object has the used fields of the API's description.
type object struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size,string"`
	Created time.Time `json:"timeCreated"`
}

// fields are the fields of object; the API then sends no others.
const fields = "name,size,timeCreated"

type page struct {
	Items []object `json:"items"`
	Next  string   `json:"nextPageToken"`
}

// Stat implements backends.Backend.
func (b *Backend) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if err := b.gate.Usable(ctx); err != nil {
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
	if err := answer(ctx, resp, &o); err != nil {
		return o, err
	}
	if o.Name != name || o.Size < 0 {
		return o, fmt.Errorf("%w: its answer describes another object", backends.ErrCorrupt)
	}
	return o, nil
}

// page lists some objects.
func (b *Backend) page(ctx context.Context, query url.Values) (p page, err error) {
	query.Set("fields", "items("+fields+"),nextPageToken")
	query.Set("prefix", b.opts.Prefix)
	resp, err := b.send(outbound.Page(ctx), call{method: http.MethodGet, url: b.objects() + "?" + query.Encode(), ok: []int{http.StatusOK}})
	if err != nil {
		return p, noSuchBucket(err)
	}
	return p, answer(ctx, resp, &p)
}

// List implements backends.Backend with pages of pageSize. GCS lists in the byte
// order of names, which is the order of ids.
func (b *Backend) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := b.list(ctx, after, yield); err != nil {
			yield(backends.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

// list yields blobs until there are no more or the caller stops.
func (b *Backend) list(ctx context.Context, after backends.BlobID, yield func(backends.Info, error) bool) error {
	query := url.Values{"maxResults": {strconv.Itoa(pageSize)}}
	start := ""
	if !after.IsZero() {
		start = b.name(after)
		query.Set("startOffset", start+"0") // inclusive, so just above after's own name and below any other id's
	}
	for progress, token := backends.NewProgress(after, start), ""; ; {
		if err := b.gate.Usable(ctx); err != nil {
			return err
		}
		if err := progress.Page(); err != nil {
			return err
		}
		p, err := b.page(ctx, query)
		if err != nil {
			return err
		}
		if more, err := b.take(ctx, p, progress, yield); err != nil || !more {
			return err
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

// take yields the blobs of a page. It returns false when the caller wants no more.
func (b *Backend) take(ctx context.Context, p page, progress *backends.Progress, yield func(backends.Info, error) bool) (bool, error) {
	for _, o := range p.Items {
		progress.Name(o.Name)
		text, below := strings.CutPrefix(o.Name, b.opts.Prefix)
		id, err := backends.ParseBlobID(text)
		if !below || err != nil || id.IsZero() {
			continue // not a blob
		}
		info := backends.Info{ID: id, Size: o.Size, Modified: o.Created}
		if err := progress.Blob(info); err != nil {
			return false, err
		}
		if !yield(info, nil) {
			return false, nil
		}
		if err := backends.Ended(ctx); err != nil {
			return false, err
		}
	}
	return true, nil
}
