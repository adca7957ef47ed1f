package main

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keyLogin is a kind of login: the configured name of a key provider, and one of the few
// outcomes that the provider has.
type keyLogin struct{ provider, outcome string }

// Outcomes of a login. Providers that renew credentials have two more.
const (
	loginSucceeded = "login"
	loginFailed    = "login_failed"
)

// keyLogins counts the logins of the key providers, and logs those that failed.
type keyLogins struct {
	log *slog.Logger

	mu     sync.Mutex
	counts map[keyLogin]uint64
	told   map[string]time.Time // when the log was last told of a provider
}

func newKeyLogins(log *slog.Logger) *keyLogins {
	return &keyLogins{log: log, counts: map[keyLogin]uint64{}, told: map[string]time.Time{}}
}

// expect has the metrics show a provider before its first login.
func (l *keyLogins) expect(provider string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[keyLogin{provider, loginSucceeded}] += 0
	l.counts[keyLogin{provider, loginFailed}] += 0
}

// count counts a login or a renewal. err is that of one that failed.
func (l *keyLogins) count(provider, outcome string, err error) {
	l.mu.Lock()
	l.counts[keyLogin{provider, outcome}]++
	now := time.Now()
	tell := err != nil && now.Sub(l.told[provider]) >= failedInterval
	if tell {
		l.told[provider] = now
	}
	l.mu.Unlock()
	if tell {
		l.log.Warn("a login to a key provider failed", "provider", provider, "outcome", outcome, "error", err)
	}
}

// keyLoginCollector exports the counts.
type keyLoginCollector struct {
	logins *keyLogins
	total  *prometheus.Desc
}

// watchKeys adds the logins and calls of key providers to the metrics.
func (m *metrics) watchKeys(logins *keyLogins, calls *keyCalls) {
	m.registry.MustRegister(calls, &keyLoginCollector{logins, prometheus.NewDesc("sanctum_key_provider_logins_total",
		"Logins to a key provider and renewals of its credential, by outcome: login, login_failed, renewal, renewal_failed.",
		[]string{"provider", "outcome"}, nil)})
}

// Describe implements prometheus.Collector.
func (c *keyLoginCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.total }

// Collect implements prometheus.Collector.
func (c *keyLoginCollector) Collect(ch chan<- prometheus.Metric) {
	c.logins.mu.Lock()
	defer c.logins.mu.Unlock()
	for l, n := range c.logins.counts {
		ch <- prometheus.MustNewConstMetric(c.total, prometheus.CounterValue, float64(n), l.provider, l.outcome)
	}
}
