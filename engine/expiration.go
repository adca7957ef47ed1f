package engine

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Expiration is when a lifecycle rule ends an object that is current.
type Expiration struct {
	At   time.Time
	Rule string // the rule's id
}

// ExpirationOf returns when the object, taken for the current version of its key,
// expires by the rules that the bucket has now: the earliest where several do.
// False: by none. A rule that removes expired delete markers is none of these.
func (e *Engine) ExpirationOf(ctx context.Context, b meta.Bucket, o Object) (Expiration, bool, error) {
	if b.Revision == 0 || o.Marker {
		return Expiration{}, false, nil
	}
	l, err := e.lifecycle(ctx, b)
	if err != nil || l == nil {
		return Expiration{}, false, err
	}
	return l.expiration(&subject{
		key: o.Key, size: o.Size, modified: o.Modified, tags: func() ([]Pair, error) { return o.Marks.Tags, nil },
	})
}

// expiration is the first of a current version by the rules; false: there is none.
func (l *Lifecycle) expiration(s *subject) (first Expiration, found bool, err error) {
	for i := range l.Rules {
		r := &l.Rules[i]
		if r.Expiration == nil {
			continue
		}
		if ok, err := r.concerns(s); err != nil {
			return first, false, err
		} else if !ok {
			continue
		}
		if at, ok := r.Expiration.at(s.modified); ok && (!found || at.Before(first.At)) {
			first, found = Expiration{At: at, Rule: r.ID}, true
		}
	}
	return first, found, nil
}

// lifecycle reads a bucket's rules; nil when it has none.
func (e *Engine) lifecycle(ctx context.Context, b meta.Bucket) (*Lifecycle, error) {
	s, err := e.Settings(ctx, b)
	if err != nil {
		return nil, err
	}
	l, ok, err := Parsed(s, LifecycleSetting, ParseLifecycle)
	if err != nil || !ok {
		return nil, err
	}
	return l, nil
}
