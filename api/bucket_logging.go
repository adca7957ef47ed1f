package api

import (
	"errors"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// maxLogPrefix is in bytes. It leaves room in a key for the generated rest.
const maxLogPrefix = 800

// loggingDocument is a BucketLoggingStatus as clients send it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html
type loggingDocument struct {
	Enabled *struct {
		Target *string `xml:"TargetBucket"`
		Prefix *string `xml:"TargetPrefix"`
		Grants *struct {
			Grant []struct {
				Grantee struct {
					ID           string `xml:"ID"`
					DisplayName  string `xml:"DisplayName"`
					EmailAddress string `xml:"EmailAddress"`
					URI          string `xml:"URI"`
				} `xml:"Grantee"`
				Permission string `xml:"Permission"`
			} `xml:"Grant" max:"100"`
		} `xml:"TargetGrants"`
		KeyFormat *struct {
			Simple      *struct{} `xml:"SimplePrefix"`
			Partitioned *struct {
				Dates string `xml:"PartitionDateSource"`
			} `xml:"PartitionedPrefix"`
		} `xml:"TargetObjectKeyFormat"`
	} `xml:"LoggingEnabled"`
}

// putBucketLogging sets the target of the bucket's access logs. An empty
// document turns logging off.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html
func putBucketLogging(s *Server, r *Request) (*Reply, error) {
	l, err := parseLogging(r.XML)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return &Reply{}, s.engine.Buckets().SetSetting(r.Context(), r.Bucket, loggingSetting, nil)
	}
	// The group's key is a sample: permission is checked for a key as it will
	// be written.
	g := s.logGroup(r.Bucket, *l, r.Now)
	target, byPolicy, err := s.reportTarget(r, logReporter, l.Target, s.logObjectKey(g))
	if err != nil {
		return nil, err
	}
	if target.ID.IsZero() {
		return nil, s3err.New(s3err.InvalidTargetBucketForLogging, "").With("TargetBucket", l.Target)
	}
	// The id is stored, so that a bucket that is created later under the name
	// gets no logs.
	l.TargetID, l.ByPolicy = target.ID.String(), byPolicy
	return &Reply{}, storeSetting(s, r, loggingSetting, l)
}

// reportTarget returns the bucket with the name if the owner of the request's
// bucket owns it and either the sender may write there, or, byPolicy, its
// policy lets the service write. keys are samples of the keys to be written.
// Any other bucket is reported like an absent one, the zero Bucket, so that the
// sender learns nothing.
func (s *Server) reportTarget(r *Request, service reporter, name string, keys ...string) (b meta.Bucket, byPolicy bool, err error) {
	b, err = s.engine.Buckets().Get(r.Context(), name)
	// Another owner's bucket is reported like an absent one, so that its
	// existence is not revealed.
	if errors.Is(err, s3err.NoSuchBucket) || err == nil && b.Owner != r.Bucket.Owner {
		return meta.Bucket{}, false, nil
	}
	if err != nil {
		return b, false, err
	}
	var needs []access.Need
	for _, key := range keys {
		needs = append(needs, access.Need{Action: "s3:PutObject", Bucket: r.bucketFacts(b), BucketName: b.Name, Key: key})
	}
	if r.decide(needs...).Allow {
		return b, false, nil
	}
	if access.NewEvaluation(r.Context(), service.principal(), s.serviceContext(r.Bucket)).Decide(needs...).Allow {
		return b, true, nil
	}
	return meta.Bucket{}, false, nil
}

// parseLogging parses a BucketLoggingStatus; nil when it turns logging off.
func parseLogging(document []byte) (*logging, error) {
	var d loggingDocument
	if err := decodeXML(document, "BucketLoggingStatus", &d); err != nil {
		return nil, err
	}
	e := d.Enabled
	if e == nil {
		return nil, nil
	}
	switch {
	case e.Target == nil || *e.Target == "" || e.Prefix == nil:
		return nil, s3err.MalformedXML
	case len(*e.Prefix) > maxLogPrefix:
		return nil, s3err.New(s3err.InvalidArgument, "The target prefix must not be longer than %d bytes.", maxLogPrefix).With("ArgumentName", "TargetPrefix")
	case e.Grants != nil && len(e.Grants.Grant) > 0:
		return nil, s3err.New(s3err.AccessControlListNotSupported, "Leave out TargetGrants: log objects belong to the owner of the target bucket.")
	}
	l := &logging{Target: *e.Target, Prefix: *e.Prefix}
	f := e.KeyFormat
	if f == nil {
		return l, checkPrefix(l.Prefix)
	}
	if (f.Simple == nil) == (f.Partitioned == nil) {
		return nil, s3err.MalformedXML
	}
	if l.Simple = f.Simple != nil; !l.Simple {
		switch l.Dates = f.Partitioned.Dates; l.Dates {
		case logEventTime, logDeliveryTime:
		default:
			return nil, s3err.MalformedXML
		}
	}
	return l, checkPrefix(l.Prefix)
}

// getBucketLogging shows the target; an empty document when there is none.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLogging.html
func getBucketLogging(s *Server, r *Request) (*Reply, error) {
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	l, ok, err := buckets.Parsed(settings, loggingSetting, readLogging)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &Reply{XML: emptyElement("BucketLoggingStatus")}, nil
	}
	return &Reply{XML: loggingStatus(l)}, nil
}

// loggingStatus is the answer that shows a configuration.
type loggingStatus logging

// AppendXML writes BucketLoggingStatus.
func (l loggingStatus) AppendXML(b []byte) []byte {
	b = openTag(openRoot(b, "BucketLoggingStatus"), "LoggingEnabled")
	b = appendElement(b, "TargetBucket", l.Target)
	b = appendElement(b, "TargetPrefix", l.Prefix)
	switch {
	case l.Simple:
		b = append(b, "<TargetObjectKeyFormat><SimplePrefix></SimplePrefix></TargetObjectKeyFormat>"...)
	case l.Dates != "":
		b = openTag(openTag(b, "TargetObjectKeyFormat"), "PartitionedPrefix")
		b = appendElement(b, "PartitionDateSource", l.Dates)
		b = closeTag(closeTag(b, "PartitionedPrefix"), "TargetObjectKeyFormat")
	}
	return closeTag(closeTag(b, "LoggingEnabled"), "BucketLoggingStatus")
}
