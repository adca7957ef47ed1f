package lifecycle

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// Expiry is the time at which a lifecycle rule ends a current version.
type Expiry struct {
	At   time.Time
	Rule string // the rule's id
}

// ExpiryOf returns the earliest time at which the present rules of the bucket end the
// object, which is taken for the current version of its key; false if no rule does. Rules
// that remove delete markers do not count.
func ExpiryOf(ctx context.Context, e *engine.Engine, b meta.Bucket, o engine.Object) (Expiry, bool, error) {
	// A bucket of revision 0 never had a setting, so most buckets cost no look at the store.
	if b.Revision == 0 || o.Marker {
		return Expiry{}, false, nil
	}
	l, err := Read(ctx, e, b)
	if err != nil || l == nil {
		return Expiry{}, false, err
	}
	return l.ExpiryOf(o.Key, o.Size, o.Modified, func() ([]engine.Pair, error) { return o.Marks.Tags, nil })
}

// ExpiryOf returns the earliest time at which the rules end a current version that was
// made at a time; false if no rule does. tags is called only if a rule has a tag filter.
func (l *Configuration) ExpiryOf(key string, size int64, modified time.Time, tags func() ([]engine.Pair, error)) (first Expiry, found bool, err error) {
	s := &subject{key: key, size: size, modified: modified, tags: tags}
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
			first, found = Expiry{At: at, Rule: r.ID}, true
		}
	}
	return first, found, nil
}

// Read reads a bucket's rules, which are shared and must not be changed; nil if it has
// none. An error means that the rules are not known, and that nothing may be done by them.
func Read(ctx context.Context, e *engine.Engine, b meta.Bucket) (*Configuration, error) {
	s, err := e.Buckets().Settings(ctx, b)
	if err != nil {
		return nil, err
	}
	return rulesOf(s)
}

// rulesOf reads the rules among the settings of a bucket; nil if there are none.
func rulesOf(s *buckets.Settings) (*Configuration, error) {
	l, ok, err := buckets.Parsed(s, engine.LifecycleSetting, Parse)
	if err != nil || !ok {
		return nil, err
	}
	return l, nil
}
