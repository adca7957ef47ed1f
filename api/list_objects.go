package api

import (
	"encoding/base64"
	"regexp"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// listing is the common part of ListObjects and ListObjectsV2: the request with
// its answer. It writes its own XML, because a page of 1,000 keys is the
// largest document that is often requested.
type listing struct {
	v2         bool
	bucket     string
	prefix     string
	delimiter  string
	marker     string // V1
	startAfter string
	token      string // as given
	hasToken   bool
	maxKeys    int
	encode     bool // encoding-type=url
	owners     bool
	ownerNames map[meta.ID]string
	owner      meta.ID // the last owner written
	ownerXML   []byte  // and its element
	page       engine.ObjectPage
}

// listObjects answers the older form of listings.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
func listObjects(s *Server, r *Request) (*Reply, error) {
	l, err := s.readListing(r)
	if err != nil {
		return nil, err
	}
	l.owners, l.marker = true, r.QueryValue("marker")
	return s.list(r, l, l.marker)
}

// listObjectsV2 answers the newer form.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func listObjectsV2(s *Server, r *Request) (*Reply, error) {
	l, err := s.readListing(r)
	if err != nil {
		return nil, err
	}
	l.v2 = true
	l.owners = strings.EqualFold(r.QueryValue("fetch-owner"), "true")
	l.startAfter = r.QueryValue("start-after")
	after := l.startAfter
	if l.hasToken = r.HasQuery("continuation-token"); l.hasToken {
		l.token = r.QueryValue("continuation-token")
		position, err := parseToken(l.token)
		if err != nil {
			return nil, err
		}
		after = max(after, position) // clients repeat start-after with each token
	}
	return s.list(r, l, after)
}

// readListing reads the parameters of both forms.
func (s *Server) readListing(r *Request) (*listing, error) {
	l := &listing{bucket: r.Bucket.Name, prefix: r.asked.prefix.value, delimiter: r.asked.delimiter.value}
	root := s.accounts.Root()
	l.ownerNames = map[meta.ID]string{root.ID: root.Name, r.Owner(): r.Principal.Name}
	var err error
	if l.encode, err = r.encodingType(); err != nil {
		return nil, err
	}
	l.maxKeys, err = pageOf(r.asked.maxKeys)
	return l, err
}

// encodingType reads encoding-type: true for "url".
func (r *Request) encodingType() (bool, error) {
	switch v := r.QueryValue("encoding-type"); v {
	case "":
		return false, nil
	case "url":
		return true, nil
	default:
		return false, s3err.New(s3err.InvalidArgument, "Invalid Encoding Method specified in Request").
			With("ArgumentName", "encoding-type").With("ArgumentValue", v)
	}
}

// sayPageSize reads a parameter that bounds a page: 0 and more. An empty one
// counts as absent.
func (r *Request) sayPageSize(name string) said[int] {
	v := r.QueryValue(name)
	if v == "" {
		return said[int]{}
	}
	n, ok := number(v)
	if !ok {
		return saying(0, s3err.New(s3err.InvalidArgument, "Provided %s not an integer or within integer range", name).
			With("ArgumentName", name).With("ArgumentValue", v))
	}
	return saying[int](n, nil)
}

// pageOf is the maximal number of entries of a page: meta.MaxPage unless less
// is asked for.
func pageOf(size said[int]) (int, error) {
	if !size.given {
		return meta.MaxPage, nil
	}
	return min(size.value, meta.MaxPage), size.err
}

// list fetches the page. A page of no keys asks the store nothing.
func (s *Server) list(r *Request, l *listing, after string) (*Reply, error) {
	if l.maxKeys > 0 {
		var err error
		l.page, err = s.engine.ListObjects(r.Context(), meta.ListQuery{
			Bucket: r.Bucket.ID, Prefix: l.prefix, Delimiter: l.delimiter, After: after, Limit: l.maxKeys,
		})
		if err != nil {
			return nil, err
		}
	}
	return &Reply{XML: l}, nil
}

