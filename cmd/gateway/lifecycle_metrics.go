package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/lifecycle"
)

// lifecycleMetrics count the work of lifecycle rules and inventories. They have
// no label for the bucket, because clients choose the names of buckets.
type lifecycleMetrics struct {
	rows, bytes, locked, failed prometheus.Counter
	actions                     *prometheus.CounterVec
	listed, lists               prometheus.Counter // of inventories
}

// begin creates and registers the metrics.
func (m *lifecycleMetrics) begin(r prometheus.Registerer) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sanctum_lifecycle_" + name, Help: help})
	}
	m.rows = counter("rows_total", "Versions and uploads that were checked against lifecycle rules.")
	m.bytes = counter("moved_bytes_total", "Sealed bytes that transitions moved to another backend.")
	m.locked = counter("locked_total", "Versions that a rule did not remove because of their lock, counted at each pass.")
	m.failed = counter("failed_total", "Versions to which a rule could not be applied; it is tried again.")
	m.actions = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sanctum_lifecycle_actions_total",
		Help: "Actions of lifecycle rules: expire, remove (noncurrent), marker, abort (uploads) or transition."}, []string{"action"})
	m.listed = prometheus.NewCounter(prometheus.CounterOpts{Name: "sanctum_inventory_rows_total", Help: "Versions that inventories read."})
	m.lists = prometheus.NewCounter(prometheus.CounterOpts{Name: "sanctum_inventory_lists_total", Help: "Inventories that were written."})
	r.MustRegister(m.listed, m.lists, m.rows, m.bytes, m.locked, m.failed, m.actions)
}

// Expired makes metrics a workers.Observer.
func (m *metrics) Expired(r lifecycle.Report) {
	l := &m.lifecycle
	l.rows.Add(float64(r.Rows))
	l.bytes.Add(float64(r.MovedBytes))
	l.locked.Add(float64(r.Locked))
	l.failed.Add(float64(r.Failed))
	for action, n := range map[string]int{"expire": r.Expired, "remove": r.Removed, "marker": r.Markers, "abort": r.Aborted, "transition": r.Moved} {
		l.actions.WithLabelValues(action).Add(float64(n))
	}
}

// Listed makes metrics a workers.Observer.
func (m *metrics) Listed(r inventory.Report) {
	m.lifecycle.listed.Add(float64(r.Rows))
	m.lifecycle.lists.Add(float64(r.Lists))
}
