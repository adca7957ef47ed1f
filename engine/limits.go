package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// settingLimits is the name of a bucket's limits among its settings.
	settingLimits = "limits"
	// documentLimits is what a tenant's limits are sealed as.
	documentLimits = "limits"
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
	Buckets    int64 `json:"buckets,omitempty"`    // of a tenant; zero is Config.MaxBuckets
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
	if l.stored() || l.Buckets > 0 {
		return s3err.New(s3err.InvalidArgument, "A user has no quota of its own: objects belong to its tenant.")
	}
	return l.Check()
}

// parseLimits reads stored limits. One that is not understood must not pass for
// none.
func parseLimits(doc []byte) (l Limits, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err = d.Decode(&l); err == nil {
		err = l.Check()
	}
	return l, err
}

// document is what is stored of checked limits; nil: nothing.
func (l Limits) document() ([]byte, error) {
	if err := l.Check(); err != nil || l.IsZero() {
		return nil, err
	}
	return json.Marshal(l)
}

// ofBucket is the document of limits that a bucket can have.
func (l Limits) ofBucket() ([]byte, error) {
	if l.Buckets != 0 {
		return nil, s3err.New(s3err.InvalidArgument, "A number of buckets limits tenants alone.")
	}
	return l.document()
}

// BucketLimits are the limits of a bucket.
func (e *Engine) BucketLimits(ctx context.Context, b meta.Bucket) (Limits, error) {
	s, err := e.ReadableSettings(ctx, b)
	if err != nil {
		return Limits{}, err
	}
	l, _, err := Parsed(s, settingLimits, parseLimits)
	return l, err
}

// SetBucketLimits replaces the limits of a bucket, also those that cannot be read.
func (e *Engine) SetBucketLimits(ctx context.Context, b meta.Bucket, l Limits) error {
	doc, err := l.ofBucket()
	if err != nil {
		return err
	}
	return e.SetSetting(ctx, b, settingLimits, doc)
}

// ChangeBucketLimits changes the limits of a bucket from what they are. It calls
// change again when they changed meanwhile.
func (e *Engine) ChangeBucketLimits(ctx context.Context, b meta.Bucket, change func(*Limits) error) error {
	return e.UpdateSetting(ctx, b, settingLimits, func(s *Settings) ([]byte, error) {
		l, _, err := Parsed(s, settingLimits, parseLimits)
		if err == nil {
			err = change(&l)
		}
		if err != nil {
			return nil, err
		}
		return l.ofBucket()
	})
}

// TenantLimits are the limits of a tenant; none for one that is gone. The answer
// may be CredentialTTL old.
func (e *Engine) TenantLimits(ctx context.Context, id meta.ID) (Limits, error) {
	if l, ok := e.limits.Get(id); ok {
		return l, nil
	}
	t, err := e.tenant(ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		return Limits{}, nil
	} else if err != nil {
		return Limits{}, storeError(err)
	}
	l, err := e.limitsOf(&t)
	if err != nil {
		return Limits{}, err
	}
	e.limits.Put(id, l)
	return l, nil
}

// limitsOf opens the limits in a tenant's row.
func (e *Engine) limitsOf(t *meta.Tenant) (l Limits, err error) {
	if len(t.Limits) == 0 {
		return l, nil
	}
	doc, err := e.system.OpenDocument(documentLimits, t.ID[:], t.Limits)
	if err == nil {
		l, err = parseLimits(doc)
	}
	if err != nil {
		return Limits{}, internal("open a tenant's limits", err)
	}
	return l, nil
}

// SetTenantLimits replaces the limits of a tenant, also those that cannot be read;
// errors as of ChangeTenantLimits.
func (e *Engine) SetTenantLimits(ctx context.Context, id meta.ID, l Limits) error {
	return e.updateLimits(ctx, id, func(*meta.Tenant) (Limits, error) { return l, nil })
}

