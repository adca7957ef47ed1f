package lifecycle

import (
	"slices"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
)

// smallObject is the size in bytes below which transitions move no object, unless the
// rule has a size filter.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
const smallObject = 128 << 10

// fate is the verdict of the rules on a version.
type fate uint8

const (
	fateStay   fate = iota
	fateDelete      // the key is deleted in the way of the bucket's versioning
	fateRemove      // the version is removed for good
	fateMove        // the version gets another storage class
)

// subject is the part of a version that rules judge.
type subject struct {
	key       string
	size      int64
	modified  time.Time
	displaced time.Time // zero: current
	marker    bool
	sole      bool   // a marker whose key has no other version
	newer     int    // number of newer noncurrent versions of the key that stay
	class     string // empty: STANDARD
	kept      bool   // the bucket keeps deleted versions
	// tags is called only if a rule has a tag filter.
	tags func() ([]engine.Pair, error)
}

// endOf is the first midnight, in UTC, after a number of days since a moment. Rules fall
// due only then.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
// Days are of the calendar in UTC, which has no days of other lengths than 24 hours.
func endOf(since time.Time, days int) time.Time {
	y, m, d := since.UTC().AddDate(0, 0, days).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
}

// concerns reports whether the rule is enabled and its filter names the version. It reads
// tags only if everything else matches.
func (r *Rule) concerns(s *subject) (bool, error) {
	f := r.Filter
	// Tags are sealed and cost an opening. They are compared only if all else matches.
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

// judge returns the verdict on a version at the time now, and with fateMove its new
// storage class. If rules disagree, permanent removal wins over a transition, and a
// transition over a delete marker. Of several transitions the furthest wins.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
// An error is one of tags that cannot be read. Then nothing may be done with the version.
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
	// Without versioning, a deletion removes for good, so it wins as a removal does.
	if worst == fateRemove || worst == fateDelete && !s.kept {
		return worst, "", nil
	}
	if next != nil && next.leads(s.class) {
		return fateMove, next.class, nil
	}
	return worst, "", nil
}

// ends is the verdict of a rule's expirations on the version.
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
	// S3 removes an expired delete marker by the rule's age too, and not only by
	// ExpiredObjectDeleteMarker.
	case s.marker && s.sole && (over || x.DeleteMarker != nil && *x.DeleteMarker):
		return fateRemove
	case !s.marker && over:
		return fateDelete
	}
	return fateStay
}

// at is the time at which an object expires that was made at another; false if the
// expiration is about delete markers only.
func (x *Expiration) at(modified time.Time) (time.Time, bool) {
	switch {
	case x.Date != nil:
		return *x.Date, true
	case x.Days > 0:
		return endOf(modified, x.Days), true
	}
	return time.Time{}, false
}

// transition is a transition that has been due since a time.
type transition struct {
	class string
	since time.Time
}

// further compares two due transitions: labels by their order, others by time.
func (t *transition) further(than *transition) bool {
	if engine.LabelClass(t.class) && engine.LabelClass(than.class) {
		return engine.ClassRank(t.class) > engine.ClassRank(than.class)
	}
	// A backend has no rank, so the transition that fell due last is taken for the furthest.
	return !t.since.Before(than.since)
}

// leads reports whether the transition applies to an object of the class from. A label
// leads only to a later label. An object that its class has placed at a backend stays
// there until a transition names another backend.
func (t *transition) leads(from string) bool {
	switch {
	case from == "":
		return true
	case !engine.LabelClass(t.class):
		return t.class != from
	}
	return engine.LabelClass(from) && engine.ClassRank(t.class) > engine.ClassRank(from)
}

// due lists the transitions of a rule that are due for the version.
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

// aborts reports whether a rule aborts an upload of the key that began at a time.
// Of a rule's filter only the prefix counts.
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

// prefixes returns the prefixes of the enabled rules that pick selects, in order. A prefix
// below another one is left out.
// A version that two rules concern is therefore met once, and judged by all rules.
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

// Classes are the storage classes that enabled rules give to objects.
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

// TransitionClasses returns the Classes of a document; it is for engine.Config. An error
// means that the rules are not known.
func TransitionClasses(document []byte) ([]string, error) {
	l, err := Parse(document)
	if err != nil {
		return nil, err
	}
	return l.Classes(), nil
}

// ofUploads and ofVersions report whether a rule is about uploads, or about versions.
func ofUploads(r *Rule) bool { return r.AbortUploadDays > 0 }

func ofVersions(r *Rule) bool {
	return r.Expiration != nil || r.NoncurrentExpiration != nil || len(r.Transitions) > 0 || len(r.NoncurrentTransitions) > 0
}
