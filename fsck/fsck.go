// Package fsck holds the store, its sealed records and the backends against one
// another, reports each contradiction, and finds the object that a finding or a line of
// the log is about. It changes nothing, repairs nothing, and may run beside working
// gateways.
package fsck

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/engine"
)

// Options choose what Run does.
type Options struct {
	// Deep reads every byte and authenticates it.
	Deep bool
	// Progress, if set, is called now and then.
	Progress func(Report)
}

// Run holds the store against the backends: every version and part opens and its
// blobs are live and there, every blob is counted right, and no backend has
// others. Every backend that is not retired must be configured. It changes nothing and
// may run beside a working gateway: a contradiction is looked at again, and only what
// was wrong twice is a finding.
// An error comes with the report as far as it got.
func Run(ctx context.Context, e *engine.Engine, o Options) (Report, error) {
	first, err := pass(ctx, e, o)
	if err != nil || first.Clean() {
		return first.Report, err // blobs in doubt belong to no bucket
	}
	// Gateways change the store while a pass reads it, so a first finding may be of two
	// moments. Damage is found twice.
	second, err := pass(ctx, e, o)
	if err != nil {
		return second.Report, err
	}
	both := second.Report
	both.Findings, both.Lost, both.Leaked = nil, 0, 0
	for _, f := range second.Findings {
		if first.has(f) || f.Kind == kindUnlisted || len(first.Findings) == MaxFindings {
			both.add(f)
		}
	}
	// A list that breaks off is none of the gateways' doing. Where one pass has not seen all
	// that a backend has, nothing behind it was found twice.
	for _, f := range first.Findings {
		if f.Kind == kindUnlisted && !second.has(f) {
			both.add(f)
		}
	}
	if len(second.Findings) == MaxFindings { // too many to compare: all count
		both.Lost, both.Leaked = second.Lost, second.Leaked
	}
	both.mergeMissing()
	return both, errors.Join(nameObjects(ctx, second.rows, both.Findings), nameBuckets(ctx, second.rows, both.Findings))
}
