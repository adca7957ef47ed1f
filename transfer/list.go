package transfer

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/outbound"
)

// pageSize is the number of keys in a page, which is the limit of S3.
const pageSize = 1000

// errDisorder means that a listing is not ordered by the bytes of its keys. S3
// orders all but those of directory buckets. Listings in another order cannot
// be joined.
var errDisorder = errors.New("the listing is not in the order of the keys' bytes")

// entry is one object of a listing.
type entry struct {
	key      string // on its own side, with its prefix
	etag     string // without quotes
	size     int64
	modified time.Time
}

// place is a bucket on one side, or the keys with prefix in it.
type place struct {
	*client
	bucket, prefix string
}

// call returns a request for a key of the bucket, or for the bucket if key is
// empty.
func (p place) call(method, key string) call {
	return call{method: method, bucket: p.bucket, key: key, query: url.Values{}, header: http.Header{}}
}

// page asks for one page of a listing, with retries.
func (p place) page(ctx context.Context, query url.Values, into any) error {
	in := p.call(http.MethodGet, "")
	in.query = query
	in.query.Set("prefix", p.prefix)
	in.query.Set("encoding-type", "url")
	return p.again(ctx, func() error {
		text, _, err := p.document(outbound.Page(ctx), in)
		if err != nil {
			return err
		}
		if err := xml.Unmarshal(text, into); err != nil {
			return final{fmt.Errorf("%s: the listing cannot be read: %w", p.role, err)}
		}
		return nil
	})
}

// decoder undoes encoding-type=url if the server says that it applied it.
func decoder(encodingType string) func(string) (string, error) {
	if encodingType != "url" {
		return func(s string) (string, error) { return s, nil }
	}
	return url.QueryUnescape
}

// objects lists the place in the order of the keys' bytes, with one page in
// memory. An error ends the listing. Each page is requested by the last key and
// not by the server's token, which may expire while the page is worked on.
func (p place) objects(ctx context.Context) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		last, more := "", true
		for more {
			page, truncated, err := p.objectPage(ctx, last)
			if err != nil {
				yield(entry{}, err)
				return
			}
			more = truncated
			for _, e := range page {
				if e.key <= last { // This covers the empty key, which would be the bucket.
					yield(entry{}, fmt.Errorf("%s: %w: %q comes after %q", p.role, errDisorder, e.key, last))
					return
				}
				last = e.key
				if !yield(e, nil) {
					return
				}
			}
			if more && len(page) == 0 {
				yield(entry{}, fmt.Errorf("%s: an empty page that is not the last", p.role))
				return
			}
		}
	}
}

// objectPage reads the page after a key.
func (p place) objectPage(ctx context.Context, after string) (page []entry, more bool, err error) {
	var doc struct {
		XMLName      xml.Name `xml:"ListBucketResult"`
		EncodingType string   `xml:"EncodingType"`
		IsTruncated  bool     `xml:"IsTruncated"`
		Contents     []struct {
			Key          string    `xml:"Key"`
			ETag         string    `xml:"ETag"`
			Size         int64     `xml:"Size"`
			LastModified time.Time `xml:"LastModified"`
		} `xml:"Contents"`
	}
	q := url.Values{"list-type": {"2"}, "max-keys": {strconv.Itoa(pageSize)}}
	if after != "" {
		q.Set("start-after", after)
	}
	if err := p.page(ctx, q, &doc); err != nil {
		return nil, false, err
	}
	decode := decoder(doc.EncodingType)
	for _, o := range doc.Contents {
		key, err := decode(o.Key)
		if err != nil || !strings.HasPrefix(key, p.prefix) {
			return nil, false, fmt.Errorf("%s: the listing contains %q, which is outside the prefix", p.role, o.Key)
		}
		page = append(page, entry{key, strings.Trim(o.ETag, `"`), o.Size, o.LastModified})
	}
	return page, doc.IsTruncated, nil
}

// maxSameKey bounds the pages of a listing that end at the same key, each with
// a thousand versions or uploads.
const maxSameKey = 10_000

