package guard

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/backends"
)

// Op is a counted operation. Read is the body of a Get, counted once when it has
// ended or failed for good.
type Op int

// The operations.
const (
	Put Op = iota
	Get
	Read
	Stat
	Delete
	List
	Check
	NumOps int = iota
)

// String is for metrics.
func (o Op) String() string {
	return [...]string{"put", "get", "read", "stat", "delete", "list", "check"}[o]
}

// Result is the outcome of an operation.
type Result int

// The results: one for each error of the contract that matters to an operator.
const (
	OK Result = iota
	NotFound
	Exists
	Throttled
	Unavailable
	Denied
	Corrupt
	Full
	Canceled       // the caller's context ended
	Failed         // anything else
	NumResults int = iota
)

// String is for metrics.
func (r Result) String() string {
	return [...]string{"ok", "not_found", "exists", "throttled", "unavailable", "denied", "corrupt", "full", "canceled", "failed"}[r]
}

// results are in the order of the search: ErrThrottled is also ErrUnavailable.
var results = []struct {
	err    error
	result Result
}{
	{backends.ErrNotFound, NotFound}, {backends.ErrExists, Exists}, {backends.ErrCorrupt, Corrupt},
	{backends.ErrDenied, Denied}, {backends.ErrFull, Full},
	{backends.ErrThrottled, Throttled}, {backends.ErrUnavailable, Unavailable},
	{context.Canceled, Canceled}, {context.DeadlineExceeded, Canceled},
}

func resultOf(err error) Result {
	if err == nil {
		return OK
	}
	for _, r := range results {
		if errors.Is(err, r.err) {
			return r.result
		}
	}
	return Failed
}

// Stats are counts since New, and the current state. The fields are read one after
// another.
type Stats struct {
	Calls    [NumOps][NumResults]uint64 // outcomes for the caller, without retries
	Retries  uint64                     // attempts beyond the first
	Resumes  uint64                     // among these, resumed bodies
	Refused  uint64                     // attempts that the breaker refused
	InFlight int                        // calls in progress
	Breaker  State
}

type counters struct {
	calls                     [NumOps][NumResults]atomic.Uint64
	retries, resumes, refused atomic.Uint64
}

func (c *counters) count(op Op, err error) { c.calls[op][resultOf(err)].Add(1) }

// Stats reads the counters. It is cheap and may be called at any time.
func (g *Guard) Stats() Stats {
	s := Stats{
		Retries: g.stats.retries.Load(), Resumes: g.stats.resumes.Load(), Refused: g.stats.refused.Load(),
		InFlight: len(g.slots), Breaker: g.breaker.current(),
	}
	for op := range s.Calls {
		for r := range s.Calls[op] {
			s.Calls[op][r] = g.stats.calls[op][r].Load()
		}
	}
	return s
}
