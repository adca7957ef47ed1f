package buckets

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// settingLimits is the name of a bucket's limits among its settings.
const settingLimits = "limits"

// Limits are the limits of a bucket.
// It reads also where other settings are broken: limits that can be read hold.
func (bs *Buckets) Limits(ctx context.Context, b meta.Bucket) (meta.Limits, error) {
	s, err := bs.ReadableSettings(ctx, b)
	if err != nil {
		return meta.Limits{}, err
	}
	l, _, err := Parsed(s, settingLimits, meta.ParseLimits)
	return l, err
}

// SetLimits replaces the limits of a bucket, also those that cannot be read.
func (bs *Buckets) SetLimits(ctx context.Context, b meta.Bucket, l meta.Limits) error {
	doc, err := l.OfBucket()
	if err != nil {
		return err
	}
	return bs.SetSetting(ctx, b, settingLimits, doc)
}

// ChangeLimits changes the limits of a bucket from what they are. It calls
// change again when they changed meanwhile.
// Limits that cannot be read are an error here, because there is nothing to change them from.
func (bs *Buckets) ChangeLimits(ctx context.Context, b meta.Bucket, change func(*meta.Limits) error) error {
	return bs.UpdateSetting(ctx, b, settingLimits, func(s *Settings) ([]byte, error) {
		l, _, err := Parsed(s, settingLimits, meta.ParseLimits)
		if err == nil {
			err = change(&l)
		}
		if err != nil {
			return nil, err
		}
		return l.OfBucket()
	})
}

// quotaExceeded says which quota it was, and not by how much: the client may know
// no more of its tenant than its own requests.
func quotaExceeded(of string) error {
	return s3err.New(s3err.QuotaExceeded, "The quota of the %s is used up.", of)
}

// Admit refuses to take up more than the quotas of the bucket and of its owner
// have left. The usage that it is held against may be usageTTL old, but for
// what this gateway itself stored since: so a quota may be exceeded by what all
// other gateways store in that time.
// Errors: QuotaExceeded, and faults of settings or the store, by which nothing is admitted.
func (bs *Buckets) Admit(ctx context.Context, b meta.Bucket, more meta.Usage) error {
	return bs.admit(ctx, b, func(u *usageSeen, l meta.Limits) bool { return u.fits(l, more) })
}

// Claim is Admit that counts more at once, before it is stored: requests at the same
// time, however many, do not share the same room. The caller ends the claim once, when it
// knows whether more was stored or may have been. end is never nil. Errors are those of
// Admit, with which nothing is counted.
func (bs *Buckets) Claim(ctx context.Context, b meta.Bucket, more meta.Usage) (end func(stored bool), err error) {
	var claimed []*usageSeen
	end = func(stored bool) {
		for _, u := range claimed {
			u.end(more, stored)
		}
	}
	err = bs.admit(ctx, b, func(u *usageSeen, l meta.Limits) bool {
		if !u.claim(l, more) {
			return false
		}
		claimed = append(claimed, u)
		return true
	})
	if err != nil {
		end(false)
		return func(bool) {}, err
	}
	return end, nil
}

// admit asks for the room that the bucket and its owner have, each if it has a quota:
// fits is told the limits and the usage.
func (bs *Buckets) admit(ctx context.Context, b meta.Bucket, fits func(*usageSeen, meta.Limits) bool) error {
	l, err := bs.Limits(ctx, b)
	if err != nil {
		return err
	}
	// The usage is read only where a quota needs it.
	if l.Stored() {
		u, err := bs.usageOf(ctx, b.ID, bs.Store.BucketUsage)
		if err != nil {
			return err
		}
		if !fits(u, l) {
			return quotaExceeded("bucket")
		}
	}
	if l, err = bs.Accounts.Limits(ctx, b.Owner); err != nil || !l.Stored() {
		return err
	}
	u, err := bs.usageOf(ctx, b.Owner, bs.Store.OwnerUsage)
	if err != nil {
		return fmt.Errorf("read a tenant's usage: %w", err)
	}
	if !fits(u, l) {
		return quotaExceeded("tenant")
	}
	return nil
}
