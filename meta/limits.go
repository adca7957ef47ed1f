package meta

import (
	"bytes"
	"encoding/json"

	"github.com/sanctum-storage/gateway/s3err"
)

// Limits bound what a tenant, a user or a bucket may take up. Zero is no limit.
// Bytes and Versions hold over all gateways; the others hold at each.
type Limits struct {
	Bytes      int64 `json:"bytes,omitempty"`      // of objects, all versions of them, and of parts; plaintext
	Versions   int64 `json:"versions,omitempty"`   // of objects and open uploads; of delete markers as many again
	Requests   int64 `json:"requests,omitempty"`   // begun in a second
	Concurrent int64 `json:"concurrent,omitempty"` // requests in progress
	Upload     int64 `json:"upload,omitempty"`     // bytes of bodies received in a second
	Download   int64 `json:"download,omitempty"`   // bytes of bodies sent in a second
	Buckets    int64 `json:"buckets,omitempty"`    // of a tenant; zero is the gateway's default
}

// IsZero reports that nothing is limited.
func (l Limits) IsZero() bool { return l == Limits{} }

// Check refuses limits that are below zero.
func (l Limits) Check() error {
	if min(l.Bytes, l.Versions, l.Requests, l.Concurrent, l.Upload, l.Download, l.Buckets) < 0 {
		return s3err.New(s3err.InvalidArgument, "A limit is a number above zero, or zero for none.")
	}
	return nil
}

// CheckUser refuses limits that a user cannot have: what is stored belongs to its
// tenant.
func (l Limits) CheckUser() error {
	if l.Stored() || l.Buckets > 0 {
		return s3err.New(s3err.InvalidArgument, "A user has no quota of its own: objects belong to its tenant.")
	}
	return l.Check()
}

// ParseLimits reads stored limits. One that is not understood must not pass for
// none.
func ParseLimits(doc []byte) (l Limits, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err = d.Decode(&l); err == nil {
		err = l.Check()
	}
	return l, err
}

// Document is what is stored of checked limits; nil: nothing.
func (l Limits) Document() ([]byte, error) {
	if err := l.Check(); err != nil || l.IsZero() {
		return nil, err
	}
	return json.Marshal(l)
}

// OfBucket is the document of limits that a bucket can have.
func (l Limits) OfBucket() ([]byte, error) {
	if l.Buckets != 0 {
		return nil, s3err.New(s3err.InvalidArgument, "A number of buckets limits tenants alone.")
	}
	return l.Document()
}

// entryCharge is what a delete marker, an open upload and a part of one count for
// against a quota of bytes, beside the part's own bytes: about what their rows take.
// So a quota of bytes bounds how many there are.
const entryCharge = 1 << 10

// Over reports whether taking up more would exceed the limits. What takes up no more
// is never over them: a limit may have been lowered since. Delete markers are held
// against the limits alone, so that a full bucket can still be deleted from.
func (l Limits) Over(u, more Usage) bool {
	if more.Markers > 0 && (beyond((u.Markers+more.Markers)*entryCharge, l.Bytes) || beyond(u.Markers+more.Markers, l.Versions)) {
		return true
	}
	bytes, versions := weigh(u)
	moreBytes, moreVersions := weigh(more)
	return moreBytes > 0 && beyond(bytes+moreBytes, l.Bytes) || moreVersions > 0 && beyond(versions+moreVersions, l.Versions)
}

// weigh is what a usage, or a change of one, counts for without its delete markers.
func weigh(u Usage) (bytes, versions int64) {
	return u.Bytes + u.PartBytes + (u.Uploads+u.Parts)*entryCharge, u.Versions + u.Uploads
}

// beyond reports whether there is a limit and it is exceeded.
func beyond(n, limit int64) bool { return limit > 0 && n > limit }

// Stored reports whether the limits bound what is stored.
func (l Limits) Stored() bool { return l.Bytes > 0 || l.Versions > 0 }
