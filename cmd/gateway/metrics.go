package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/reseal"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/rotate"
	"github.com/sanctum-storage/gateway/workers"
)

// metrics are the metrics of the process, in a registry of their own. Labels
// take values from closed sets only: operations and error codes are tables in
// the source.
type metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	signed    *prometheus.CounterVec
	received  *prometheus.CounterVec
	sent      *prometheus.CounterVec
	inFlight  gate // of the S3 listener

	steps     *prometheus.CounterVec
	stepTime  *prometheus.CounterVec
	panics    *prometheus.CounterVec
	condemned prometheus.Counter
	doubtful  prometheus.Counter
	deleted   prometheus.Counter
	swept     prometheus.Counter
	expired   prometheus.Counter
	refused   prometheus.Gauge
	lifecycle lifecycleMetrics
	logs      *prometheus.CounterVec
	sealing   prometheus.Gauge
	resealed  *prometheus.CounterVec
	rewrapped *prometheus.CounterVec
	renewed   *prometheus.CounterVec
	unrenewed prometheus.Gauge
	damage    *prometheus.CounterVec
}

// durationBuckets are in seconds, from a small HEAD to an upload of 5 GiB over
// a slow line.
var durationBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}

// newMetrics creates and registers the metrics that need nothing else.
// watchLog, watchBackends, watchHealth and watchDamage add the others.
func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sanctum_" + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sanctum_" + name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "sanctum_" + name, Help: help})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),

		requests: counters("requests_total", "Finished S3 requests, by operation, HTTP status and error code.", "operation", "status", "code"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sanctum_request_duration_seconds",
			Help: "Time from the header of a request to the end of its answer.", Buckets: durationBuckets}, []string{"operation"}),
		signed:   counters("requests_by_signature_total", "S3 requests whose signature was verified, by its version: SigV2 or SigV4.", "version"),
		received: counters("request_body_bytes_total", "Bytes of request bodies that were received.", "operation"),
		sent:     counters("response_body_bytes_total", "Bytes of response bodies that were sent.", "operation"),

		steps:     counters("worker_steps_total", "Background steps, by worker and result (ok or error).", "worker", "result"),
		stepTime:  counters("worker_step_seconds_total", "Time spent in background steps.", "worker"),
		panics:    counters("worker_panics_total", "Background steps that ended in a panic.", "worker"),
		condemned: counter("collector_condemned_blobs_total", "Abandoned reservations that the collector condemned."),
		doubtful: counter("collector_doubtful_blobs_total",
			"Blobs that the collector kept although their process is gone: as far as the store knows, it did not commit them."),
		deleted: counter("collector_deleted_blobs_total", "Blobs that the collector deleted from the backend."),
		swept:   counter("collector_swept_rows_total", "Rows of ended uploads and deleted buckets that were removed."),
		expired: counter("collector_expired_uploads_total", "Open uploads that were aborted because of their age."),
		refused: gauge("collector_refused", "1 while the collector refuses to delete because the store and a backend contradict each other: "+
			"one of them seems older than the other, or does not belong to it."),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sanctum_requests_in_flight", Help: "S3 requests in progress."},
		func() float64 { return float64(m.inFlight.under.Load()) })
	b := thisBuild()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sanctum_build_info", Help: "Always 1; the labels describe the binary.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "go": b.Go}})
	build.Set(1)
	m.lifecycle.begin(m.registry)
	m.logs = counters("access_log_records_total",
		"Records of requests for server access logs: delivered, or dropped for lack of room or because their target is gone.", "result")
	m.sealing = gauge("store_sealing",
		"How much of the store is sealed: 1 as by an older release, whose gateways may still run; 2 old rows are being sealed; 3 all rows.")
	m.resealed = counters("store_resealed_rows_total",
		"Rows of an older release that were examined for sealing: ok, or failed if they cannot be opened.", "rows", "result")
	m.rewrapped = counters("key_rewrapped_seeds_total",
		"Seeds that gateway key rewrap brought under the current key: ok, or failed if they cannot be opened.", "result")
	m.renewed = counters("key_rotation_rows_total",
		"Rows that the rotation of buckets' keys brought under the newest generation: ok, or failed if they cannot be opened.", "result")
	m.unrenewed = gauge("key_rotation_rows_left",
		"Rows that the running rotation of buckets' keys has still to bring under the newest generation, by its count; 0 while none is running.")
	m.damage = counters("integrity_failures_total",
		"Stored data that differs from the data written, by backend (empty: the store) and kind (bytes, missing, copy or row).",
		"backend", "kind")
	m.registry.MustRegister(m.logs, m.sealing, m.resealed, m.rewrapped, m.renewed, m.unrenewed, m.damage)
	m.registry.MustRegister(m.requests, m.durations, m.signed, m.received, m.sent, inFlight,
		m.steps, m.stepTime, m.panics, m.condemned, m.doubtful, m.deleted, m.swept, m.expired, m.refused, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watchLog adds the number of dropped lines of the log.
func (m *metrics) watchLog(dropped func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "sanctum_log_dropped_lines_total",
		Help: "Lines of the process's log that were dropped because their reader was slow, stalled or gone."},
		func() float64 { return float64(dropped()) }))
}

