package iam

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

const (
	maxParameters = 512
	maxTags       = 50
	maxTagKey     = 128
	maxTagValue   = 256
	defaultItems  = 100
	maxItems      = 1000
	maxMarker     = 1 << 10 // bytes of the name in a marker
	// maxDescription bounds the description of a role or policy, in characters.
	maxDescription = 1000
)

// form holds the parameters of a request, each given once. Only parameters of
// checkParameters are in it once that has succeeded.
type form map[string]string

// parseForm parses application/x-www-form-urlencoded. Malformed and repeated
// parameters are refused.
func parseForm(body []byte) (form, error) {
	if len(body) > MaxBody {
		return nil, s3err.MaxMessageLengthExceeded
	}
	// The number is checked before parsing, since each parameter costs memory.
	if strings.Count(string(body), "&") >= maxParameters {
		return nil, s3err.New(s3err.ValidationError, "The request has more than %d parameters.", maxParameters)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, s3err.New(s3err.ValidationError, "The parameters are not valid application/x-www-form-urlencoded.")
	}
	f := make(form, len(values))
	for name, v := range values {
		// It would be unclear which one counts for the decision and which one
		// for the action.
		if len(v) != 1 {
			return nil, s3err.New(s3err.ValidationError, "The parameter %s is given more than once.", clip(name))
		}
		f[name] = v[0]
	}
	return f, nil
}

// need returns a required parameter.
func (f form) need(name string) (string, error) {
	if v := f[name]; v != "" {
		return v, nil
	}
	return "", s3err.New(s3err.ValidationError, "The request must contain the parameter %s.", name)
}

// list returns name.member.1, name.member.2 and so on. A list with a gap was
// refused by checkParameters.
func (f form) list(name string) (all []string) {
	for i := 1; ; i++ {
		v, ok := f[name+".member."+strconv.Itoa(i)]
		if !ok {
			return all
		}
		all = append(all, v)
	}
}

// checkDescription refuses a Description that is too long.
func (f form) checkDescription() error {
	if utf8.RuneCountInString(f["Description"]) > maxDescription {
		return s3err.New(s3err.ValidationError, "A description can have at most %d characters.", maxDescription)
	}
	return nil
}

// tagText reports whether a tag's key or value is short enough and has only
// valid characters.
// Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
func tagText(s string, most int) bool {
	n := 0
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
		n++
	}
	return n <= most
}

// tags returns Tags.member.N.Key and .Value.
func (f form) tags() (all []accounts.Tag, err error) {
	for i := 1; ; i++ {
		at := "Tags.member." + strconv.Itoa(i)
		key, ok := f[at+".Key"]
		value, also := f[at+".Value"]
		if !ok && !also {
			return all, checkTags(all)
		}
		all = append(all, accounts.Tag{Key: key, Value: value})
	}
}

// checkTags refuses tags that an identity or session cannot have.
func checkTags(all []accounts.Tag) error {
	seen := make(map[string]bool)
	for n, t := range all {
		// Keys of tags are compared without case everywhere, so two that differ
		// in case only would be one.
		folded := access.FoldCase(t.Key)
		switch {
		case t.Key == "" || !tagText(t.Key, maxTagKey) || !tagText(t.Value, maxTagValue):
			return s3err.New(s3err.ValidationError, "A tag must have a key of 1 to %d letters, digits, spaces and _ . : / = + - @, "+
				"and a value of at most %d.", maxTagKey, maxTagValue)
		case strings.HasPrefix(folded, "aws:"):
			return s3err.New(s3err.InvalidInput, "Tag keys that begin with aws: are reserved.")
		case seen[folded]:
			return s3err.New(s3err.InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case n == maxTags:
			return s3err.New(s3err.LimitExceeded, "An identity can have at most %d tags.", maxTags)
		}
		seen[folded] = true
	}
	return nil
}

// page returns MaxItems and Marker. A marker is the name of the last entry of
// the page before.
func (f form) page() (after string, limit int, err error) {
	limit = defaultItems
	if v, ok := f["MaxItems"]; ok {
		n, ok := strict.Number(v, maxItems)
		if !ok || n < 1 {
			return "", 0, s3err.New(s3err.ValidationError, "MaxItems must be 1 to %d.", maxItems)
		}
		limit = int(n)
	}
	if v := f["Marker"]; v != "" {
		b, err := base64.RawURLEncoding.DecodeString(v)
		if err != nil || len(b) == 0 || len(b) > maxMarker {
			return "", 0, s3err.New(s3err.ValidationError, "Invalid Marker.")
		}
		after = string(b)
	}
	return after, limit, nil
}

// paging is the end of a page.
type paging struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// marker hides the name in base64, because clients must not build one
// themselves.
func marker(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

// cut returns one page of a complete list that is ordered by name.
func cut[T any](f form, all []T, name func(T) string) ([]T, paging, error) {
	after, limit, err := f.page()
	if err != nil {
		return nil, paging{}, err
	}
	// Entries that were removed between two pages need no care: the marker is a
	// place in the order.
	for len(all) > 0 && after != "" && name(all[0]) <= after {
		all = all[1:]
	}
	if len(all) <= limit {
		return all, paging{}, nil
	}
	return all[:limit], paging{true, marker(name(all[limit-1]))}, nil
}
