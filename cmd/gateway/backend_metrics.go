package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sanctum-storage/gateway/backends/guard"
	"github.com/sanctum-storage/gateway/blobs"
)

// backendCollector exports the counts of guards. Its labels take values from
// closed sets: configured names, operations and results.
type backendCollector struct {
	backends map[string]*guard.Guard

	requests, retries, refused, inFlight, breaker *prometheus.Desc
}

// watchBackends adds the counts of remote backends to the metrics.
func (m *metrics) watchBackends(backends map[string]*guard.Guard) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sanctum_backend_"+name, help, append([]string{"backend"}, labels...), nil)
	}
	m.registry.MustRegister(&backendCollector{
		backends: backends,
		requests: desc("requests_total",
			"Finished calls to a remote backend, by operation and result. Retries are not counted.", "operation", "result"),
		retries:  desc("retries_total", "Calls to a remote backend that were retried, and bodies that were resumed."),
		refused:  desc("refused_total", "Calls that were refused at once because the backend is failing."),
		inFlight: desc("requests_in_flight", "Calls to a remote backend in progress."),
		breaker: desc("breaker_state",
			"0 while calls go to the backend, 1 while none do after failures, 2 while it is tried again."),
	})
}

// healthCollector exports the health of the backends as this gateway sees it.
type healthCollector struct {
	health func() []blobs.Health

	up, disagrees, doubtful, unanswered *prometheus.Desc
}

// watchHealth adds the health of the backends to the metrics. health is called
// at each scrape.
func (m *metrics) watchHealth(health func() []blobs.Health) {
	m.registry.MustRegister(&healthCollector{
		health: health,
		up: prometheus.NewDesc("sanctum_backend_up",
			"1 while the backend is the right storage and can be written and read. Checked every 10 seconds.",
			[]string{"backend"}, nil),
		disagrees: prometheus.NewDesc("sanctum_backend_disagrees",
			"1 while the backend and the store contradict each other, as after a restore of an older copy of the store. "+
				"Meanwhile nothing is written or collected there.", []string{"backend"}, nil),
		doubtful: prometheus.NewDesc("sanctum_backend_doubtful_blobs",
			"Blobs that killed gateways wrote and, as far as the store knows, did not commit. They are kept until discarded.",
			[]string{"backend"}, nil),
		unanswered: prometheus.NewDesc("sanctum_backend_unanswered_blobs",
			"Blobs that killed gateways reserved, and of which the backend cannot say whether they are there. They are asked for again.",
			[]string{"backend"}, nil),
	})
}

// Describe implements prometheus.Collector.
func (c *healthCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	ch <- c.disagrees
	ch <- c.doubtful
	ch <- c.unanswered
}

// Collect implements prometheus.Collector.
func (c *healthCollector) Collect(ch chan<- prometheus.Metric) {
	for _, h := range c.health() {
		up, disagrees := 1.0, 0.0
		if h.Away {
			up = 0
		}
		if h.Disagrees {
			disagrees = 1
		}
		ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up, h.Name)
		ch <- prometheus.MustNewConstMetric(c.disagrees, prometheus.GaugeValue, disagrees, h.Name)
		ch <- prometheus.MustNewConstMetric(c.doubtful, prometheus.GaugeValue, float64(h.Doubtful), h.Name)
		ch <- prometheus.MustNewConstMetric(c.unanswered, prometheus.GaugeValue, float64(h.Unanswered), h.Name)
	}
}

// Describe implements prometheus.Collector.
func (c *backendCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.requests, c.retries, c.refused, c.inFlight, c.breaker} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *backendCollector) Collect(ch chan<- prometheus.Metric) {
	for name, b := range c.backends {
		n := b.Stats()
		for op, results := range n.Calls {
			for result, count := range results {
				// Most pairs of operation and result never occur.
				if count > 0 {
					ch <- prometheus.MustNewConstMetric(c.requests, prometheus.CounterValue, float64(count),
						name, guard.Op(op).String(), guard.Result(result).String())
				}
			}
		}
		ch <- prometheus.MustNewConstMetric(c.retries, prometheus.CounterValue, float64(n.Retries), name)
		ch <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(n.Refused), name)
		ch <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(n.InFlight), name)
		ch <- prometheus.MustNewConstMetric(c.breaker, prometheus.GaugeValue, float64(n.Breaker), name)
	}
}
