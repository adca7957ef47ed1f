package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// The headers that lock a new object and show a lock.
const (
	lockModeHeader  = "X-Amz-Object-Lock-Mode"
	lockUntilHeader = "X-Amz-Object-Lock-Retain-Until-Date"
	lockHoldHeader  = "X-Amz-Object-Lock-Legal-Hold"
	bypassHeader    = "X-Amz-Bypass-Governance-Retention"

	holdOn  = "ON"
	holdOff = "OFF"
)

// lockModes are S3's names of retention modes.
var lockModes = map[string]meta.LockMode{"GOVERNANCE": meta.LockGovernance, "COMPLIANCE": meta.LockCompliance}

// lockModeName returns S3's name of a retention mode.
func lockModeName(m meta.LockMode) string {
	for name, mode := range lockModes {
		if mode == m {
			return name
		}
	}
	return ""
}

// sayLock reads the headers that lock a new object.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (r *Request) sayLock(a *asked) {
	if r.HasHeader(lockModeHeader) {
		a.lockMode = saying(lockModes[r.Header(lockModeHeader)], nil)
		if a.lockMode.value == meta.LockNone {
			a.lockMode.err = badLock(lockModeHeader, r.Header(lockModeHeader), "Unknown wormMode directive.")
		}
	}
	if r.HasHeader(lockUntilHeader) {
		a.lockUntil = saying(r.retainUntil(r.Header(lockUntilHeader)))
	}
	if r.HasHeader(lockHoldHeader) {
		value := r.Header(lockHoldHeader)
		a.hold = saying(value == holdOn, nil)
		if value != holdOn && value != holdOff {
			a.hold.err = badLock(lockHoldHeader, value, "Legal Hold must be either of 'ON' or 'OFF'")
		}
	}
}

// newLock returns the lock of the new object. lifted tells that a legal hold
// was given as off.
func (r *Request) newLock() (lock meta.Lock, lifted bool, err error) {
	mode, until, hold := &r.asked.lockMode, &r.asked.lockUntil, &r.asked.hold
	switch {
	case !mode.given && !until.given && !hold.given:
		return lock, false, nil
	case mode.given && !until.given:
		return lock, false, halfLock(lockUntilHeader)
	case until.given && !mode.given:
		return lock, false, halfLock(lockModeHeader)
	}
	for _, err := range []error{mode.err, until.err, hold.err} {
		if err != nil {
			return lock, false, err
		}
	}
	if !r.Bucket.Lock {
		return lock, false, s3err.New(s3err.InvalidRequest, "Bucket is missing ObjectLockConfiguration")
	}
	return meta.Lock{Mode: mode.value, Until: until.value, Hold: hold.value}, hold.given && !hold.value, nil
}

// halfLock refuses a mode without a date, or a date without a mode.
func halfLock(missing string) error {
	return badLock(missing, "", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied.")
}

// badLock refuses a header of a lock.
func badLock(header, value, message string) error {
	return s3err.New(s3err.InvalidArgument, "%s", message).
		With("ArgumentName", strings.ToLower(header)).With("ArgumentValue", value)
}

// retainUntil parses the end of a retention, which must be in the future.
func (r *Request) retainUntil(value string) (time.Time, error) {
	t, ok := strict.DateTime(value)
	if !ok {
		return t, badLock(lockUntilHeader, value, "The retain until date must be provided in ISO 8601 format")
	}
	if !t.After(r.Now) {
		return t, badLock(lockUntilHeader, value, "The retain until date must be in the future!")
	}
	return t.UTC(), nil
}

// requireDigest refuses an object that will be locked if its upload has no
// digest: an object that was damaged on its way could not be removed. The rule
// is for clients. The engine does not apply it, because the gateway's own logs
// and lists go into locked buckets too; it applies the default retention when it
// commits, from the same cached settings.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (r *Request) requireDigest(lock meta.Lock, body *engine.Body) error {
	if !r.Bucket.Lock || body.MD5 != nil || body.ChecksumAlgorithm != "" {
		return nil
	}
	if lock == (meta.Lock{}) {
		preset, err := r.server.engine.Buckets().DefaultRetention(r.Context(), r.Bucket)
		if err != nil || preset.Mode == meta.LockNone {
			return err
		}
	}
	return s3err.New(s3err.InvalidRequest,
		"Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
}

// bypasses reports whether the request asks to override a governance retention.
// That needs a right of its own, see bypass.
func (r *Request) bypasses() bool { return strings.EqualFold(r.Header(bypassHeader), "true") }

// setLock shows the object's lock, as far as the sender may see it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (r *Request) setLock(h http.Header, m *engine.Marks) {
	if m.Lock.Mode != meta.LockNone && r.may("s3:GetObjectRetention") {
		h.Set(lockModeHeader, lockModeName(m.Lock.Mode))
		h.Set(lockUntilHeader, m.Lock.Until.UTC().Format(timeForm))
	}
	if (m.Lock.Hold || m.HoldLifted) && r.may("s3:GetObjectLegalHold") {
		h.Set(lockHoldHeader, holdName(m.Lock.Hold))
	}
}

func holdName(on bool) string {
	if on {
		return holdOn
	}
	return holdOff
}
