package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// checkpointEvery is the number of committed intents between checkpoints. Their
	// log has a few thousand pages.
	checkpointEvery = 1024
	// truncateIdle is the time without commits before the log is truncated.
	truncateIdle = 5 * time.Second
)

// checkpointer moves the write-ahead log into the file, on its own connection and
// goroutine, so that commits do not wait for it. When the store is idle it
// truncates the log, and so removes old images of pages.
type checkpointer struct {
	c       *conn
	report  func(error)
	since   atomic.Int64 // intents committed since the last checkpoint
	dirty   atomic.Bool  // something was committed since the log was truncated
	kick    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
}

func newCheckpointer(c *conn, report func(error)) *checkpointer {
	if report == nil {
		report = func(error) {}
	}
	k := &checkpointer{
		c: c, report: report,
		kick: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go k.serve()
	return k
}

// The writer calls committed after each group.
func (k *checkpointer) committed(intents int) {
	k.dirty.Store(true)
	if k.since.Add(int64(intents)) < checkpointEvery {
		return
	}
	select {
	case k.kick <- struct{}{}:
	default: // a checkpoint is already due
	}
}

// A failure is reported and not repeated at once: the next group or the next tick tries again.
func (k *checkpointer) serve() {
	defer close(k.stopped)
	tick := time.NewTicker(truncateIdle)
	defer tick.Stop()
	var seen int64
	for {
		select {
		case <-k.stop:
			return
		case <-k.kick:
			k.since.Store(0)
			if err := k.checkpoint("PASSIVE"); err != nil {
				k.report(err)
			}
			// No count equals -1, so the log is not truncated in the tick that follows a
			// checkpoint.
			seen = -1
		case <-tick.C:
			now := k.since.Load()
			if now == seen && k.dirty.Load() {
				k.truncate()
			}
			seen = now
		}
	}
}

// truncate moves the whole log into the file and truncates it. It may wait for a
// reader for up to busyTimeout, and writers wait behind it. So it runs only when
// the store is idle.
func (k *checkpointer) truncate() {
	k.dirty.Store(false)
	if err := k.checkpoint("TRUNCATE"); err != nil {
		k.dirty.Store(true)
		k.report(err)
	}
}

var errCheckpointBusy = errors.New("a reader or another checkpoint holds the lock")

// checkpoint runs one checkpoint. PASSIVE moves as much as it can without waiting.
func (k *checkpointer) checkpoint(mode string) error {
	var busy, log, moved int64
	err := k.c.QueryRow("PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &moved)
	if err == nil && busy != 0 && mode != "PASSIVE" {
		err = errCheckpointBusy
	}
	if err != nil {
		return fmt.Errorf("checkpoint of the write-ahead log (%s): %w", mode, err)
	}
	return nil
}

// It waits for a checkpoint under way, and does not begin another.
func (k *checkpointer) close() error {
	close(k.stop)
	<-k.stopped
	return k.c.close()
}
