package fs

import "sync"

// flushes joins the flushes of one folder by concurrent Puts. While one flush runs,
// all Puts that have added an entry since wait for the next flush, which serves all
// of them. So each entry is flushed by a call that begins after it was added.
type flushes struct {
	mu      sync.Mutex
	running *flush // the latest flush; nil before the first
	next    *flush // waits for running to end; nil when no caller waits
}

type flush struct {
	done chan struct{}
	err  error // set before done is closed
}

// join returns the result of a flush that begins after the call.
func (g *flushes) join(sync func() error) error {
	g.mu.Lock()
	f, before := g.next, g.running
	if f != nil {
		g.mu.Unlock()
		<-f.done
		return f.err
	}
	f = &flush{done: make(chan struct{})}
	g.next = f
	g.mu.Unlock()
	if before != nil {
		<-before.done
	}
	g.mu.Lock()
	g.running, g.next = f, nil
	g.mu.Unlock()
	f.err = sync()
	close(f.done)
	return f.err
}
