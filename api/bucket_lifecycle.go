package api

import (
	"encoding/xml"
	"net/http"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/s3err"
)

// minimumSizeHeader tells which small objects transitions skip. It is not part
// of the document.
const minimumSizeHeader = "X-Amz-Transition-Default-Minimum-Object-Size"

// lifecycleDocument is a LifecycleConfiguration, as clients send it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
type lifecycleDocument struct {
	XMLName xml.Name        `xml:"LifecycleConfiguration"`
	Rules   []lifecycleRule `xml:"Rule" max:"1000"`
}

// lifecycleRule has pointers where S3 tells an absent element from an empty
// one.
type lifecycleRule struct {
	ID         string           `xml:"ID"`
	Status     string           `xml:"Status"`
	Prefix     *string          `xml:"Prefix"`
	Filter     *lifecycleFilter `xml:"Filter"`
	Expiration *struct {
		Days         *int    `xml:"Days"`
		Date         *string `xml:"Date"`
		DeleteMarker *bool   `xml:"ExpiredObjectDeleteMarker"`
	} `xml:"Expiration"`
	Transitions []struct {
		Days  *int    `xml:"Days"`
		Date  *string `xml:"Date"`
		Class string  `xml:"StorageClass"`
	} `xml:"Transition" max:"100"`
	Noncurrent *struct {
		Days  *int `xml:"NoncurrentDays"`
		Newer *int `xml:"NewerNoncurrentVersions"`
	} `xml:"NoncurrentVersionExpiration"`
	NoncurrentTransitions []struct {
		Days  *int   `xml:"NoncurrentDays"`
		Newer *int   `xml:"NewerNoncurrentVersions"`
		Class string `xml:"StorageClass"`
	} `xml:"NoncurrentVersionTransition" max:"100"`
	Abort *struct {
		Days *int `xml:"DaysAfterInitiation"`
	} `xml:"AbortIncompleteMultipartUpload"`

	// Set by parseLifecycle, for the rule's validation.
	place       func(class string) bool
	unsupported *unsupported
}

// sound implements the check of decodeXML for required elements.
func (r *lifecycleRule) sound() bool { return r.Status != "" }

// lifecycleFilter selects objects by exactly one of its elements; And combines
// several.
type lifecycleFilter struct {
	Prefix *string     `xml:"Prefix"`
	Tag    *tagElement `xml:"Tag"`
	Above  *int64      `xml:"ObjectSizeGreaterThan"`
	Below  *int64      `xml:"ObjectSizeLessThan"`
	And    *struct {
		Prefix *string      `xml:"Prefix"`
		Tags   []tagElement `xml:"Tag" max:"50"`
		Above  *int64       `xml:"ObjectSizeGreaterThan"`
		Below  *int64       `xml:"ObjectSizeLessThan"`
	} `xml:"And"`
}

// putBucketLifecycle replaces the lifecycle configuration of a bucket. A
// transition to a class that the bucket cannot use is refused now, and not when
// it is due.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
func putBucketLifecycle(s *Server, r *Request) (*Reply, error) {
	l, err := parseLifecycle(r.XML, s.engine.PlaceClass)
	if err != nil {
		return nil, err
	}
	// The bucket's residency must allow the target.
	for _, class := range l.Classes() {
		if err := s.engine.CheckClass(r.Bucket, class); err != nil {
			return nil, err
		}
	}
	switch l.MinimumSize = r.Header(minimumSizeHeader); l.MinimumSize {
	case "":
		l.MinimumSize = lifecycle.MinimumSizeAll
	case lifecycle.MinimumSizeAll, lifecycle.MinimumSizeVaries:
	default:
		return nil, invalidHeader("x-amz-transition-default-minimum-object-size", l.MinimumSize)
	}
	if err := storeSetting(s, r, engine.LifecycleSetting, l); err != nil {
		return nil, err
	}
	return &Reply{Header: http.Header{minimumSizeHeader: {l.MinimumSize}}}, nil
}