// Request counts a finished request. It is api.Config.Observe.
func (m *metrics) Request(o api.Observation) {
	op := o.Operation
	// The request was refused before its row in the operation table was known.
	if op == "" {
		op = "unknown"
	}
	m.requests.WithLabelValues(op, strconv.Itoa(o.Status), o.Code).Inc()
	if o.Signature != "" {
		m.signed.WithLabelValues(o.Signature).Inc()
	}
	m.durations.WithLabelValues(op).Observe(o.Duration.Seconds())
	// A counter panics if it is given less than zero.
	m.received.WithLabelValues(op).Add(float64(max(o.BytesIn, 0)))
	m.sent.WithLabelValues(op).Add(float64(max(o.BytesOut, 0)))
}

// Rewrapped is part of workers.Observer.
func (m *metrics) Rewrapped(r rewrap.Report) {
	m.rewrapped.WithLabelValues("ok").Add(float64(r.Rewrapped))
	m.rewrapped.WithLabelValues("failed").Add(float64(r.Failed))
}

// Renewed is part of workers.Observer.
func (m *metrics) Renewed(r rotate.Report) {
	m.renewed.WithLabelValues("ok").Add(float64(r.Rewrapped))
	m.renewed.WithLabelValues("failed").Add(float64(r.Failed))
	m.unrenewed.Set(float64(r.Left))
}

// Resealed is part of workers.Observer.
func (m *metrics) Resealed(r reseal.Report) {
	m.sealing.Set(float64(r.Sealing))
	if r.Stage != "" {
		m.resealed.WithLabelValues(r.Stage, "ok").Add(float64(r.Rows - r.Failed))
		m.resealed.WithLabelValues(r.Stage, "failed").Add(float64(r.Failed))
	}
}

// Step is part of workers.Observer. A step that met damage which no request
// reports is counted as damage here.
func (m *metrics) Step(worker string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.steps.WithLabelValues(worker, result).Inc()
	m.stepTime.WithLabelValues(worker).Add(took.Seconds())
	if damage.IsUnreported(err) {
		m.damage.WithLabelValues("", damage.Row).Inc()
	}
	if worker == workers.Collector {
		m.refused.Set(0)
		if blobs.Disagrees(err) {
			m.refused.Set(1)
		}
	}
}

// watchDamage counts damage of the store and the backends. All counters start
// at zero, because a rate cannot be computed from a counter that appears with
// its first event.
func (m *metrics) watchDamage(e *engine.Engine, backends []blobs.Backend) {
	m.damage.WithLabelValues("", damage.Row)
	for _, b := range backends {
		for _, kind := range []string{damage.Bytes, damage.Missing, damage.Copy} {
			m.damage.WithLabelValues(b.Name, kind)
		}
	}
	e.Damage().OnDamage(func(d *damage.Damage) { m.damage.WithLabelValues(d.Backend, d.Kind).Inc() })
}

// watchRevocations shows how many revocations of keys are in force.
func (m *metrics) watchRevocations(list func() ([]engine.Revocation, error)) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sanctum_keys_revoked",
		Help: "Revocations of keys in force; all keys are revoked, and count as one more, while the list of them is not the one that was written last."},
		func() float64 {
			all, edited := list()
			n := float64(len(all))
			if edited != nil {
				n++
			}
			return n
		}))
}

// Panic is part of workers.Observer.
func (m *metrics) Panic(worker string) { m.panics.WithLabelValues(worker).Inc() }

// Logged is part of workers.Observer.
func (m *metrics) Logged(delivered, dropped int) {
	m.logs.WithLabelValues("delivered").Add(float64(delivered))
	m.logs.WithLabelValues("dropped").Add(float64(dropped))
}

// Collected is part of workers.Observer.
func (m *metrics) Collected(r blobs.CollectReport) {
	m.condemned.Add(float64(r.Condemned))
	m.doubtful.Add(float64(r.Doubtful))
	m.deleted.Add(float64(r.Deleted))
	m.swept.Add(float64(r.Swept))
	m.expired.Add(float64(r.Expired))
}
