package transfer

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	metadataPrefix = "x-amz-meta-"
	// maxETag bounds an entity tag, in bytes. The tags of parts are kept until
	// an upload ends, and lines of the journal have two.
	maxETag = 1 << 10
	// The content types of objects that were written without one.
	awsDefaultType  = "binary/octet-stream"
	httpDefaultType = "application/octet-stream"
)

// carried are the headers that are copied with an object, besides user
// metadata.
var carried = []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition",
	"Cache-Control", "Expires", "X-Amz-Website-Redirect-Location"}

// object is the description of an object in the answer to HEAD or GET.
type object struct {
	etag       string // without quotes
	size       int64  // of the body that follows; of the whole object without part or range
	parts      int    // x-amz-mp-parts-count; 0: unknown
	offset     int64  // of the body in the object, from Content-Range; -1: unknown
	attributes http.Header
	checksum   checksum
	foreignKey bool // see foreignKey
	tags       bool
	class      string
	body       io.ReadCloser // of a GET; the caller closes it
}

// describe reads the description from an answer. It refuses answers without a
// length or an entity tag, which cannot be proven.
func (p place) describe(resp *http.Response) (*object, error) {
	o := &object{
		etag:       strings.Trim(resp.Header.Get("ETag"), `"`),
		size:       resp.ContentLength,
		offset:     -1,
		attributes: attributes(resp.Header),
		checksum:   shownChecksum(resp.Header),
		foreignKey: foreignKey(resp.Header),
		class:      resp.Header.Get("X-Amz-Storage-Class"),
		body:       resp.Body,
	}
	if o.size < 0 || o.etag == "" {
		return nil, fmt.Errorf("%s: the answer has no Content-Length or no ETag", p.role)
	}
	if len(o.etag) > maxETag {
		return nil, final{fmt.Errorf("%s: the answer has an ETag of %d bytes", p.role, len(o.etag))}
	}
	n, err := strconv.Atoi(resp.Header.Get("X-Amz-Tagging-Count"))
	o.tags = err == nil && n > 0
	if n, err := strconv.Atoi(resp.Header.Get("X-Amz-Mp-Parts-Count")); err == nil {
		o.parts = n
	}
	if span, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes "); ok {
		first, _, _ := strings.Cut(span, "-")
		if n, err := strconv.ParseInt(first, 10, 64); err == nil {
			o.offset = n
		}
	}
	return o, nil
}

// piece is the part or the range of an object to read. The zero value is the
// whole object.
type piece struct {
	part   int
	ranged bool
	off, n int64
}

// get opens an object, or a piece of it, if it is in the state of etag. The
// caller closes the body.
func (p place) get(ctx context.Context, key, etag string, at piece) (*object, error) {
	in := p.call(http.MethodGet, key)
	in.header.Set("If-Match", `"`+etag+`"`)
	in.header.Set("X-Amz-Checksum-Mode", "ENABLED")
	switch {
	case at.part > 0:
		in.query.Set("partNumber", strconv.Itoa(at.part))
	case at.ranged:
		in.header.Set("Range", fmt.Sprintf("bytes=%d-%d", at.off, at.off+at.n-1))
	}
	most := int64(-1)
	if at.ranged {
		most = at.n
	}
	resp, err := p.do(outbound.Stream(ctx, most), in)
	if err != nil {
		return nil, err
	}
	o, err := p.describe(resp)
	if err == nil && o.etag != etag {
		// The server does not support If-Match.
		err = &answerError{role: p.role, Status: http.StatusPreconditionFailed, Code: "PreconditionFailed"}
	}
	if err == nil && at.ranged && (o.offset != at.off || o.size != at.n) {
		err = final{fmt.Errorf("%s: it was asked for %d bytes at %d, but sent %d at %d", p.role, at.n, at.off, o.size, o.offset)}
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return o, nil
}

// head asks for the state of an object. etag may be empty, and part may be 0.
func (p place) head(ctx context.Context, key, etag string, part int) (o *object, err error) {
	in := p.call(http.MethodHead, key)
	if etag != "" {
		in.header.Set("If-Match", `"`+etag+`"`)
	}
	in.header.Set("X-Amz-Checksum-Mode", "ENABLED")
	if part > 0 {
		in.query.Set("partNumber", strconv.Itoa(part))
	}
	err = p.again(ctx, func() error {
		resp, err := p.do(ctx, in)
		if err != nil {
			return err
		}
		resp.Body.Close()
		o, err = p.describe(resp)
		return err
	})
	return o, err
}

// attributes are the headers that are part of an object.
func attributes(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, metadataPrefix) {
			kept.Set(lower, strings.Join(values, ","))
		}
	}
	for _, name := range carried {
		if v := h.Get(name); v != "" {
			kept.Set(name, v)
		}
	}
	// Some servers store the encoding of the transfer as well.
	if e := sigv4.StripChunked(kept.Get("Content-Encoding")); e == "" {
		kept.Del("Content-Encoding")
	} else {
		kept.Set("Content-Encoding", e)
	}
	return kept
}

// differing returns the names of the attributes that differ between two sides,
// sorted.
func differing(source, target http.Header) (names []string) {
	for name := range source {
		if plain(name, source.Get(name)) != plain(name, target.Get(name)) {
			names = append(names, name)
		}
	}
	for name := range target {
		if _, ok := source[name]; !ok && plain(name, target.Get(name)) != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// plain is the value of a header without differences between servers: the
// default content type, and the encoding of text that is not ASCII.
func plain(name, value string) string {
	if name == "Content-Type" && (value == awsDefaultType || value == httpDefaultType) {
		return ""
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return strings.TrimSpace(decoded)
}

// condition restricts a write to an absent key, or to the state that was seen.
func condition(h http.Header, seen *entry) {
	if seen == nil {
		h.Set("If-None-Match", "*")
		return
	}
	h.Set("If-Match", `"`+seen.etag+`"`)
}

// written is a server's answer to a write.
type written struct {
	etag       string
	checksum   checksum
	foreignKey bool
}

// wrote reads the answer to a write from its header.
func wrote(h http.Header) written {
	return written{strings.Trim(h.Get("ETag"), `"`), shownChecksum(h), foreignKey(h)}
}

// put sends the body of a PutObject or UploadPart call.
func (p place) put(ctx context.Context, in call) (written, error) {
	_, h, err := p.document(ctx, in)
	if err != nil {
		return written{}, err
	}
	return wrote(h), nil
}

// contentMD5 is an MD5 in hex in the form of Content-MD5.
func contentMD5(etag string) string {
	sum, err := hex.DecodeString(etag)
	if err != nil {
		return "" // the caller has checked the form
	}
	return base64.StdEncoding.EncodeToString(sum)
}
