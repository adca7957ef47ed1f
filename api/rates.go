package api

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// MaxRateBytes bounds the memory of the counts of tenants, users and
	// buckets with limits. When it is full, one without a request in progress
	// is dropped; its next request starts afresh.
	MaxRateBytes = 16 << 20
	// rateBytes is the memory of one count.
	rateBytes = 640
	maxRates  = MaxRateBytes / rateBytes
)

// rates counts the requests of tenants, users and buckets that have limits.
// Those without limits cost one look at cached limits.
type rates struct {
	clock
	mu sync.Mutex
	of map[meta.ID]*rateOf
}

// clock is the time by which rates are kept, and the way to wait for it.
type clock struct {
	now  func() time.Time
	wait func(context.Context, time.Duration) error
}

// sleep waits for a duration, or returns an error when the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rateOf is the count of one party with limits. A tenant's root has the
// tenant's id, so that both are counted together.
type rateOf struct {
	clock
	limits   meta.Limits
	requests *rate.Limiter // nil: any number
	upload   *rate.Limiter
	download *rate.Limiter
	active   *int64 // requests in progress, also under former limits; guarded by rates.mu
}

// newRateOf makes the limiters of l. A limit of zero is none.
func newRateOf(c clock, l meta.Limits) *rateOf {
	limiter := func(perSecond, burst int64) *rate.Limiter {
		if perSecond <= 0 {
			return nil
		}
		// A second's worth may pass at once.
		return rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond, burst)))
	}
	return &rateOf{
		clock: c, limits: l, active: new(int64),
		requests: limiter(l.Requests, 1),
		upload:   limiter(l.Upload, rateBurst),
		download: limiter(l.Download, rateBurst),
	}
}

// begin counts a request that is about to be carried out, or refuses it with
// SlowDown. It returns nil for a party without limits.
func (rs *rates) begin(id meta.ID, l meta.Limits) (*rateOf, error) {
	if l.Requests == 0 && l.Concurrent == 0 && l.Upload == 0 && l.Download == 0 {
		return nil, nil
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.of[id]
	if r == nil || r.limits != l {
		fresh := newRateOf(rs.clock, l)
		if r != nil {
			fresh.active = r.active
			// Changed limits keep the number of requests in progress, which will
			// still be counted out.
		} else if len(rs.of) >= maxRates {
			rs.evict()
		}
		r = fresh
		rs.of[id] = r
	}
	// Before the rate, so that a request that is refused here uses up none of it.
	if l.Concurrent > 0 && *r.active >= l.Concurrent {
		return nil, s3err.SlowDown
	}
	if r.requests != nil && !r.requests.AllowN(rs.now(), 1) {
		return nil, s3err.SlowDown
	}
	*r.active++
	return r, nil
}

// evict drops one party that has no request in progress. If all have one, the
// map exceeds its bound by at most the number of requests in progress.
func (rs *rates) evict() {
	for id, r := range rs.of {
		if *r.active == 0 {
			delete(rs.of, id)
			return
		}
	}
}

// end counts a request out.
func (rs *rates) end(r *rateOf) {
	rs.mu.Lock()
	*r.active--
	rs.mu.Unlock()
}

// limitKnown counts the request with its signer's tenant and user. Before it
// the store was asked for nothing but cached limits, so that a refused request
// costs other tenants next to nothing.
func (x *exchange) limitKnown() error {
	r := x.req
	if r.Owner().IsZero() {
		return nil
	}
	return x.limitSender(r.Owner(), meta.ID(r.Principal.ID), r.limits)
}

// limitBucket counts the request with the bucket. An unsigned request counts
// with the bucket's owner as well.
func (x *exchange) limitBucket() error {
	r := x.req
	if r.Bucket.ID.IsZero() {
		return nil
	}
	if r.Owner().IsZero() {
		if err := x.limitSender(r.Bucket.Owner, meta.ID{}, meta.Limits{}); err != nil {
			return err
		}
	}
	l, err := x.server.engine.Buckets().Limits(r.Context(), r.Bucket)
	if err != nil {
		return err
	}
	return x.countWith(r.Bucket.ID, l, "the bucket is at its limit")
}

// limitSender counts the request with a tenant, and with a user that has limits
// of its own.
func (x *exchange) limitSender(tenant, user meta.ID, own meta.Limits) error {
	l, err := x.server.accounts.Limits(x.req.Context(), tenant)
	if err != nil {
		return err
	}
	if err := x.countWith(tenant, l, "the tenant is at its limit"); err != nil || own.IsZero() {
		return err
	}
	return x.countWith(user, own, "the user is at its limit")
}

// countWith counts the request with one party, until endRates.
func (x *exchange) countWith(id meta.ID, l meta.Limits, reason string) error {
	counted, err := x.server.rates.begin(id, l)
	if err != nil {
		x.reason = reason
		return err
	}
	if counted != nil {
		x.rates = append(x.rates, counted)
	}
	return nil
}

// endRates counts the request out of every limit that counted it.
func (x *exchange) endRates() {
	for _, r := range x.rates {
		x.server.rates.end(r)
	}
}

// pace waits until n more bytes may pass by every limit. A limit lets through
// at most one burst at a time, so that longer pieces wait several times.
func pace(ctx context.Context, rates []*rateOf, way func(*rateOf) *rate.Limiter, n int) error {
	for _, r := range rates {
		l := way(r)
		if l == nil {
			continue
		}
		for n := n; n > 0; n -= l.Burst() {
			now := r.now()
			taken := l.ReserveN(now, min(n, l.Burst()))
			delay := taken.DelayFrom(now)
			if delay <= 0 {
				continue
			}
			if err := r.wait(ctx, delay); err != nil {
				// Nothing was passed, so others may have it.
				taken.CancelAt(r.now())
				return err
			}
		}
	}
	return nil
}

func uploadOf(r *rateOf) *rate.Limiter   { return r.upload }
func downloadOf(r *rateOf) *rate.Limiter { return r.download }
