package api

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// tagResourceRequest is a TagResourceRequest as clients send it.
type tagResourceRequest struct {
	Tags *struct {
		Tag []tagElement `xml:"Tag" max:"50"`
	} `xml:"Tags"`
}

// tagsOfResource reads a TagResourceRequest.
var tagsOfResource = documentFacts{
	keys: openKeys("aws:requesttag/", "aws:tagkeys"),
	read: readTagsOfResource,
}

// readTagsOfResource parses the document of a TagResource into asked.
func readTagsOfResource(r *Request) {
	var d tagResourceRequest
	err := decodeXML(r.XML, "TagResourceRequest", &d)
	switch {
	case tooMany(err, "Tag"):
		err = tooManyTags(maxBucketTags)
	case err == nil && d.Tags == nil:
		err = s3err.MalformedXML
	}
	var tags []engine.Pair
	if err == nil {
		tags, err = tagPairs(d.Tags.Tag, maxBucketTags)
	}
	r.asked.bucketTags = saying(tags, err)
}

// tagResource adds tags to those of a bucket; a tag with the same key is
// replaced. PutBucketTagging replaces all tags.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_TagResource.html
func tagResource(s *Server, r *Request) (*Reply, error) {
	more, err := r.asked.bucketTags.get()
	if err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, changeTags(s, r, func(tags []engine.Pair) []engine.Pair {
		for _, t := range more {
			if i := slices.IndexFunc(tags, func(have engine.Pair) bool { return have.Name == t.Name }); i >= 0 {
				tags[i].Value = t.Value
			} else {
				tags = append(tags, t)
			}
		}
		return tags
	})
}

// sayTagKeys reads the tagKeys parameters of UntagResource, one for each tag.
func (r *Request) sayTagKeys() (s said[[]string]) {
	for _, p := range r.Target.Query {
		if p.Name == "tagKeys" {
			s.given, s.value = true, append(s.value, p.Value)
		}
	}
	switch {
	case !s.given:
		s.err = s3err.New(s3err.InvalidRequest, "The query parameter tagKeys is missing.")
	case len(s.value) > maxBucketTags:
		s.err = tooManyTags(maxBucketTags)
	}
	return s
}

// untagResource removes tags of a bucket. Unknown keys are no error.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_UntagResource.html
func untagResource(s *Server, r *Request) (*Reply, error) {
	keys, err := r.asked.untag.get()
	if err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, changeTags(s, r, func(tags []engine.Pair) []engine.Pair {
		return slices.DeleteFunc(tags, func(t engine.Pair) bool { return slices.Contains(keys, t.Name) })
	})
}

// changeTags replaces the bucket's tags by the result of change, which may
// modify its argument. Concurrent changes are not lost.
func changeTags(s *Server, r *Request, change func([]engine.Pair) []engine.Pair) error {
	return s.engine.Buckets().UpdateSetting(r.Context(), r.Bucket, settingTags, func(settings *buckets.Settings) ([]byte, error) {
		tags, _, err := buckets.Parsed(settings, settingTags, readSetting[[]engine.Pair])
		if err != nil {
			return nil, err
		}
		// The parsed tags are shared with other requests.
		tags = change(slices.Clone(tags))
		if len(tags) == 0 {
			return nil, nil // the same as DeleteBucketTagging
		}
		if err := checkTags(tags, maxBucketTags); err != nil {
			return nil, err
		}
		return json.Marshal(tags)
	})
}

// listTagsForResource shows the tags of a bucket, if any.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_ListTagsForResource.html
func listTagsForResource(s *Server, r *Request) (*Reply, error) {
	tags, _, err := setting[[]engine.Pair](s, r, settingTags)
	if err != nil {
		return nil, err
	}
	return &Reply{XML: controlDocument{"ListTagsForResourceResult", "Tags", tags}}, nil
}

// controlDocument is an answer of S3 Control: a list, empty or of tags.
type controlDocument struct {
	root, list string
	tags       []engine.Pair
}

// controlNamespace is the namespace of S3 Control's documents, except errors.
const controlNamespace = "http://awss3control.amazonaws.com/doc/2018-08-20/"

// AppendXML writes the document.
func (d controlDocument) AppendXML(b []byte) []byte {
	b = append(append(append(b, '<'), d.root...), ` xmlns="`+controlNamespace+`">`...)
	b = appendTags(openTag(b, d.list), d.tags)
	return closeTag(closeTag(b, d.list), d.root)
}
