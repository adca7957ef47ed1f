package buckets

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of a default retention.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
const (
	MaxRetentionDays  = 36500
	MaxRetentionYears = 100
)

// ObjectLockSetting is the name of a bucket's setting.
const ObjectLockSetting = "object-lock"

// DefaultRetention is what new versions of a bucket are locked with that are given
// no retention of their own: for Days or for Years, of which one is zero. With
// Mode LockNone there is none.
type DefaultRetention struct {
	Mode  meta.LockMode `json:"mode"`
	Days  int           `json:"days,omitempty"`
	Years int           `json:"years,omitempty"`
}

// Until is when a retention that begins now ends. A day has 24 hours and a year
// 365 days, as in S3.
func (d DefaultRetention) Until(now time.Time) time.Time {
	return now.Add(time.Duration(d.Days+365*d.Years) * 24 * time.Hour)
}

// sound reports a retention that a bucket may have.
// An edited or foreign document that is not sound fails closed.
func (d DefaultRetention) sound() bool {
	switch d.Mode {
	case meta.LockNone:
		return d == DefaultRetention{}
	case meta.LockGovernance, meta.LockCompliance:
		return d.Days >= 0 && d.Days <= MaxRetentionDays && d.Years >= 0 && d.Years <= MaxRetentionYears && (d.Days == 0) != (d.Years == 0)
	}
	return false
}

// DefaultRetention reads that of a bucket. An error fails closed: what cannot be
// read is not taken for none.
func (bs *Buckets) DefaultRetention(ctx context.Context, b meta.Bucket) (DefaultRetention, error) {
	s, err := bs.Settings(ctx, b)
	if err != nil {
		return DefaultRetention{}, err
	}
	d, _, err := Parsed(s, ObjectLockSetting, parseDefaultRetention)
	return d, err
}

func parseDefaultRetention(doc []byte) (d DefaultRetention, err error) {
	if err = json.Unmarshal(doc, &d); err == nil && !d.sound() {
		err = s3err.InternalError
	}
	return d, err
}

// Lock gives a bucket the right to locks, for good, and sets its default
// retention. InvalidBucketState unless its versioning is enabled.
// If the process dies between the two changes, the bucket has a default without the right to
// locks, and the request can be repeated.
func (bs *Buckets) Lock(ctx context.Context, b meta.Bucket, d DefaultRetention) error {
	if !d.sound() {
		return s3err.InvalidArgument
	}
	if b.Versioning != meta.VersioningEnabled {
		return s3err.New(s3err.InvalidBucketState, "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
	}
	// The default first: it means nothing without the right to locks, while no
	// version must be made with that right and without the default.
	var document []byte
	if d.Mode != meta.LockNone {
		var err error
		if document, err = json.Marshal(d); err != nil {
			return err
		}
	}
	err := bs.UpdateSetting(ctx, b, ObjectLockSetting, func(now *Settings) ([]byte, error) {
		if _, _, err := Parsed(now, ObjectLockSetting, parseDefaultRetention); err != nil && document == nil {
			// It may be one that protects new versions, and is not lost in passing.
			return nil, s3err.New(s3err.InvalidRequest, "The bucket's default retention cannot be read. Say which one it is to have.")
		}
		return document, nil
	})
	if err != nil {
		return err
	}
	if b.Lock {
		return nil
	}
	// The setting above has raised the revision, which the next change compares.
	if b, err = bs.Reread(ctx, b); err != nil {
		return err
	}
	return bs.setVersioning(ctx, b, meta.VersioningEnabled, true)
}
