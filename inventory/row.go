package inventory

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
)

// optionalColumns are the columns that a configuration may ask for, in the order of files.
var optionalColumns = []string{
	"Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded", "ReplicationStatus", "EncryptionStatus",
	"ObjectLockRetainUntilDate", "ObjectLockMode", "ObjectLockLegalHoldStatus", "IntelligentTieringAccessTier",
	"BucketKeyStatus", "ChecksumAlgorithm", "ObjectOwner", "LifecycleExpirationDate",
}

// timeFormat is the format of times in data files.
const timeFormat = "2006-01-02T15:04:05.000Z"

// columns are the columns of the configuration's data files.
func (c *Configuration) columns() []string {
	out := []string{"Bucket", "Key"}
	if c.Versions {
		out = append(out, "VersionId", "IsLatest", "IsDeleteMarker")
	}
	for _, column := range optionalColumns {
		if slices.Contains(c.Fields, column) {
			out = append(out, column)
		}
	}
	return out
}

// row appends a version's line. Keys are URL-encoded, as in S3's files.
func (l *list) row(ctx context.Context, b []byte, v *meta.Version) ([]byte, error) {
	// An edited row fails the list: a report must not lend credit to a line that was not
	// proved.
	entry, err := l.s.engine.OpenVersion(ctx, v)
	if err != nil {
		return b, err
	}
	line := line{l: l, v: *v, entry: entry}
	for i, column := range l.c.columns() {
		value, err := line.value(ctx, column)
		if err != nil {
			return b, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, strings.ReplaceAll(value, `"`, `""`)...)
		b = append(b, '"')
	}
	return append(b, '\n'), nil
}

// line is a version and its entry in listings.
type line struct {
	l     *list
	v     meta.Version
	entry engine.VersionEntry
}

// value is the text of a column; empty if the version has no such value.
func (r *line) value(ctx context.Context, column string) (string, error) {
	v := &r.v
	switch column {
	case "Bucket":
		return r.l.b.Name, nil
	case "Key":
		return strings.ReplaceAll(url.QueryEscape(v.Key), "%2F", "/"), nil
	case "VersionId":
		return r.entry.Version.String(), nil
	case "IsLatest":
		return strconv.FormatBool(v.Latest), nil
	case "IsDeleteMarker":
		return strconv.FormatBool(v.Marker), nil
	case "LastModifiedDate":
		return v.Modified.UTC().Truncate(time.Second).Format(timeFormat), nil
	case "ObjectOwner":
		return v.Owner.Canonical(), nil
	}
	if v.Marker {
		return "", nil
	}
	switch column {
	case "Size":
		return strconv.FormatInt(v.Size, 10), nil
	case "ETag":
		return r.entry.ETag, nil
	case "StorageClass":
		if r.entry.StorageClass == "" {
			return engine.StandardClass, nil
		}
		return r.entry.StorageClass, nil
	case "IsMultipartUploaded":
		return strconv.FormatBool(v.Body.Kind == meta.BodyUpload), nil
	case "EncryptionStatus":
		return map[meta.Encryption]string{meta.EncryptionManaged: "SSE-S3", meta.EncryptionKMS: "SSE-KMS", meta.EncryptionCustomer: "SSE-C"}[v.Encryption], nil
	case "ChecksumAlgorithm":
		return r.entry.ChecksumAlgorithm, nil
	case "BucketKeyStatus":
		m, err := r.l.s.engine.OpenMarks(ctx, *v)
		if m.BucketKey {
			return "ENABLED", err
		}
		return "DISABLED", err
	case "LifecycleExpirationDate":
		return r.expiration(ctx)
	}
	return r.lock(column), nil
}

// lock is the text of the columns about a version's lock.
func (r *line) lock(column string) string {
	lock := r.v.Lock
	switch {
	case column == "ObjectLockLegalHoldStatus" && lock.Hold:
		return "On"
	case column == "ObjectLockLegalHoldStatus" && r.l.b.Lock:
		return "Off"
	case lock.Mode == meta.LockNone:
		return ""
	case column == "ObjectLockRetainUntilDate":
		return lock.Until.UTC().Format(timeFormat)
	case column == "ObjectLockMode" && lock.Mode == meta.LockGovernance:
		return "GOVERNANCE"
	case column == "ObjectLockMode":
		return "COMPLIANCE"
	}
	return ""
}

// expiration is the time at which a rule ends the current version.
// It is empty for versions that are not current.
func (r *line) expiration(ctx context.Context) (string, error) {
	if !r.v.Latest {
		return "", nil
	}
	rules, err := lifecycle.Read(ctx, r.l.s.engine, r.l.b)
	if err != nil || rules == nil {
		return "", err
	}
	x, ok, err := rules.ExpiryOf(r.v.Key, r.v.Size, r.v.Modified, func() ([]engine.Pair, error) {
		m, err := r.l.s.engine.OpenMarks(ctx, r.v)
		return m.Tags, err
	})
	if err != nil || !ok {
		return "", err
	}
	return x.At.UTC().Format(timeFormat), nil
}
