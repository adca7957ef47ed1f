package main

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLogQueue is how many bytes of lines wait for the log's reader; as many more
	// may be on their way to it. Lines beyond are dropped.
	maxLogQueue = 4 << 20
	// keptLogBuffer is how large a buffer is used again.
	keptLogBuffer = 256 << 10
	// logGather is how long lines are gathered before they are written: one by one they
	// would cost a busy gateway a system call and a wake-up each.
	logGather = 10 * time.Millisecond
	// logFlush is how long the end of the process waits for the log's reader.
	logFlush = 2 * time.Second
)

// logQueue takes lines and writes them to a reader that may be slow, stalled or gone:
// nobody who logs ever waits for it. Lines for which there is no room, or that it does
// not take, are dropped and counted; once it takes lines again, a line says how many.
// It is safe for concurrent use. Lines in it are lost with a process that is killed.
type logQueue struct {
	out    io.Writer
	notice func(dropped uint64) []byte // makes the line about those that were dropped
	total  atomic.Uint64               // lines dropped ever

	mu      sync.Mutex
	filled  sync.Cond
	pending []byte // whole lines
	lines   uint64 // in pending
	untold  uint64 // dropped, and no line said so
	closed  bool
	done    chan struct{} // closed when the writer ended
}

// newLogQueue begins to write to out.
func newLogQueue(out io.Writer, notice func(dropped uint64) []byte) *logQueue {
	q := &logQueue{out: out, notice: notice, done: make(chan struct{})}
	q.filled.L = &q.mu
	go q.run()
	return q
}

// Write takes one line, or drops it. It never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.pending)+len(line) > maxLogQueue {
		q.drop(1)
		return len(line), nil
	}
	if len(q.pending) == 0 {
		q.filled.Signal()
	}
	q.pending = append(q.pending, line...)
	q.lines++
	return len(line), nil
}

// drop counts lines that are lost. The caller holds the lock.
func (q *logQueue) drop(lines uint64) {
	q.untold += lines
	q.total.Add(lines)
}

// run writes what waits, as many lines at once as there are, until the queue is closed
// and empty.
func (q *logQueue) run() {
	defer close(q.done)
	var batch []byte
	for {
		q.mu.Lock()
		for len(q.pending) == 0 && !q.closed {
			q.filled.Wait()
		}
		if !q.closed && len(q.pending) < keptLogBuffer {
			q.mu.Unlock()
			time.Sleep(logGather)
			q.mu.Lock()
		}
		if len(q.pending) == 0 {
			q.mu.Unlock()
			return
		}
		if cap(batch) > keptLogBuffer {
			batch = nil
		}
		batch, q.pending = q.pending, batch[:0]
		lines := q.lines
		q.lines = 0
		q.mu.Unlock()
		_, err := q.out.Write(batch)
		q.tell(lines, err)
	}
}

// tell drops the lines that were not taken, or says how many were lost before.
func (q *logQueue) tell(lines uint64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.drop(lines)
		return
	}
	untold := q.untold
	if untold == 0 {
		return
	}
	q.untold = 0
	q.mu.Unlock()
	_, err = q.out.Write(q.notice(untold))
	q.mu.Lock()
	if err != nil {
		q.untold += untold
	}
}

// dropped is how many lines were lost since the beginning.
func (q *logQueue) dropped() uint64 { return q.total.Load() }

// close writes what waits, for so long at most, and takes no more. It reports whether
// all was written.
func (q *logQueue) close(limit time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.filled.Signal()
	q.mu.Unlock()
	return within(limit, func() { <-q.done })
}

// within waits until f ends, for so long at most, and reports whether it did: whoever
// reads a last line may have stalled, and must not keep the process.
func within(limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}
