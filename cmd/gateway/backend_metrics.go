package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sanctum-storage/gateway/backends/guard"
	"github.com/sanctum-storage/gateway/blobs"
)

// backendCollector shows the counts of guards. Its labels take values from
// closed sets: configured names, operations and results.
type backendCollector struct {
	backends map[string]*guard.Guard

	requests, retries, refused, inFlight, breaker *prometheus.Desc
}

// watchBackends shows the counts of remote backends among the metrics.
func (m *metrics) watchBackends(backends map[string]*guard.Guard) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sanctum_backend_"+name, help, append([]string{"backend"}, labels...), nil)
	}
	m.registry.MustRegister(&backendCollector{
		backends: backends,
		requests: desc("requests_total", "Calls of a remote backend that ended, by operation and result; retries are not counted.", "operation", "result"),
		retries:  desc("retries_total", "Calls of a remote backend that were tried again, and bodies taken up again."),
		refused:  desc("refused_total", "Calls that were refused at once because the backend has been failing."),
		inFlight: desc("requests_in_flight", "Calls of a remote backend under way."),
		breaker:  desc("breaker_state", "0 while calls go to the backend, 1 while it is left alone after failures, 2 while it is tried again."),
	})
}

// healthCollector shows what the engine knows of its backends.
type healthCollector struct {
	health func() []blobs.Health

	up, disagrees, doubtful *prometheus.Desc
}

// watchHealth shows what a gateway knows of its backends among the metrics.
func (m *metrics) watchHealth(health func() []blobs.Health) {
	m.registry.MustRegister(&healthCollector{
		health: health,
		up: prometheus.NewDesc("sanctum_backend_up",
			"1 while the backend answers: it is the right storage, and can be written to and read from. Asked every 10 seconds.", []string{"backend"}, nil),
		disagrees: prometheus.NewDesc("sanctum_backend_disagrees",
			"1 while the backend and the store do not agree, as when the store was restored from an older copy: nothing is written there, and nothing is collected.", []string{"backend"}, nil),
		doubtful: prometheus.NewDesc("sanctum_backend_doubtful_blobs",
			"Blobs that killed gateways wrote and did not commit as far as the store knows; kept until they are discarded.", []string{"backend"}, nil),
	})
}

// Describe implements prometheus.Collector.
func (c *healthCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	ch <- c.disagrees
	ch <- c.doubtful
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
