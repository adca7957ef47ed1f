package transfer

import (
	"context"
	"iter"
)

// task is an object of the source, with the object that the target has under
// its key.
type task struct {
	entry
	at *entry // nil: none

	sent    *copied // what the last attempt sent; nil: no attempt got so far
	fixed   bool    // use parts of our own size, because those of the source cannot be used
	settled bool
}

// join walks both listings at once, since both are ordered by key, and passes
// each object of the source to the workers. It holds only one page of each
// listing.
//
// Objects that are written meanwhile do not appear in the target's listing: its
// next page begins after a key that is not below any key passed so far.
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
			// at moves on, and the task keeps this entry.
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
