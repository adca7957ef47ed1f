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

// pageSize is the most keys in a response of ListObjectsV2.
const pageSize = 1000

// List implements backends.Backend. It holds one page in memory.
func (b *Backend) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := b.list(ctx, after, yield); err != nil {
			yield(backends.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

func (b *Backend) list(ctx context.Context, after backends.BlobID, yield func(backends.Info, error) bool) error {
	if err := b.gate.Usable(ctx); err != nil {
		return err
	}
	start, token := "", ""
	if !after.IsZero() {
		start = b.key(after)
	}
	for progress := backends.NewProgress(after, start); ; {
		if err := progress.Page(); err != nil {
			return err
		}
		p, err := b.page(ctx, start, token, pageSize)
		if err != nil {
			return err
		}
		if more, err := b.take(ctx, p, progress, yield); err != nil || !more {
			return err
		}
		if !p.IsTruncated {
			return nil
		}
		if p.Next == "" || p.Next == token {
			return fmt.Errorf("%w: the listing has no valid continuation after %d keys", backends.ErrCorrupt, len(p.Contents))
		}
		token = p.Next
	}
}

// take yields the blobs of a page. It returns false when the caller wants no more.
func (b *Backend) take(ctx context.Context, p *page, progress *backends.Progress, yield func(backends.Info, error) bool) (bool, error) {
	for _, o := range p.Contents {
		key := o.Key
		if p.EncodingType == "url" {
			var err error
			if key, err = url.QueryUnescape(key); err != nil {
				return false, fmt.Errorf("%w: a listed name is not URL-encoded", backends.ErrCorrupt)
			}
		}
		progress.Name(key)
		id, ours := b.blob(key)
		if !ours {
			continue
		}
		info := backends.Info{ID: id, Size: o.Size, Modified: o.LastModified}
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

// page is the used part of a response of ListObjectsV2.
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

// page lists keys below the prefix: those after start, or those at the continuation
// token.
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

// key returns the name of a blob's object. Keys with one prefix sort as their ids
// do.
func (b *Backend) key(id backends.BlobID) string { return b.opts.Prefix + id.String() }

// blob is the inverse of key. It reports false for other names.
func (b *Backend) blob(key string) (backends.BlobID, bool) {
	text, ok := strings.CutPrefix(key, b.opts.Prefix)
	if !ok {
		return backends.BlobID{}, false
	}
	id, err := backends.ParseBlobID(text)
	return id, err == nil && !id.IsZero()
}