// AppendXML writes ListBucketResult. Empty elements Prefix and Marker are
// written, as by AWS, because parsers with a schema rely on them.
func (l *listing) AppendXML(b []byte) []byte {
	b = openRoot(b, "ListBucketResult")
	b = appendElement(b, "Name", l.bucket)
	b = l.appendName(b, "Prefix", l.prefix)
	if l.delimiter != "" {
		b = l.appendName(b, "Delimiter", l.delimiter)
	}
	b = appendInt(b, "MaxKeys", int64(l.maxKeys))
	if l.encode {
		b = appendElement(b, "EncodingType", "url")
	}
	b = appendBool(b, "IsTruncated", l.page.More)
	if l.v2 {
		b = l.appendV2(b)
	} else {
		b = l.appendName(b, "Marker", l.marker)
		// AWS omits it without a delimiter, where it equals the last key. Some
		// clients look for nothing else.
		if l.page.More {
			b = l.appendName(b, "NextMarker", l.page.Next)
		}
	}
	for i := range l.page.Entries {
		if e := &l.page.Entries[i]; e.CommonPrefix == "" {
			b = l.appendContents(b, e)
		}
	}
	for i := range l.page.Entries {
		if p := l.page.Entries[i].CommonPrefix; p != "" {
			b = l.appendPrefix(b, p)
		}
	}
	return closeTag(b, "ListBucketResult")
}

// appendV2 writes the elements that only the newer form has.
func (l *listing) appendV2(b []byte) []byte {
	b = appendInt(b, "KeyCount", int64(len(l.page.Entries)))
	if l.startAfter != "" {
		b = l.appendName(b, "StartAfter", l.startAfter)
	}
	if l.hasToken {
		b = appendElement(b, "ContinuationToken", l.token)
	}
	if l.page.More {
		b = appendElement(b, "NextContinuationToken", token(l.page.Next))
	}
	return b
}

// appendContents writes one object.
func (l *listing) appendContents(b []byte, e *engine.ObjectEntry) []byte {
	b = openTag(b, "Contents")
	b = l.appendName(b, "Key", e.Key)
	b = appendTime(b, "LastModified", e.Modified)
	b = appendContent(b, e)
	if l.owners {
		b = l.appendOwner(b, e.Owner)
	}
	b = appendElement(b, "StorageClass", shownClass(e.StorageClass))
	return closeTag(b, "Contents")
}

// appendOwner writes Owner, which is mostly that of the row before.
func (l *listing) appendOwner(b []byte, owner meta.ID) []byte {
	if l.ownerXML == nil || l.owner != owner {
		l.owner, l.ownerXML = owner, appendOwner(nil, "Owner", owner, l.ownerNames[owner])
	}
	return append(b, l.ownerXML...)
}

// appendContent writes the facts about an object's bytes.
func appendContent(b []byte, e *engine.ObjectEntry) []byte {
	b = append(b, "<ETag>&quot;"...)
	b = appendText(b, e.ETag)
	b = append(b, "&quot;</ETag>"...)
	if e.ChecksumAlgorithm != "" {
		b = appendElement(b, "ChecksumAlgorithm", e.ChecksumAlgorithm)
		b = appendElement(b, "ChecksumType", e.ChecksumType)
	}
	return appendInt(b, "Size", e.Size)
}

// appendPrefix writes one common prefix.
func (l *listing) appendPrefix(b []byte, prefix string) []byte {
	b = openTag(b, "CommonPrefixes")
	b = l.appendName(b, "Prefix", prefix)
	return closeTag(b, "CommonPrefixes")
}

// appendName writes a key, or a part of one, in the encoding that the client
// asked for.
func (l *listing) appendName(b []byte, element, name string) []byte {
	if l.encode {
		name = encodeKey(name)
	}
	return appendElement(b, element, name)
}

// A continuation token is the position itself if that is plain, or else "~" and
// the position in the URL form of base64. It tells no more than the page that
// it came with, and grants nothing.
const (
	tokenEscape = "~"
	maxToken    = 4 << 10
)

// plainToken matches positions that need no escaping in a URL or in XML.
var plainToken = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

// token makes the continuation token of a position.
func token(position string) string {
	if plainToken.MatchString(position) {
		return position
	}
	return tokenEscape + base64.RawURLEncoding.EncodeToString([]byte(position))
}

// parseToken returns the position of a continuation token.
func parseToken(s string) (string, error) {
	if plainToken.MatchString(s) && len(s) <= maxToken {
		return s, nil
	}
	escaped, ok := strings.CutPrefix(s, tokenEscape)
	b, err := base64.RawURLEncoding.Strict().DecodeString(escaped)
	if !ok || err != nil || len(s) > maxToken || len(b) == 0 { // no page ends before the first name
		return "", s3err.New(s3err.InvalidArgument, "The continuation token provided is incorrect").
			With("ArgumentName", "continuation-token").With("ArgumentValue", s)
	}
	return string(b), nil
}
