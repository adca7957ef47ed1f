package engine

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// lockNew is the lock that a new version gets: the one that was asked for, with
// the bucket's default retention if that says nothing of one.
// A legal hold alone is no retention: the default is added to it.
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
	d, err := e.buckets.DefaultRetention(ctx, b)
	if err == nil && d.Mode != meta.LockNone {
		asked.Mode, asked.Until = d.Mode, d.Until(now)
	}
	return asked, err
}

// errLocked is what clients are told of a version that a lock keeps.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
var errLocked = s3err.New(s3err.AccessDenied, "Access Denied because object protected by object lock.")

// Retain sets the retention of a version; LockNone removes it. One that runs is
// never taken back or shortened, except that bypass overrides LockGovernance.
// Errors: as ChangeMarks; InvalidRequest for a bucket without locks, AccessDenied.
func (e *Engine) Retain(ctx context.Context, at Subject, mode meta.LockMode, until time.Time, bypass bool) (Object, error) {
	if err := e.lockable(ctx, at); err != nil {
		return Object{}, err
	}
	return e.ChangeMarks(ctx, at, func(m *Marks) error {
		next := meta.Lock{Mode: mode, Until: until, Hold: m.Lock.Hold}
		if !mayRetain(m.Lock, next, e.now(), bypass) {
			return errLocked
		}
		m.Lock = next
		return nil
	})
}

// mayRetain decides a change of retention.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
// next may be the same retention again, so that a client can repeat its request.
func mayRetain(old, next meta.Lock, now time.Time, bypass bool) bool {
	old.Hold = false // a legal hold is another matter
	if !old.Forbids(now, bypass) {
		return true
	}
	// A retention that runs may only be extended. Compared as it is stored, so that the same
	// time sent again is not shorter by less than a microsecond.
	return next.Mode == old.Mode && !storedLock(next).Until.Before(old.Until)
}

// Hold places or lifts the legal hold of a version. Errors: as ChangeMarks;
// InvalidRequest for a bucket without locks.
// A hold forbids removal independently of a retention, and has no end.
func (e *Engine) Hold(ctx context.Context, at Subject, on bool) (Object, error) {
	if err := e.lockable(ctx, at); err != nil {
		return Object{}, err
	}
	return e.ChangeMarks(ctx, at, func(m *Marks) error {
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
