package api

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of tags.
// Sources:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/CostAllocTagging.html
const (
	maxObjectTags = 10
	maxBucketTags = 50
	maxTagKey     = 128 // UTF-16 code units
	maxTagValue   = 256
	// systemTags is the prefix that AWS reserves for its own keys, in any case.
	systemTags = "aws:"
)

// tagElement is one Tag of a document. Both elements are required; the value
// may be empty.
type tagElement struct {
	Key   *string `xml:"Key"`
	Value *string `xml:"Value"`
}

// sound implements the check of decodeXML for required elements.
func (t *tagElement) sound() bool { return t.Key != nil && t.Value != nil }

// taggingDocument is a Tagging as clients send it.
type taggingDocument struct {
	TagSet *struct {
		Tag []tagElement `xml:"Tag" max:"50"`
	} `xml:"TagSet"`
}

// parseTagging parses a Tagging document of at most max tags, in the order
// given. Errors: MalformedXML, InvalidTag, BadRequest for too many.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Tagging.html
func parseTagging(document []byte, max int) ([]engine.Pair, error) {
	var d taggingDocument
	if err := decodeXML(document, "Tagging", &d); tooMany(err, "Tag") {
		return nil, tooManyTags(max)
	} else if err != nil {
		return nil, err
	}
	if d.TagSet == nil {
		return nil, s3err.MalformedXML
	}
	return tagPairs(d.TagSet.Tag, max)
}

// tagPairs validates the tags of a document.
func tagPairs(elements []tagElement, max int) ([]engine.Pair, error) {
	tags := make([]engine.Pair, 0, len(elements))
	for _, t := range elements {
		tags = append(tags, engine.Pair{Name: *t.Key, Value: *t.Value})
	}
	return tags, checkTags(tags, max)
}

// parseTagHeader parses x-amz-tagging, of a header or form: query parameters of
// a URL. An empty value means no tags.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func parseTagHeader(value string) ([]engine.Pair, error) {
	if value == "" {
		return nil, nil
	}
	var tags []engine.Pair
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(value, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		key, errKey := url.QueryUnescape(k)
		text, errValue := url.QueryUnescape(v)
		if errKey != nil || errValue != nil || key == "" || seen[key] {
			return nil, s3err.New(s3err.InvalidArgument, "The header 'x-amz-tagging' shall be encoded as UTF-8 "+
				"then URLEncoded URL query parameters without tag name duplicates.").
				With("ArgumentName", "x-amz-tagging").With("ArgumentValue", value)
		}
		seen[key] = true
		tags = append(tags, engine.Pair{Name: key, Value: text})
	}
	return tags, checkTags(tags, maxObjectTags)
}

// checkTags refuses tags that S3 does not allow.
func checkTags(tags []engine.Pair, max int) error {
	if len(tags) > max {
		return tooManyTags(max)
	}
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		switch {
		case t.Name == "" || !tagText(t.Name, maxTagKey):
			return s3err.New(s3err.InvalidTag, "The TagKey you have provided is invalid").With("TagKey", t.Name)
		case !tagText(t.Value, maxTagValue):
			return s3err.New(s3err.InvalidTag, "The TagValue you have provided is invalid").
				With("TagKey", t.Name).With("TagValue", t.Value)
		case strings.HasPrefix(strings.ToLower(t.Name), systemTags):
			return s3err.New(s3err.InvalidTag, "System tags cannot be added/updated by requester").With("TagKey", t.Name)
		case seen[t.Name]:
			return s3err.New(s3err.InvalidTag, "Cannot provide multiple Tags with the same key").With("TagKey", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// tooManyTags has S3's words, which differ for objects and buckets.
func tooManyTags(max int) error {
	if max == maxObjectTags {
		return s3err.New(s3err.BadRequest, "Object tags cannot be greater than %d", max)
	}
	return s3err.New(s3err.BadRequest, "Bucket tag count cannot be greater than %d", max)
}

// tagText reports whether a key or value is short enough and has only
// characters that S3 allows in tags: letters, numbers and spaces of any script,
// and + - = . _ : / @
func tagText(s string, max int) bool {
	if !utf8.ValidString(s) {
		return false
	}
	units := 0
	for _, c := range s {
		if !unicode.In(c, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("+-=._:/@", c) {
			return false
		}
		units++
		if c > 0xFFFF {
			units++
		}
	}
	return units <= max
}

// tagging is the answer that shows tags.
type tagging []engine.Pair

// AppendXML writes Tagging.
func (tags tagging) AppendXML(b []byte) []byte {
	b = appendTags(openTag(openRoot(b, "Tagging"), "TagSet"), tags)
	return closeTag(closeTag(b, "TagSet"), "Tagging")
}

// appendTags writes the Tag elements.
func appendTags(b []byte, tags []engine.Pair) []byte {
	for _, t := range tags {
		b = openTag(b, "Tag")
		b = appendElement(b, "Key", t.Name)
		b = appendElement(b, "Value", t.Value)
		b = closeTag(b, "Tag")
	}
	return b
}
