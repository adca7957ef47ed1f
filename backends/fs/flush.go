package fs

import "sync"

// flushes joins the flushes of one folder by Puts that meet in it: while one
// runs, those that have made an entry since wait for the next, which is for all
// of them. So each entry is flushed by a call that begins after it was made.
type flushes struct {
	mu      sync.Mutex
	running *flush // the latest that began; nil before the first
	next    *flush // waits for running to end; nil when nobody does
}

type flush struct {
	done chan struct{}
	err  error // set before done is closed
}

// join returns what a flush said that began after the call.
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
