package meta

import (
	"bytes"
	"encoding/json"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits bound the use by a tenant, a user or a bucket. Zero is no limit. Bytes and
// Versions apply across all gateways; the others apply at each gateway.
type Limits struct {
	Bytes      int64 `json:"bytes,omitempty"`      // plaintext of objects, all versions of them, and of parts
	Versions   int64 `json:"versions,omitempty"`   // of objects and open uploads; delete markers have the same limit again
	Requests   int64 `json:"requests,omitempty"`   // begun per second
	Concurrent int64 `json:"concurrent,omitempty"` // requests in progress
	Upload     int64 `json:"upload,omitempty"`     // bytes of request bodies per second
	Download   int64 `json:"download,omitempty"`   // bytes of response bodies per second
	Buckets    int64 `json:"buckets,omitempty"`    // of a tenant; zero means the gateway's default
}

// IsZero reports whether nothing is limited.
func (l Limits) IsZero() bool { return l == Limits{} }

// Check refuses negative limits.
func (l Limits) Check() error {
	if min(l.Bytes, l.Versions, l.Requests, l.Concurrent, l.Upload, l.Download, l.Buckets) < 0 {
		return s3err.New(s3err.InvalidArgument, "A limit is a number above zero, or zero for none.")
	}
	return nil
}

// CheckUser refuses limits that do not apply to users: stored objects belong to the
// tenant.
func (l Limits) CheckUser() error {
	if l.Stored() || l.Buckets > 0 {
		return s3err.New(s3err.InvalidArgument, "A user has no quota of its own: objects belong to its tenant.")
	}
	return l.Check()
}

// ParseLimits reads stored limits. Limits that it cannot read are an error, because
// they must not count as none.
func ParseLimits(doc []byte) (l Limits, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err = d.Decode(&l); err == nil {
		err = l.Check()
	}
	return l, err
}

// Document returns checked limits as they are stored; nil if there are none.
func (l Limits) Document() ([]byte, error) {
	if err := l.Check(); err != nil || l.IsZero() {
		return nil, err
	}
	return json.Marshal(l)
}

// OfBucket returns the document of a bucket's limits.
func (l Limits) OfBucket() ([]byte, error) {
	if l.Buckets != 0 {
		return nil, s3err.New(s3err.InvalidArgument, "A number of buckets limits tenants alone.")
	}
	return l.Document()
}

// entryCharge is the number of bytes that a version, a delete marker, an open upload
// or a part of one adds to a quota of bytes, beside its own bytes: about the size of
// their rows. So a quota of bytes also bounds their number.
const entryCharge = 1 << 10

// Over reports whether taking up more would exceed the limits. A change that takes
// up no more never does, because a limit may have been lowered. Delete markers are
// counted on their own, so that deletions still work in a full bucket.
func (l Limits) Over(u, more Usage) bool {
	if more.Markers > 0 && (beyond((u.Markers+more.Markers)*entryCharge, l.Bytes) || beyond(u.Markers+more.Markers, l.Versions)) {
		return true
	}
	bytes, versions := weigh(u)
	moreBytes, moreVersions := weigh(more)
	return moreBytes > 0 && beyond(bytes+moreBytes, l.Bytes) || moreVersions > 0 && beyond(versions+moreVersions, l.Versions)
}

// weigh returns the bytes and versions that a usage, or a change of one, counts
// for, without its delete markers.
func weigh(u Usage) (bytes, versions int64) {
	return u.Bytes + u.PartBytes + (u.Versions+u.Uploads+u.Parts)*entryCharge, u.Versions + u.Uploads
}

// beyond reports whether n exceeds a limit that is set.
func beyond(n, limit int64) bool { return limit > 0 && n > limit }

// Stored reports whether the limits bound what is stored.
func (l Limits) Stored() bool { return l.Bytes > 0 || l.Versions > 0 }
