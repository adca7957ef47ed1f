package engine

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// inventoryColumns are the optional ones in the order in which files have them.
var inventoryColumns = []string{
	"Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded", "ReplicationStatus", "EncryptionStatus",
	"ObjectLockRetainUntilDate", "ObjectLockMode", "ObjectLockLegalHoldStatus", "IntelligentTieringAccessTier",
	"BucketKeyStatus", "ChecksumAlgorithm", "ObjectOwner", "LifecycleExpirationDate",
}

// inventoryTime is how files show times.
const inventoryTime = "2006-01-02T15:04:05.000Z"

// columns name the columns of the configuration's files.
func (c *Inventory) columns() []string {
	out := []string{"Bucket", "Key"}
	if c.Versions {
		out = append(out, "VersionId", "IsLatest", "IsDeleteMarker")
	}
	for _, column := range inventoryColumns {
		if slices.Contains(c.Fields, column) {
			out = append(out, column)
		}
	}
	return out
}

// row appends a version's line. Keys are URL-encoded, as in S3's files.
func (l *inventoryList) row(ctx context.Context, b []byte, v *meta.Version) ([]byte, error) {
	record, err := l.e.openRow(ctx, v)
	if err != nil {
		return b, err
	}
	row := inventoryRow{l: l, v: *v, entry: versionEntry(v, &record)}
	for i, column := range l.c.columns() {
		value, err := row.value(ctx, column)
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

// inventoryRow is a version with what listings show of it.
type inventoryRow struct {
	l     *inventoryList
	v     meta.Version
	entry VersionEntry
}

// value is what stands in a column; empty where the version has nothing of it.
func (r *inventoryRow) value(ctx context.Context, column string) (string, error) {
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
		return v.Modified.UTC().Truncate(time.Second).Format(inventoryTime), nil
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
			return standardClass, nil
		}
		return r.entry.StorageClass, nil
	case "IsMultipartUploaded":
		return strconv.FormatBool(v.Body.Kind == meta.BodyUpload), nil
	case "EncryptionStatus":
		return map[meta.Encryption]string{meta.EncryptionManaged: "SSE-S3", meta.EncryptionKMS: "SSE-KMS", meta.EncryptionCustomer: "SSE-C"}[v.Encryption], nil
	case "ChecksumAlgorithm":
		return r.entry.ChecksumAlgorithm, nil
	case "BucketKeyStatus":
		m, err := r.l.e.openMarks(ctx, *v)
		if m.BucketKey {
			return "ENABLED", err
		}
		return "DISABLED", err
	case "LifecycleExpirationDate":
		return r.expiration(ctx)
	}
	return r.lock(column), nil
}

// lock is what stands in the columns of a version's lock.
func (r *inventoryRow) lock(column string) string {
	lock := r.v.Lock
	switch {
	case column == "ObjectLockLegalHoldStatus" && lock.Hold:
		return "On"
	case column == "ObjectLockLegalHoldStatus" && r.l.b.Lock:
		return "Off"
	case lock.Mode == meta.LockNone:
		return ""
	case column == "ObjectLockRetainUntilDate":
		return lock.Until.UTC().Format(inventoryTime)
	case column == "ObjectLockMode" && lock.Mode == meta.LockGovernance:
		return "GOVERNANCE"
	case column == "ObjectLockMode":
		return "COMPLIANCE"
	}
	return ""
}

// expiration is when a rule ends the current version.
func (r *inventoryRow) expiration(ctx context.Context) (string, error) {
	if !r.v.Latest {
		return "", nil
	}
	lifecycle, err := r.l.e.lifecycle(ctx, r.l.b)
	if err != nil || lifecycle == nil {
		return "", err
	}
	x, ok, err := lifecycle.expiration(&subject{
		key: r.v.Key, size: r.v.Size, modified: r.v.Modified,
		tags: func() ([]Pair, error) { m, err := r.l.e.openMarks(ctx, r.v); return m.Tags, err },
	})
	if err != nil || !ok {
		return "", err
	}
	return x.At.UTC().Format(inventoryTime), nil
}
