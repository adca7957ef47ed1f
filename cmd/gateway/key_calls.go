package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sanctum-storage/gateway/encrypt"
)

// keyCalls counts the calls of the key providers by what came of them. Each call but a
// check opens or wraps the seed of one bucket or of the system.
type keyCalls struct {
	total *prometheus.CounterVec
	time  *prometheus.HistogramVec
}

// Operations of a key provider, as the metrics name them.
const (
	keyWrap   = "wrap"
	keyUnwrap = "unwrap"
	keyRewrap = "rewrap"
	keyCheck  = "check"
)

// keyCallBuckets are in seconds: from a key file to the limit of a service's answer.
var keyCallBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newKeyCalls() *keyCalls {
	return &keyCalls{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sanctum_key_provider_calls_total",
			Help: "Calls of a key provider, by operation (wrap, unwrap, rewrap, check) and outcome: ok, unavailable, denied, disabled, not_found, wrong_key, corrupt, cancelled, failed."},
			[]string{"provider", "operation", "outcome"}),
		time: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sanctum_key_provider_call_seconds",
			Help: "Time that a key provider took for a call.", Buckets: keyCallBuckets}, []string{"provider", "operation"}),
	}
}

// Describe implements prometheus.Collector.
func (c *keyCalls) Describe(ch chan<- *prometheus.Desc) {
	c.total.Describe(ch)
	c.time.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *keyCalls) Collect(ch chan<- prometheus.Metric) {
	c.total.Collect(ch)
	c.time.Collect(ch)
}

// of returns the provider with its calls counted under a configured name.
func (c *keyCalls) of(name string, p encrypt.Provider) encrypt.Provider {
	// The series are there before the first failure: an increase is seen only between two values.
	for _, operation := range []string{keyWrap, keyUnwrap} {
		c.total.WithLabelValues(name, operation, keyFailed)
		for _, outcome := range keyOutcomes {
			c.total.WithLabelValues(name, operation, outcome.name)
		}
	}
	return &countedProvider{p, name, c}
}

func (c *keyCalls) count(provider, operation string, began time.Time, err error) {
	c.total.WithLabelValues(provider, operation, keyOutcome(err)).Inc()
	c.time.WithLabelValues(provider, operation).Observe(time.Since(began).Seconds())
}

// keyFailed is the outcome of calls that failed as none of keyOutcomes says.
const keyFailed = "failed"

// keyOutcomes are the outcomes of calls that failed, a kind before those it is a kind of.
var keyOutcomes = []struct {
	err  error
	name string
}{
	{encrypt.ErrDenied, "denied"},
	{encrypt.ErrUnavailable, "unavailable"},
	{encrypt.ErrKeyDisabled, "disabled"},
	{encrypt.ErrKeyNotFound, "not_found"},
	{encrypt.ErrWrongKey, "wrong_key"},
	{encrypt.ErrCorrupt, "corrupt"},
	{context.DeadlineExceeded, "unavailable"}, // it hangs, and a second one is asked
	{context.Canceled, "cancelled"},
}

func keyOutcome(err error) string {
	if err == nil {
		return "ok"
	}
	for _, o := range keyOutcomes {
		if errors.Is(err, o.err) {
			return o.name
		}
	}
	return keyFailed
}

// countedProvider is a provider whose calls are counted.
type countedProvider struct {
	encrypt.Provider
	name  string
	calls *keyCalls
}

// Wrap implements encrypt.Provider.
func (p *countedProvider) Wrap(ctx context.Context, c encrypt.Context, secret []byte) (wrapped []byte, err error) {
	defer func(began time.Time) { p.calls.count(p.name, keyWrap, began, err) }(time.Now())
	return p.Provider.Wrap(ctx, c, secret)
}

// Unwrap implements encrypt.Provider.
func (p *countedProvider) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) (secret []byte, err error) {
	defer func(began time.Time) { p.calls.count(p.name, keyUnwrap, began, err) }(time.Now())
	return p.Provider.Unwrap(ctx, c, wrapped)
}

// Rewrap implements encrypt.Provider.
func (p *countedProvider) Rewrap(ctx context.Context, c encrypt.Context, wrapped []byte) (again []byte, err error) {
	defer func(began time.Time) { p.calls.count(p.name, keyRewrap, began, err) }(time.Now())
	return p.Provider.Rewrap(ctx, c, wrapped)
}

// Check implements encrypt.Provider.
func (p *countedProvider) Check(ctx context.Context) (err error) {
	defer func(began time.Time) { p.calls.count(p.name, keyCheck, began, err) }(time.Now())
	return p.Provider.Check(ctx)
}
