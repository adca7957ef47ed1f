package engine

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

// until is when a retention that begins now ends. A day has 24 hours and a year
// 365 days, as in S3.
func (d DefaultRetention) until(now time.Time) time.Time {
	return now.Add(time.Duration(d.Days+365*d.Years) * 24 * time.Hour)
}

// sound reports a retention that a bucket may have.
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
func (e *Engine) DefaultRetention(ctx context.Context, b meta.Bucket) (DefaultRetention, error) {
	s, err := e.Settings(ctx, b)
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

// LockBucket gives a bucket the right to locks, for good, and sets its default
// retention. InvalidBucketState unless its versioning is enabled.
func (e *Engine) LockBucket(ctx context.Context, b meta.Bucket, d DefaultRetention) error {
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
	err := e.UpdateSetting(ctx, b, ObjectLockSetting, func(now *Settings) ([]byte, error) {
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
	if b, err = e.SameBucket(ctx, b); err != nil {
		return err
	}
	return e.setVersioning(ctx, b, meta.VersioningEnabled, true)
}

// lockNew is the lock that a new version gets: the one that was asked for, with
// the bucket's default retention if that says nothing of one.
func (e *Engine) lockNew(ctx context.Context, b meta.Bucket, asked meta.Lock, now time.Time) (meta.Lock, error) {
	if !b.Lock {
		if asked != (meta.Lock{}) {
			return asked, s3err.New(s3err.InvalidRequest, "Bucket is missing ObjectLockConfiguration")
		}
		return asked, nil
	}
	if asked.Mode != meta.LockNone {
		return asked, nil
	}
	d, err := e.DefaultRetention(ctx, b)
	if err == nil && d.Mode != meta.LockNone {
		asked.Mode, asked.Until = d.Mode, d.until(now)
	}
	return asked, err
}

// errProtected: as S3 words it.
func errProtected() error {
	return s3err.New(s3err.AccessDenied, "Access Denied because object protected by object lock.")
}

// Retain sets the retention of a version; LockNone removes it. One that runs is
// never taken back or shortened, except that bypass overrides LockGovernance.
// Errors: as Amend; InvalidRequest for a bucket without locks, AccessDenied.
func (e *Engine) Retain(ctx context.Context, at Subject, mode meta.LockMode, until time.Time, bypass bool) (Object, error) {
	if err := e.lockable(ctx, at); err != nil {
		return Object{}, err
	}
	return e.Amend(ctx, at, func(m *Marks) error {
		next := meta.Lock{Mode: mode, Until: until, Hold: m.Lock.Hold}
		if !mayRetain(m.Lock, next, e.now(), bypass) {
			return errProtected()
		}
		m.Lock = next
		return nil
	})
}

// mayRetain decides a change of retention.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func mayRetain(old, next meta.Lock, now time.Time, bypass bool) bool {
	old.Hold = false // a legal hold is another matter
	if !old.Forbids(now, bypass) {
		return true
	}
	return next.Mode == old.Mode && !storedLock(next).Until.Before(old.Until)
}

// Hold places or lifts the legal hold of a version. Errors: as Amend;
// InvalidRequest for a bucket without locks.
func (e *Engine) Hold(ctx context.Context, at Subject, on bool) (Object, error) {
	if err := e.lockable(ctx, at); err != nil {
		return Object{}, err
	}
	return e.Amend(ctx, at, func(m *Marks) error {
		m.Lock.Hold, m.HoldLifted = on, !on
		return nil
	})
}

// LockOf reads the marks of a version of a bucket that has locks. Errors as Hold.
func (e *Engine) LockOf(ctx context.Context, at Subject) (Object, error) {
	if err := e.lockable(ctx, at); err != nil {
		return Object{}, err
	}
	return e.MarksOf(ctx, at)
}

// lockable refuses what speaks of locks in a bucket without them. An object that is
// not there is told first, as S3 does.
func (e *Engine) lockable(ctx context.Context, at Subject) error {
	if at.Bucket.Lock {
		return nil
	}
	if _, err := e.MarksOf(ctx, at); err != nil {
		return err
	}
	return s3err.New(s3err.InvalidRequest, "Bucket is missing Object Lock Configuration")
}
