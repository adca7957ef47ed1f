package lifecycle

import (
	"slices"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
)

// smallObject is the size from which transitions move objects, unless the rule
// has a size of its own.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
const smallObject = 128 << 10

// fate is what lifecycle rules make of a version.
type fate uint8

const (
	fateStay   fate = iota
	fateDelete      // the key is deleted, as its bucket's versioning has it
	fateRemove      // the version is removed for good
	fateMove        // the version gets another storage class
)

// subject is a version as rules are held against it.
type subject struct {
	key       string
	size      int64
	modified  time.Time
	displaced time.Time // zero: current
	marker    bool
	sole      bool   // of a marker: the key has no other version
	newer     int    // of a noncurrent version: how many of those stay that are newer
	class     string // empty: STANDARD
	kept      bool   // the bucket keeps what is deleted
	// tags are asked for only where a rule needs them.
	tags func() ([]engine.Pair, error)
}

// endOf is when something has been so for a number of days: the midnight, in UTC,
// that follows.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
func endOf(since time.Time, days int) time.Time {
	y, m, d := since.UTC().AddDate(0, 0, days).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
}

// concerns reports whether an enabled rule names the version. Tags are looked at
// last.
func (r *Rule) concerns(s *subject) (bool, error) {
	f := r.Filter
	f.Tags = nil
	if !r.Enabled || !f.Matches(s.key, s.size, nil) {
		return false, nil
	}
	if len(r.Filter.Tags) == 0 {
		return true, nil
	}
	if s.marker { // it has none
		return false, nil
	}
	tags, err := s.tags()
	return err == nil && r.Filter.Matches(s.key, s.size, tags), err
}

// judge says what becomes of a version at the time now, and in which class it
// goes with fateMove. Where rules disagree, removing for good comes before a
// transition, and that before a delete marker; of several transitions the one
// that leads furthest is taken.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
func (l *Configuration) judge(s *subject, now time.Time) (fate, string, error) {
	worst := fateStay
	var next *transition
	for i := range l.Rules {
		r := &l.Rules[i]
		ok, err := r.concerns(s)
		if err != nil {
			return fateStay, "", err
		}
		if !ok {
			continue
		}
		if f := r.ends(s, now); f > worst {
			worst = f
		}
		for _, t := range l.due(r, s, now) {
			if next == nil || t.further(next) {
				next = &t
			}
		}
	}
	if worst == fateRemove || worst == fateDelete && !s.kept {
		return worst, "", nil
	}
	if next != nil && next.leads(s.class) {
		return fateMove, next.class, nil
	}
	return worst, "", nil
}

// ends says whether a rule's expirations are over for the version.
func (r *Rule) ends(s *subject, now time.Time) fate {
	if !s.displaced.IsZero() {
		x := r.NoncurrentExpiration
		if x != nil && s.newer >= x.Newer && !now.Before(endOf(s.displaced, x.Days)) {
			return fateRemove
		}
		return fateStay
	}
	x := r.Expiration
	if x == nil {
		return fateStay
	}
	at, ok := x.at(s.modified)
	over := ok && !now.Before(at)
	switch {
	case s.marker && s.sole && (over || x.DeleteMarker != nil && *x.DeleteMarker):
		return fateRemove
	case !s.marker && over:
		return fateDelete
	}
	return fateStay
}

// at is when an object made at a time expires; false where the expiration is not
// of objects.
func (x *Expiration) at(modified time.Time) (time.Time, bool) {
	switch {
	case x.Date != nil:
		return *x.Date, true
	case x.Days > 0:
		return endOf(modified, x.Days), true
	}
	return time.Time{}, false
}

// transition is one that is due, since when.
type transition struct {
	class string
	since time.Time
}

// further compares two that are due: labels by their order, else by time.
func (t *transition) further(than *transition) bool {
	if engine.LabelClass(t.class) && engine.LabelClass(than.class) {
		return engine.ClassRank(t.class) > engine.ClassRank(than.class)
	}
	return !t.since.Before(than.since)
}

// leads reports whether the transition goes on from a class: labels lead only to
// later ones, and an object that a class has placed at a backend stays there until
// another backend is named.
func (t *transition) leads(from string) bool {
	switch {
	case from == "":
		return true
	case !engine.LabelClass(t.class):
		return t.class != from
	}
	return engine.LabelClass(from) && engine.ClassRank(t.class) > engine.ClassRank(from)
}

// due lists a rule's transitions whose time has come for the version.
func (l *Configuration) due(r *Rule, s *subject, now time.Time) (due []transition) {
	if s.marker {
		return nil
	}
	add := func(class string, since time.Time) {
		sized := r.Filter.Above != nil || r.Filter.Below != nil || l.MinimumSize == MinimumSizeVaries && !engine.LabelClass(class)
		if !now.Before(since) && (sized || s.size >= smallObject) {
			due = append(due, transition{class, since})
		}
	}
	if s.displaced.IsZero() {
		for _, t := range r.Transitions {
			if t.Date != nil {
				add(t.Class, *t.Date)
			} else if t.Days != nil {
				add(t.Class, endOf(s.modified, *t.Days))
			}
		}
		return due
	}
	for _, t := range r.NoncurrentTransitions {
		if s.newer >= t.Newer {
			add(t.Class, endOf(s.displaced, t.Days))
		}
	}
	return due
}

// aborts reports whether an upload of the key that was begun then is to be aborted.
func (l *Configuration) aborts(key string, begun, now time.Time) bool {
	for i := range l.Rules {
		r := &l.Rules[i]
		if r.Enabled && r.AbortUploadDays > 0 && (r.Filter.Prefix == nil || strings.HasPrefix(key, *r.Filter.Prefix)) &&
			!now.Before(endOf(begun, r.AbortUploadDays)) {
			return true
		}
	}
	return false
}

// prefixes are those under which enabled rules that the function picks have
// something to look for, none of them under another, in order.
func (l *Configuration) prefixes(pick func(*Rule) bool) (out []string) {
	var all []string
	for i := range l.Rules {
		if r := &l.Rules[i]; r.Enabled && pick(r) {
			prefix := ""
			if r.Filter.Prefix != nil {
				prefix = *r.Filter.Prefix
			}
			all = append(all, prefix)
		}
	}
	slices.Sort(all)
	for _, p := range all {
		if len(out) == 0 || !strings.HasPrefix(p, out[len(out)-1]) {
			out = append(out, p)
		}
	}
	return out
}

// Classes are the storage classes to which enabled rules lead.
func (l *Configuration) Classes() []string {
	var classes []string
	for i := range l.Rules {
		r := &l.Rules[i]
		if !r.Enabled {
			continue
		}
		for _, t := range r.Transitions {
			classes = append(classes, t.Class)
		}
		for _, t := range r.NoncurrentTransitions {
			classes = append(classes, t.Class)
		}
	}
	return classes
}

// TransitionClasses are the classes of a document, for engine.Config. An error means that
// the rules are not known.
func TransitionClasses(document []byte) ([]string, error) {
	l, err := Parse(document)
	if err != nil {
		return nil, err
	}
	return l.Classes(), nil
}

// ofUploads and ofVersions say what a rule has something to do with.
func ofUploads(r *Rule) bool { return r.AbortUploadDays > 0 }

func ofVersions(r *Rule) bool {
	return r.Expiration != nil || r.NoncurrentExpiration != nil || len(r.Transitions) > 0 || len(r.NoncurrentTransitions) > 0
}
