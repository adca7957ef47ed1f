package api

import (
	"encoding/xml"
	"strings"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// lockEnabled is the only value of ObjectLockEnabled.
const lockEnabled = "Enabled"

// objectLockConfiguration is an ObjectLockConfiguration document.
type objectLockConfiguration struct {
	XMLName xml.Name  `xml:"ObjectLockConfiguration"`
	Enabled string    `xml:"ObjectLockEnabled,omitempty"`
	Rule    *lockRule `xml:"Rule"`
}

// lockRule holds nothing but the default retention.
type lockRule struct {
	Default *defaultRetention `xml:"DefaultRetention"`
}

// defaultRetention is a period in days or in years, never both.
type defaultRetention struct {
	Mode  string `xml:"Mode"`
	Days  *int   `xml:"Days"`
	Years *int   `xml:"Years"`
	// EventHold is parsed to be refused, and never shown.
	EventHold *eventHoldDuration `xml:"DefaultEventHold"`
}

// getObjectLockConfiguration tells whether versions in a bucket can be locked,
// and the default retention of new ones.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
func getObjectLockConfiguration(s *Server, r *Request) (*Reply, error) {
	if !r.Bucket.Lock {
		return nil, s3err.New(s3err.ObjectLockConfigurationNotFound, "").With("BucketName", r.Bucket.Name)
	}
	d, err := s.engine.Buckets().DefaultRetention(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	doc := objectLockConfiguration{Enabled: lockEnabled}
	if d.Mode != meta.LockNone {
		shown := &defaultRetention{Mode: lockModeName(d.Mode), Days: &d.Days}
		if d.Years > 0 {
			shown.Days, shown.Years = nil, &d.Years
		}
		doc.Rule = &lockRule{shown}
	}
	return &Reply{XML: doc}, nil
}

// putObjectLockConfiguration enables locks in a bucket, which cannot be undone,
// and sets the default retention of new versions.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html
func putObjectLockConfiguration(s *Server, r *Request) (*Reply, error) {
	var doc objectLockConfiguration
	if err := decodeXML(r.XML, "ObjectLockConfiguration", &doc); err != nil {
		return nil, err
	}
	if doc.Enabled != lockEnabled {
		return nil, s3err.MalformedXML
	}
	var d buckets.DefaultRetention
	if doc.Rule != nil {
		var err error
		if d, err = doc.Rule.retention(); err != nil {
			return nil, err
		}
	}
	return &Reply{}, s.engine.Buckets().Lock(r.Context(), r.Bucket, d)
}

// retention validates the rule and returns its default retention.
func (rule *lockRule) retention() (d buckets.DefaultRetention, err error) {
	doc := rule.Default
	if doc != nil && doc.EventHold != nil {
		return d, errNoEventHolds
	}
	if doc == nil || (doc.Days == nil) == (doc.Years == nil) {
		return d, s3err.MalformedXML
	}
	if d.Mode = lockModes[doc.Mode]; d.Mode == meta.LockNone {
		return d, s3err.MalformedXML
	}
	if doc.Days != nil {
		d.Days, err = period("Days", *doc.Days, buckets.MaxRetentionDays)
	} else {
		d.Years, err = period("Years", *doc.Years, buckets.MaxRetentionYears)
	}
	return d, err
}

// period refuses a default retention of less than 1 or more than most units.
func period(name string, n, most int) (int, error) {
	refuse := func(message string) (int, error) {
		return 0, s3err.New(s3err.InvalidArgument, "%s", message).With("ArgumentName", name).With("ArgumentValue", decimal(n))
	}
	switch {
	case n < 1:
		return refuse("Default retention period must be a positive integer value.")
	case n > most:
		return refuse("Default retention period too large.")
	}
	return n, nil
}

// locksBucket reads whether a new bucket gets locks.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func (r *Request) locksBucket() (bool, error) {
	const name = "X-Amz-Bucket-Object-Lock-Enabled"
	if !r.HasHeader(name) {
		return false, nil
	}
	return parseSwitch(name, strings.TrimSpace(r.Header(name)))
}
