package transfer

import (
	"sync"
	"sync/atomic"
	"time"
)

// MaxFailures bounds the failed objects that a report names. All of them are
// counted.
const MaxFailures = 100

// Count is a number of objects and the sum of their bytes.
type Count struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Failure is an object that the target does not have in the source's state.
// With Conflict, the target has another object.
type Failure struct {
	Key      string `json:"key"`
	Conflict bool   `json:"conflict,omitempty"`
	Reason   string `json:"reason"`
}

// NotCarried counts copied objects that lost something.
type NotCarried struct {
	Tags         int64 `json:"tags"`          // objects with tags
	StorageClass int64 `json:"storage_class"` // objects outside the standard class
	ETag         int64 `json:"etag"`          // objects with another ETag at the target
	Unproven     int64 `json:"unproven"`      // objects without a digest at the source to compare the bytes with
}

// Plaintext counts the readable objects of a source.
type Plaintext struct {
	Current    Count `json:"current"`
	Noncurrent Count `json:"noncurrent_versions"`
	Markers    int64 `json:"delete_markers"`
	Uploads    int64 `json:"incomplete_uploads"`
	// VersionsUnknown and UploadsUnknown tell why the source did not list them.
	VersionsUnknown string `json:"versions_unknown,omitempty"`
	UploadsUnknown  string `json:"uploads_unknown,omitempty"`
}

// Report is the result of a run.
type Report struct {
	Started     time.Time  `json:"started"`
	Ended       time.Time  `json:"ended"`
	Interrupted bool       `json:"interrupted"`
	Complete    bool       `json:"complete"` // the whole source was listed and tried
	Listed      Count      `json:"listed"`
	Copied      Count      `json:"copied"`
	Skipped     Count      `json:"skipped"` // the target has them already
	Deleted     Count      `json:"deleted"` // from the source
	Failed      int64      `json:"failed"`
	Conflicts   int64      `json:"conflicts"`
	Vanished    int64      `json:"vanished"` // deleted from the source before they were read
	Extra       int64      `json:"extra"`    // at the target but not at the source; not changed
	Retries     int64      `json:"retries"`
	NotCarried  NotCarried `json:"not_carried"`
	Failures    []Failure  `json:"failures"`
	// Left counts the objects that the source still contains; nil if it was not
	// examined.
	Left *Plaintext `json:"left_in_plaintext,omitempty"`
}

// Exact reports whether the target has every listed object of the source, byte
// for byte.
func (r *Report) Exact() bool {
	return r.Complete && !r.Interrupted && r.Failed == 0 && r.Conflicts == 0
}

// Progress is the state of a run.
type Progress struct {
	Listed    Count `json:"listed"`
	ListedAll bool  `json:"listed_all"` // Listed is final
	Copied    Count `json:"copied"`
	Skipped   Count `json:"skipped"`
	Failed    int64 `json:"failed"` // includes conflicts
	// Moved counts the bytes that passed, including those of unfinished objects
	// and failed attempts.
	Moved int64 `json:"moved_bytes"`
}

// tally is a Count that several goroutines add to.
type tally struct{ objects, bytes atomic.Int64 }

func (t *tally) add(size int64) {
	t.objects.Add(1)
	t.bytes.Add(size)
}

func (t *tally) count() Count { return Count{t.objects.Load(), t.bytes.Load()} }

// counters are written by all workers.
type counters struct {
	listed, copied, skipped, deleted            tally
	listedAll                                   atomic.Bool
	done, failed, conflicts, vanished, extra    atomic.Int64
	retries, moved, tags, class, etag, unproven atomic.Int64
}

// failures are the first MaxFailures failures.
type failures struct {
	mu  sync.Mutex
	all []Failure
}

// add records a failure. The list is bounded, because a broken target can fail
// every object.
func (f *failures) add(one Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) < MaxFailures {
		f.all = append(f.all, one)
	}
}

// Progress returns the state of the run. It may be called at any time, from any
// goroutine.
func (c *Copier) Progress() Progress {
	n := &c.counters
	return Progress{Listed: n.listed.count(), ListedAll: n.listedAll.Load(), Copied: n.copied.count(),
		Skipped: n.skipped.count(), Failed: n.failed.Load() + n.conflicts.Load(), Moved: n.moved.Load()}
}

// report is the result so far. Complete also holds after failures: every listed
// object was tried.
func (c *Copier) report(started time.Time) *Report {
	n := &c.counters
	return &Report{
		Started: started, Ended: c.Now(),
		Complete: n.listedAll.Load() && n.done.Load() == n.listed.objects.Load(),
		Listed:   n.listed.count(), Copied: n.copied.count(), Skipped: n.skipped.count(), Deleted: n.deleted.count(),
		Failed: n.failed.Load(), Conflicts: n.conflicts.Load(), Vanished: n.vanished.Load(), Extra: n.extra.Load(),
		Retries:    n.retries.Load(),
		NotCarried: NotCarried{Tags: n.tags.Load(), StorageClass: n.class.Load(), ETag: n.etag.Load(), Unproven: n.unproven.Load()},
		Failures:   append([]Failure{}, c.failures.all...), // a list in JSON even if it is empty
	}
}
