package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// pageSize is how many keys an answer of ListObjectsV2 has at most.
	pageSize = 1000
	// maxEmptyPages is how many pages that lead to no higher name may follow one
	// another, and maxForeignPages how many without a blob. A server may leave out
	// what it has just deleted, and the bucket may hold other things, but not for
	// ever.
	maxEmptyPages   = 16
	maxForeignPages = 10_000
)

// List implements backends.Backend. It holds one page.
func (b *Backend) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := b.list(ctx, after, yield); err != nil {
			yield(backends.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

// listing is a listing under way.
type listing struct {
	b              *Backend
	last           backends.BlobID
	key            string // the highest one seen, a blob's or another
	empty, foreign int    // pages in a row
}

func (b *Backend) list(ctx context.Context, after backends.BlobID, yield func(backends.Info, error) bool) error {
	if err := b.usable(ctx); err != nil {
		return err
	}
	l := &listing{b: b, last: after}
	if !after.IsZero() {
		l.key = b.key(after)
	}
	start, token := l.key, ""
	for {
		p, err := b.page(ctx, start, token, pageSize)
		if err != nil {
			return err
		}
		if more, err := l.take(ctx, p, yield); err != nil || !more {
			return err
		}
		if !p.IsTruncated {
			return nil
		}
		if p.Next == "" || p.Next == token {
			return fmt.Errorf("%w: the listing does not go on after %d keys", backends.ErrCorrupt, len(p.Contents))
		}
		token = p.Next
	}
}

// take yields the blobs of a page. It is false when nobody wants more.
func (l *listing) take(ctx context.Context, p *page, yield func(backends.Info, error) bool) (bool, error) {
	l.empty, l.foreign = l.empty+1, l.foreign+1
	for _, o := range p.Contents {
		key := o.Key
		if p.EncodingType == "url" {
			var err error
			if key, err = url.QueryUnescape(key); err != nil {
				return false, fmt.Errorf("%w: a listed name cannot be read", backends.ErrCorrupt)
			}
		}
		if key > l.key {
			l.key, l.empty = key, 0
		}
		id, ours := l.b.blob(key)
		if !ours {
			continue
		}
		if id.Compare(l.last) <= 0 {
			return false, fmt.Errorf("%w: it does not list in the order of names", backends.ErrCorrupt)
		}
		if o.Size < 0 {
			return false, fmt.Errorf("%w: blob %s is listed with %d bytes", backends.ErrCorrupt, id, o.Size)
		}
		l.last, l.foreign = id, 0
		if !yield(backends.Info{ID: id, Size: o.Size, Modified: o.LastModified}, nil) {
			return false, nil
		}
		if err := ended(ctx); err != nil {
			return false, err
		}
	}
	if l.empty > maxEmptyPages || l.foreign > maxForeignPages {
		return false, fmt.Errorf("%w: the listing does not advance: %d pages lead to no higher name, %d hold no blob", backends.ErrCorrupt, l.empty, l.foreign)
	}
	return true, nil
}

// page is an answer of ListObjectsV2, as far as it is of use.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
type page struct {
	XMLName      xml.Name `xml:"ListBucketResult"`
	EncodingType string   `xml:"EncodingType"`
	IsTruncated  bool     `xml:"IsTruncated"`
	Next         string   `xml:"NextContinuationToken"`
	Contents     []struct {
		Key          string    `xml:"Key"`
		Size         int64     `xml:"Size"`
		LastModified time.Time `xml:"LastModified"`
	} `xml:"Contents"`
}

// page asks for keys below the prefix: those after start, or those that token
// leads to.
func (b *Backend) page(ctx context.Context, start, token string, most int) (*page, error) {
	query := url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "prefix": {b.opts.Prefix}, "delimiter": {""}, "max-keys": {strconv.Itoa(most)}}
	if start != "" {
		query.Set("start-after", start)
	}
	if token != "" {
		query.Set("continuation-token", token)
	}
	p := &page{}
	return p, b.ask(ctx, http.MethodGet, query, nil, p)
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