// advance checks that the ends of a listing's pages advance, so that a faulty
// server cannot keep the copier in a loop.
type advance struct {
	key, id string
	same    int // pages in a row that ended at key
}

// to reports whether a page that ends at key and id, of a version or an upload,
// comes after the page before.
func (a *advance) to(key, id string) bool {
	switch {
	case key < a.key || key == a.key && id == a.id:
		return false
	case key == a.key:
		a.same++
	default:
		a.same = 0
	}
	a.key, a.id = key, id
	return a.same < maxSameKey
}

// version is one line of a listing of versions.
type version struct {
	size           int64
	latest, marker bool
}

// versions lists every version and delete marker of the place.
func (p place) versions(ctx context.Context) iter.Seq2[version, error] {
	type line struct {
		Key      string `xml:"Key"`
		ID       string `xml:"VersionId"`
		Size     int64  `xml:"Size"`
		IsLatest bool   `xml:"IsLatest"`
	}
	return func(yield func(version, error) bool) {
		var prior line // the end of the page before
		var on advance
		q := url.Values{"versions": {""}, "max-keys": {strconv.Itoa(pageSize)}}
		for {
			var doc struct {
				XMLName      xml.Name `xml:"ListVersionsResult"`
				EncodingType string   `xml:"EncodingType"`
				IsTruncated  bool     `xml:"IsTruncated"`
				NextKey      string   `xml:"NextKeyMarker"`
				NextVersion  string   `xml:"NextVersionIdMarker"`
				Versions     []line   `xml:"Version"`
				Markers      []line   `xml:"DeleteMarker"`
			}
			if err := p.page(ctx, q, &doc); err != nil {
				yield(version{}, err)
				return
			}
			// Some servers repeat the last line of a page at the beginning of
			// the next.
			again := func(l line) bool {
				return prior != line{} && l.Key == prior.Key && (prior.ID == "" || l.ID == prior.ID)
			}
			for _, v := range doc.Versions {
				if !again(v) && !yield(version{size: v.Size, latest: v.IsLatest}, nil) {
					return
				}
			}
			for _, v := range doc.Markers {
				if !again(v) && !yield(version{latest: v.IsLatest, marker: true}, nil) {
					return
				}
			}
			prior = line{Key: doc.NextKey, ID: doc.NextVersion}
			if !doc.IsTruncated {
				return
			}
			next, err := decoder(doc.EncodingType)(doc.NextKey)
			if err != nil || next == "" || !on.to(next, doc.NextVersion) {
				yield(version{}, fmt.Errorf("%s: the listing of versions does not advance after %q", p.role, doc.NextKey))
				return
			}
			q.Set("key-marker", next)
			if q.Del("version-id-marker"); doc.NextVersion != "" {
				q.Set("version-id-marker", doc.NextVersion)
			}
		}
	}
}

// uploads counts the open multipart uploads.
func (p place) uploads(ctx context.Context) (n int64, err error) {
	var on advance
	q := url.Values{"uploads": {""}, "max-uploads": {strconv.Itoa(pageSize)}}
	for {
		var doc struct {
			XMLName      xml.Name `xml:"ListMultipartUploadsResult"`
			EncodingType string   `xml:"EncodingType"`
			IsTruncated  bool     `xml:"IsTruncated"`
			NextKey      string   `xml:"NextKeyMarker"`
			NextUpload   string   `xml:"NextUploadIdMarker"`
			Uploads      []struct {
				UploadID string `xml:"UploadId"`
			} `xml:"Upload"`
		}
		if err := p.page(ctx, q, &doc); err != nil {
			return 0, err
		}
		n += int64(len(doc.Uploads))
		if !doc.IsTruncated {
			return n, nil
		}
		next, err := decoder(doc.EncodingType)(doc.NextKey)
		if err != nil || next == "" || !on.to(next, doc.NextUpload) {
			return 0, fmt.Errorf("%s: the listing of uploads does not advance after %q", p.role, doc.NextKey)
		}
		q.Set("key-marker", next)
		q.Set("upload-id-marker", doc.NextUpload)
	}
}