// getBucketLifecycle shows it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html
func getBucketLifecycle(s *Server, r *Request) (*Reply, error) {
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	l, ok, err := buckets.Parsed(settings, engine.LifecycleSetting, lifecycle.Parse)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, s3err.New(s3err.NoSuchLifecycleConfiguration, "").With("BucketName", r.Bucket.Name)
	}
	return &Reply{Header: http.Header{minimumSizeHeader: {l.MinimumSize}}, XML: lifecycleRules(l.Rules)}, nil
}

// lifecycleRules is the answer that shows the rules.
type lifecycleRules []lifecycle.Rule

// AppendXML writes LifecycleConfiguration, each filter in the form in which it
// was sent: clients compare the document with theirs.
func (rules lifecycleRules) AppendXML(b []byte) []byte {
	b = openRoot(b, "LifecycleConfiguration")
	for i := range rules {
		b = appendLifecycleRule(b, &rules[i])
	}
	return closeTag(b, "LifecycleConfiguration")
}

// appendLifecycleRule writes one Rule.
func appendLifecycleRule(b []byte, r *lifecycle.Rule) []byte {
	b = appendElement(openTag(b, "Rule"), "ID", r.ID)
	// The form before filters: a Prefix of the rule itself.
	if r.Filter.Old {
		b = appendElement(b, "Prefix", *r.Filter.Prefix)
	} else {
		b = closeTag(appendLifecycleFilter(openTag(b, "Filter"), &r.Filter), "Filter")
	}
	status := "Disabled"
	if r.Enabled {
		status = "Enabled"
	}
	b = appendElement(b, "Status", status)
	if x := r.Expiration; x != nil {
		b = openTag(b, "Expiration")
		switch {
		case x.Date != nil:
			b = appendTime(b, "Date", *x.Date)
		case x.DeleteMarker != nil:
			b = appendBool(b, "ExpiredObjectDeleteMarker", *x.DeleteMarker)
		default:
			b = appendInt(b, "Days", int64(x.Days))
		}
		b = closeTag(b, "Expiration")
	}
	for _, t := range r.Transitions {
		b = openTag(b, "Transition")
		if t.Date != nil {
			b = appendTime(b, "Date", *t.Date)
		} else {
			b = appendInt(b, "Days", int64(*t.Days))
		}
		b = closeTag(appendElement(b, "StorageClass", t.Class), "Transition")
	}
	if x := r.NoncurrentExpiration; x != nil {
		b = appendNoncurrent(openTag(b, "NoncurrentVersionExpiration"), x.Days, x.Newer)
		b = closeTag(b, "NoncurrentVersionExpiration")
	}
	for _, t := range r.NoncurrentTransitions {
		b = appendNoncurrent(openTag(b, "NoncurrentVersionTransition"), t.Days, t.Newer)
		b = closeTag(appendElement(b, "StorageClass", t.Class), "NoncurrentVersionTransition")
	}
	if r.AbortUploadDays > 0 {
		b = appendInt(openTag(b, "AbortIncompleteMultipartUpload"), "DaysAfterInitiation", int64(r.AbortUploadDays))
		b = closeTag(b, "AbortIncompleteMultipartUpload")
	}
	return closeTag(b, "Rule")
}

// appendNoncurrent writes the two conditions on noncurrent versions.
func appendNoncurrent(b []byte, days, newer int) []byte {
	b = appendInt(b, "NoncurrentDays", int64(days))
	if newer > 0 {
		b = appendInt(b, "NewerNoncurrentVersions", int64(newer))
	}
	return b
}

// appendLifecycleFilter writes the content of a Filter.
func appendLifecycleFilter(b []byte, f *lifecycle.Filter) []byte {
	if f.And {
		b = openTag(b, "And")
	}
	if f.Prefix != nil {
		b = appendElement(b, "Prefix", *f.Prefix)
	}
	for _, t := range f.Tags {
		b = appendElement(openTag(b, "Tag"), "Key", t.Name)
		b = closeTag(appendElement(b, "Value", t.Value), "Tag")
	}
	if f.Above != nil {
		b = appendInt(b, "ObjectSizeGreaterThan", *f.Above)
	}
	if f.Below != nil {
		b = appendInt(b, "ObjectSizeLessThan", *f.Below)
	}
	if f.And {
		b = closeTag(b, "And")
	}
	return b
}
