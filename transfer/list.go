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

// pageSize is the number of keys asked for at once, S3's own limit.
const pageSize = 1000

// errDisorder means that a listing does not ascend by the bytes of its keys, as
// S3 has it except for directory buckets. Two such listings cannot be joined.
var errDisorder = errors.New("the listing is not in the order of the keys' bytes")

// entry is one object of a listing.
type entry struct {
	key      string // as on its own side, with its prefix
	etag     string // without quotes
	size     int64
	modified time.Time
}

// place is a bucket, or what begins with prefix in it, on one side.
type place struct {
	*client
	bucket, prefix string
}

func (p place) call(method, key string) call {
	return call{method: method, bucket: p.bucket, key: key, query: url.Values{}, header: http.Header{}}
}

// page asks for one page of a listing, again if need be.
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

// decoder undoes encoding-type=url, where the server says that it applied it.
func decoder(encodingType string) func(string) (string, error) {
	if encodingType != "url" {
		return func(s string) (string, error) { return s, nil }
	}
	return url.QueryUnescape
}

// objects lists the place in the order of the keys' bytes, a page in memory. An
// error ends it. Each page is asked for by the last key, not by a token of the
// server's, which might not live as long as a page takes to be worked on.
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
				if e.key <= last { // an empty key, too: it would be the bucket
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
			return nil, false, fmt.Errorf("%s: the listing holds %q, which is not below the prefix", p.role, o.Key)
		}
		page = append(page, entry{key, strings.Trim(o.ETag, `"`), o.Size, o.LastModified})
	}
	return page, doc.IsTruncated, nil
}

// maxSameKey is how many pages of a listing may end at one key: so many thousand
// versions or uploads of one object.
const maxSameKey = 10_000

// advance watches where the pages of a listing end, which must lead on.
type advance struct {
	key, id string
	same    int // pages in a row that ended at key
}

// to reports whether a page that ends at key and id, of a version or an upload,
// comes after the one before.
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
		var prior line // where the page before ended
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
			// Some servers begin a page with what ended the one before.
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
				yield(version{}, fmt.Errorf("%s: the listing of versions does not go on after %q", p.role, doc.NextKey))
				return
			}
			q.Set("key-marker", next)
			if q.Del("version-id-marker"); doc.NextVersion != "" {
				q.Set("version-id-marker", doc.NextVersion)
			}
		}
	}
}

// uploads counts the multipart uploads that were begun and not ended.
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
			return 0, fmt.Errorf("%s: the listing of uploads does not go on after %q", p.role, doc.NextKey)
		}
		q.Set("key-marker", next)
		q.Set("upload-id-marker", doc.NextUpload)
	}
}
