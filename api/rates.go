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
	// MaxRateBytes is what the counts of tenants, users and buckets with limits take up at
	// most. One that has no request in progress makes way for another.
	MaxRateBytes = 16 << 20
	// rateBytes is what one of them takes.
	rateBytes = 640
	maxRates  = MaxRateBytes / rateBytes
)

// rates count the requests of tenants, users and buckets that have limits. Who
// has none costs a look at its limits, which are cached.
type rates struct {
	clock
	mu sync.Mutex
	of map[meta.ID]*rateOf
}

// clock is the time by which rates are kept, and how it is waited for.
type clock struct {
	now  func() time.Time
	wait func(context.Context, time.Duration) error
}

// sleep waits for a time to pass, or for the end of the context, which is an error.
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

// rateOf is one that has limits. A tenant's root has its tenant's id, so their
// requests are counted together.
type rateOf struct {
	clock
	limits   meta.Limits
	requests *rate.Limiter // nil: any number
	upload   *rate.Limiter
	download *rate.Limiter
	active   *int64 // requests in progress, by whatever limits they began; under rates.mu
}

func newRateOf(c clock, l meta.Limits) *rateOf {
	limiter := func(perSecond, burst int64) *rate.Limiter {
		if perSecond <= 0 {
			return nil
		}
		return rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond, burst)))
	}
	return &rateOf{clock: c, limits: l, active: new(int64), requests: limiter(l.Requests, 1), upload: limiter(l.Upload, rateBurst), download: limiter(l.Download, rateBurst)}
}

// begin counts a request that is about to be carried out, or refuses it.
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
		} else if len(rs.of) >= maxRates {
			rs.evict()
		}
		r = fresh
		rs.of[id] = r
	}
	if l.Concurrent > 0 && *r.active >= l.Concurrent {
		return nil, s3err.SlowDown
	}
	if r.requests != nil && !r.requests.AllowN(rs.now(), 1) {
		return nil, s3err.SlowDown
	}
	*r.active++
	return r, nil
}

// evict makes room for one more.
func (rs *rates) evict() {
	for id, r := range rs.of {
		if *r.active == 0 {
			delete(rs.of, id)
			return
		}
	}
}

func (rs *rates) end(r *rateOf) {
	rs.mu.Lock()
	*r.active--
	rs.mu.Unlock()
}

// limitKnown counts the request with whoever is known to have sent it, before the
// store is asked for anything but their limits, which are cached: what is refused
// here costs the others next to nothing.
func (x *exchange) limitKnown() error {
	r := x.req
	if r.Owner().IsZero() {
		return nil
	}
	return x.limitSender(r.Owner(), meta.ID(r.Principal.ID), r.limits)
}

// limitBucket counts the request with the bucket, and with the bucket's owner where
// nobody is known to have sent it.
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
	l, err := x.server.engine.BucketLimits(r.Context(), r.Bucket)
	if err != nil {
		return err
	}
	return x.countWith(r.Bucket.ID, l, "the bucket is at its limit")
}

// limitSender counts the request with a tenant, and with a user that has limits.
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

// endRates gives back what limit took.
func (x *exchange) endRates() {
	for _, r := range x.rates {
		x.server.rates.end(r)
	}
}

// pace waits until n bytes more may pass by everybody's limit.
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
				taken.CancelAt(r.now())
				return err
			}
		}
	}
	return nil
}

func uploadOf(r *rateOf) *rate.Limiter   { return r.upload }
func downloadOf(r *rateOf) *rate.Limiter { return r.download }
