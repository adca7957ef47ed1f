package sigv4

import (
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// MaxQueryBytes bounds a query as it arrives. A listing may have a prefix,
	// a marker and a token of about 3 KB each, and a presigned credential.
	MaxQueryBytes = 16 << 10
	// MaxQueryParams bounds the number of parameters in a query.
	MaxQueryParams = 128
)

// Param is one decoded parameter of a query. A name without "=" has an empty
// value, as in "?acl".
type Param struct{ Name, Value string }

// Query holds the parameters of a query in their order, including duplicates.
// Names are case-sensitive.
type Query []Param

// ParseQuery decodes a raw query, without its "?". Unlike url.ParseQuery it
// drops nothing: ";" is an ordinary byte, and malformed escapes are an
// InvalidURI. Empty parameters ("&&") are skipped, "+" is a space. Beyond
// MaxQueryBytes the error is URITooLong, beyond MaxQueryParams InvalidArgument.
func ParseQuery(raw string) (Query, error) {
	if raw == "" {
		return nil, nil
	}
	if len(raw) > MaxQueryBytes {
		return nil, s3err.URITooLong
	}
	q := make(Query, 0, min(strings.Count(raw, "&")+1, MaxQueryParams))
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if len(q) == MaxQueryParams {
			return nil, s3err.New(s3err.InvalidArgument, "The query has more than %d parameters.", MaxQueryParams)
		}
		name, value, _ := strings.Cut(pair, "=")
		n, ok := decode(name, true)
		v, ok2 := decode(value, true)
		if !ok || !ok2 {
			return nil, s3err.New(s3err.InvalidURI, "Couldn't parse the specified URI.")
		}
		q = append(q, Param{n, v})
	}
	return q, nil
}

// Get returns the first value of name and whether there is one.
func (q Query) Get(name string) (string, bool) {
	for i := range q {
		if q[i].Name == name {
			return q[i].Value, true
		}
	}
	return "", false
}

// Has reports whether name is present, with or without a value.
func (q Query) Has(name string) bool {
	_, ok := q.Get(name)
	return ok
}

// Count is the number of parameters with the name.
func (q Query) Count(name string) int {
	n := 0
	for i := range q {
		if q[i].Name == name {
			n++
		}
	}
	return n
}

// appendCanonical writes the canonical query: encoded, sorted by name and then
// by value, without the parameter skip.
func (q Query) appendCanonical(b []byte, skip string) []byte {
	encoded := make(Query, 0, len(q))
	for _, p := range q {
		if p.Name != skip || skip == "" {
			encoded = append(encoded, Param{encodeParam(p.Name), encodeParam(p.Value)})
		}
	}
	// After the encoding, as the specification demands: encoding changes the
	// order.
	slices.SortFunc(encoded, func(a, b Param) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	for i, p := range encoded {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.Name...)
		b = append(b, '=')
		b = append(b, p.Value...)
	}
	return b
}

// encodeParam encodes a name or value as the canonical query has it.
func encodeParam(s string) string {
	for i := 0; i < len(s); i++ {
		if !unreserved[s[i]] {
			return string(appendEncoded(make([]byte, 0, len(s)+16), s, false))
		}
	}
	return s
}