// ChangeTenantLimits changes the limits of a tenant from what they are;
// NoSuchEntity. It calls change again when the tenant changed meanwhile. Other
// gateways see the new ones within CredentialTTL.
func (e *Engine) ChangeTenantLimits(ctx context.Context, id meta.ID, change func(*Limits) error) error {
	return e.updateLimits(ctx, id, func(t *meta.Tenant) (Limits, error) {
		l, err := e.limitsOf(t)
		if err != nil {
			return l, err
		}
		err = change(&l)
		return l, err
	})
}

func (e *Engine) updateLimits(ctx context.Context, id meta.ID, next func(*meta.Tenant) (Limits, error)) error {
	err := e.updateTenant(ctx, id, func(t *meta.Tenant) error {
		l, err := next(t)
		if err != nil {
			return err
		}
		if t.Limits, err = l.document(); t.Limits != nil {
			t.Limits = e.system.SealDocument(documentLimits, id[:], t.Limits)
		}
		return err
	})
	if errors.Is(err, meta.ErrNotFound) {
		return s3err.New(s3err.NoSuchEntity, "The tenant cannot be found.")
	}
	e.limits.Drop(id)
	return storeError(err)
}

// quotaExceeded says which quota it was, and not by how much: the client may know
// no more of its tenant than its own requests.
func quotaExceeded(of string) error {
	return s3err.New(s3err.QuotaExceeded, "The quota of the %s is used up.", of)
}

// entryCharge is what a delete marker, an open upload and a part of one count for
// against a quota of bytes, beside the part's own bytes: about what their rows take.
// So a quota of bytes bounds how many there are.
const entryCharge = 1 << 10

// over reports whether taking up more would exceed the limits. What takes up no more
// is never over them: a limit may have been lowered since. Delete markers are held
// against the limits alone, so that a full bucket can still be deleted from.
func (l Limits) over(u meta.Usage, more meta.Usage) bool {
	if more.Markers > 0 && (beyond((u.Markers+more.Markers)*entryCharge, l.Bytes) || beyond(u.Markers+more.Markers, l.Versions)) {
		return true
	}
	bytes, versions := weigh(u)
	moreBytes, moreVersions := weigh(more)
	return moreBytes > 0 && beyond(bytes+moreBytes, l.Bytes) || moreVersions > 0 && beyond(versions+moreVersions, l.Versions)
}

// weigh is what a usage, or a change of one, counts for without its delete markers.
func weigh(u meta.Usage) (bytes, versions int64) {
	return u.Bytes + u.PartBytes + (u.Uploads+u.Parts)*entryCharge, u.Versions + u.Uploads
}

// beyond reports whether there is a limit and it is exceeded.
func beyond(n, limit int64) bool { return limit > 0 && n > limit }

// stored reports whether the limits bound what is stored.
func (l Limits) stored() bool { return l.Bytes > 0 || l.Versions > 0 }

// admit refuses to take up more than the quotas of the bucket and of its owner
// have left. The usage that it is held against may be usageTTL old, but for
// what this gateway itself stored since: so a quota may be exceeded by what all
// other gateways store in that time.
func (e *Engine) admit(ctx context.Context, b meta.Bucket, more meta.Usage) error {
	l, err := e.BucketLimits(ctx, b)
	if err != nil {
		return err
	}
	if l.stored() {
		u, err := e.usageOf(ctx, b.ID, e.store.BucketUsage)
		if err != nil {
			return err
		}
		if l.over(u, more) {
			return quotaExceeded("bucket")
		}
	}
	if l, err = e.TenantLimits(ctx, b.Owner); err != nil || !l.stored() {
		return err
	}
	u, err := e.usageOf(ctx, b.Owner, e.store.OwnerUsage)
	if err != nil {
		return fmt.Errorf("read a tenant's usage: %w", err)
	}
	if l.over(u, more) {
		return quotaExceeded("tenant")
	}
	return nil
}
