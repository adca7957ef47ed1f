package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sanctum-storage/gateway/inventory"
	"github.com/sanctum-storage/gateway/lifecycle"
)

// lifecycleMetrics count what lifecycle rules and inventories did. None is of one bucket: their
// names are clients'.
type lifecycleMetrics struct {
	rows, bytes, locked, failed prometheus.Counter
	actions                     *prometheus.CounterVec
	listed, lists               prometheus.Counter // of inventories
}

func (m *lifecycleMetrics) begin(r prometheus.Registerer) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sanctum_lifecycle_" + name, Help: help})
	}
	m.rows = counter("rows_total", "Versions and uploads that lifecycle rules were held against.")
	m.bytes = counter("moved_bytes_total", "Sealed bytes that transitions moved to another backend.")
	m.locked = counter("locked_total", "Versions that a rule would have removed but for their lock, each time they were met.")
	m.failed = counter("failed_total", "Versions with which a rule could not do as it says; it is tried again.")
	m.actions = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sanctum_lifecycle_actions_total",
		Help: "What lifecycle rules did: expire, remove (noncurrent), marker, abort (uploads) or transition."}, []string{"action"})
	m.listed = prometheus.NewCounter(prometheus.CounterOpts{Name: "sanctum_inventory_rows_total", Help: "Versions that inventories looked at."})
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
