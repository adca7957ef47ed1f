package main

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLogQueue bounds the bytes of lines that wait for the log's reader. As
	// many again may be on their way to it. Further lines are dropped.
	maxLogQueue = 4 << 20
	// keptLogBuffer is the largest buffer that is used again.
	keptLogBuffer = 256 << 10
	// logGather is how long lines are gathered before they are written. Written
	// one by one, they would cost a busy gateway a system call and a wake-up
	// each.
	logGather = 10 * time.Millisecond
	// logFlush bounds the wait for the log's reader at the end of the process.
	logFlush = 2 * time.Second
)

// logQueue takes lines and writes them to a reader that may be slow, stalled or
// gone. Nobody who logs waits for it. Lines without room, or that the reader
// does not take, are dropped and counted. When the reader takes lines again, a
// line tells how many were dropped. It is safe for concurrent use. A killed
// process loses the lines in its queue.
type logQueue struct {
	out    io.Writer
	notice func(dropped uint64) []byte // makes the line about dropped lines
	total  atomic.Uint64               // lines dropped since the start

	mu      sync.Mutex
	filled  sync.Cond
	pending []byte // whole lines
	lines   uint64 // number of lines in pending
	untold  uint64 // dropped lines that no line has told yet
	closed  bool
	done    chan struct{} // closed when the writer has ended
}

// newLogQueue returns a queue that writes to out.
func newLogQueue(out io.Writer, notice func(dropped uint64) []byte) *logQueue {
	q := &logQueue{out: out, notice: notice, done: make(chan struct{})}
	q.filled.L = &q.mu
	go q.run()
	return q
}

// Write takes one line, or drops it. It always reports success, because a
// logger cannot do anything about a failure.
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

// drop counts lost lines. The caller holds the lock.
func (q *logQueue) drop(lines uint64) {
	q.untold += lines
	q.total.Add(lines)
}

// run writes the waiting lines, as many at once as there are, until the queue
// is closed and empty.
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
		// The queue is closed, and everything in it has been written.
		if len(q.pending) == 0 {
			q.mu.Unlock()
			return
		}
		// One burst must not keep its memory for good.
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

// tell counts lines that the reader did not take. Otherwise it writes how many
// were lost before.
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
	// Nobody who logs waits for the reader.
	q.mu.Unlock()
	_, err = q.out.Write(q.notice(untold))
	q.mu.Lock()
	if err != nil {
		q.untold += untold
	}
}

// dropped is the number of lines that were lost since the start.
func (q *logQueue) dropped() uint64 { return q.total.Load() }

// close stops taking lines and waits for those in the queue, for the limit at
// most. It reports whether all were written.
func (q *logQueue) close(limit time.Duration) bool {
	q.mu.Lock()
	q.closed = true
	q.filled.Signal()
	q.mu.Unlock()
	return within(limit, func() { <-q.done })
}

// within runs f and waits for its end, for the limit at most. It reports
// whether f ended. The reader of a last line may have stalled, and must not
// keep the process alive.
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
