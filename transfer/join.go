package transfer

import (
	"context"
	"iter"
)

// task is one object of the source, with what the target has under its key.
type task struct {
	entry
	at *entry // nil: nothing

	sent    *copied // what the last try sent; nil: none came so far
	fixed   bool    // parts of our own size, the source's being no use
	settled bool
}

// join walks both listings at once, as both ascend by key, and hands each object
// of the source to the workers. Nothing is remembered but a page of each.
//
// What is written meanwhile never comes up in the target's listing: its next
// page begins behind a key that is not below any that was handed out.
func (c *Copier) join(ctx context.Context, tasks chan<- task) error {
	next, stop := iter.Pull2(c.to.objects(ctx))
	defer stop()
	at, err, more := next()
	for e, sourceErr := range c.from.objects(ctx) {
		if sourceErr != nil {
			return sourceErr
		}
		name := c.name(e.key)
		for more && err == nil && at.key < name {
			c.counters.extra.Add(1)
			at, err, more = next()
		}
		if err != nil {
			return err
		}
		t := task{entry: e}
		if more && at.key == name {
			seen := at
			t.at = &seen
			at, err, more = next()
		}
		c.counters.listed.add(e.size)
		select {
		case tasks <- t:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.counters.listedAll.Store(true)
	for ; more && err == nil; at, err, more = next() {
		c.counters.extra.Add(1)
	}
	return err
}
