package api

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// Limits of a lifecycle configuration.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
const (
	maxNewerNoncurrent = 100
	// maxLifecycleXML fits 1,000 rules of common length.
	maxLifecycleXML = 1 << 20
	// coolDays is the least age of objects in coolClasses.
	coolDays = 30
)

// transitionClasses are the targets of transitions on S3, the colder ones
// later. Here the names of backends are targets as well.
var transitionClasses = []string{"STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}

// coolClasses take only objects that are at least coolDays old.
var coolClasses = []string{"STANDARD_IA", "ONEZONE_IA"}

// parseLifecycle parses a LifecycleConfiguration. As on S3, a rule without an
// id gets one. Errors: MalformedXML for violations of the schema,
// InvalidArgument and InvalidRequest for contradictions. A valid document with
// a class whose objects would have to be restored before reading is
// NotImplemented.
//
// place reports whether a storage class is the name of a backend.
func parseLifecycle(document []byte, place func(class string) bool) (*lifecycle.Configuration, error) {
	var d lifecycleDocument
	if err := decodeXML(document, "LifecycleConfiguration", &d); tooMany(err, "Tag") {
		return nil, tooManyTags(maxBucketTags)
	} else if err != nil {
		return nil, err
	}
	if len(d.Rules) == 0 {
		return nil, s3err.MalformedXML
	}
	l := &lifecycle.Configuration{MinimumSize: lifecycle.MinimumSizeAll}
	seen := make(map[string]bool)
	// Unsupported features are noted and reported only if the document is
	// valid: an error in it is more useful to the client.
	var u unsupported
	for i := range d.Rules {
		d.Rules[i].place, d.Rules[i].unsupported = place, &u
		rule, err := d.Rules[i].rule()
		if err != nil {
			return nil, err
		}
		if seen[rule.ID] {
			return nil, s3err.New(s3err.InvalidArgument, "Rule ID must be unique. Found same ID for more than one rule")
		}
		seen[rule.ID] = true
		l.Rules = append(l.Rules, rule)
	}
	if u.err != nil {
		return nil, u.err
	}
	return l, nil
}

// rule validates one rule and converts it.
func (r *lifecycleRule) rule() (out lifecycle.Rule, err error) {
	switch {
	case len(r.ID) > maxRuleID:
		return out, ruleIDTooLong()
	case r.Status != "Enabled" && r.Status != "Disabled":
		return out, s3err.MalformedXML
	case (r.Prefix == nil) == (r.Filter == nil):
		return out, s3err.MalformedXML
	}
	// As on S3, the generated id is shown in answers, so it must be stored with
	// the rule.
	if out.ID = r.ID; out.ID == "" {
		var id [16]byte
		rand.Read(id[:])
		out.ID = hex.EncodeToString(id[:])
	}
	out.Enabled = r.Status == "Enabled"
	if out.Filter, err = r.filter(); err != nil {
		return out, err
	}
	for _, read := range []func(*lifecycle.Rule) error{
		r.expiration, r.noncurrent, r.abort, r.transitions, r.noncurrentTransitions,
	} {
		if err := read(&out); err != nil {
			return out, err
		}
	}
	if out.Expiration == nil && out.NoncurrentExpiration == nil && out.AbortUploadDays == 0 &&
		len(out.Transitions) == 0 && len(out.NoncurrentTransitions) == 0 {
		return out, s3err.New(s3err.InvalidRequest, "At least one action needs to be specified in a rule")
	}
	return out, checkOrder(&out)
}

// filter reads the filter, or the prefix that older clients send instead.
func (r *lifecycleRule) filter() (out lifecycle.Filter, err error) {
	var tags []tagElement
	switch f := r.Filter; {
	case f == nil:
		out.Prefix, out.Old = r.Prefix, true
	case f.And != nil:
		if f.Prefix != nil || f.Tag != nil || f.Above != nil || f.Below != nil {
			return out, s3err.MalformedXML
		}
		out.Prefix, tags, out.Above, out.Below, out.And = f.And.Prefix, f.And.Tags, f.And.Above, f.And.Below, true
	default:
		out.Prefix, out.Above, out.Below = f.Prefix, f.Above, f.Below
		if f.Tag != nil {
			tags = []tagElement{*f.Tag}
		}
	}
	if out.Tags, err = tagPairs(tags, maxBucketTags); err != nil {
		return out, err
	}
	// Tags count one by one, because each is an element of its own.
	n := len(out.Tags)
	for _, set := range []bool{out.Prefix != nil, out.Above != nil, out.Below != nil} {
		if set {
			n++
		}
	}
	// S3's schema: And combines several conditions, and there is no other way
	// to.
	if out.And && n < 2 || !out.And && n > 1 {
		return out, s3err.MalformedXML
	}
	return out, checkFilter(&out)
}

// checkFilter validates the values of a filter.
func checkFilter(f *lifecycle.Filter) error {
	switch {
	case f.Prefix != nil && len(*f.Prefix) > meta.MaxKeyBytes:
		return s3err.New(s3err.InvalidRequest, "The maximum size of a prefix is %d.", meta.MaxKeyBytes)
	case f.Above != nil && *f.Above < 0:
		return s3err.New(s3err.InvalidRequest, "'ObjectSizeGreaterThan' should be greater than or equal to 0.")
	case f.Below != nil && *f.Below < 1:
		return s3err.New(s3err.InvalidRequest, "'ObjectSizeLessThan' should be greater than or equal to 1.")
	case f.Above != nil && f.Below != nil && *f.Below <= *f.Above:
		return s3err.New(s3err.InvalidRequest, "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	return nil
}

// expiration has exactly one of its three elements.
func (r *lifecycleRule) expiration(out *lifecycle.Rule) (err error) {
	x := r.Expiration
	if x == nil {
		return nil
	}
	e := &lifecycle.Expiration{DeleteMarker: x.DeleteMarker}
	n := 0
	for _, set := range []bool{x.Days != nil, x.Date != nil, x.DeleteMarker != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return s3err.MalformedXML
	}
	if e.Days, err = days(x.Days, 1, "Days", "Expiration"); err != nil {
		return err
	}
	if x.DeleteMarker != nil && len(out.Filter.Tags) > 0 {
		return s3err.New(s3err.InvalidRequest, "ExpiredObjectDeleteMarker cannot be specified with Tags.")
	}
	e.Date, err = midnight(x.Date)
	out.Expiration = e
	return err
}

// noncurrent reads the expiration of noncurrent versions.
func (r *lifecycleRule) noncurrent(out *lifecycle.Rule) (err error) {
	if r.Noncurrent == nil {
		return nil
	}
	if r.Noncurrent.Days == nil {
		return s3err.MalformedXML
	}
	x := &lifecycle.NoncurrentExpiration{}
	if x.Days, err = days(r.Noncurrent.Days, 1, "NoncurrentDays", "NoncurrentVersionExpiration"); err != nil {
		return err
	}
	x.Newer, err = newer(r.Noncurrent.Newer, out)
	out.NoncurrentExpiration = x
	return err
}

// abort reads the rule for unfinished uploads, which have neither tags nor a
// size.
func (r *lifecycleRule) abort(out *lifecycle.Rule) (err error) {
	switch {
	case r.Abort == nil:
		return nil
	case r.Abort.Days == nil:
		return s3err.MalformedXML
	case len(out.Filter.Tags) > 0:
		return s3err.New(s3err.InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with Tags.")
	case out.Filter.Above != nil || out.Filter.Below != nil:
		return s3err.New(s3err.InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with Object Size.")
	}
	out.AbortUploadDays, err = days(r.Abort.Days, 1, "DaysAfterInitiation", "AbortIncompleteMultipartUpload")
	return err
}

// transitions reads the transitions of current versions, each to another class.
func (r *lifecycleRule) transitions(out *lifecycle.Rule) error {
	for _, t := range r.Transitions {
		if (t.Days == nil) == (t.Date == nil) {
			return s3err.MalformedXML
		}
		least, err := r.class(t.Class, "Transition", func(class string) bool {
			return slices.ContainsFunc(out.Transitions, func(o lifecycle.Transition) bool { return o.Class == class })
		})
		if err != nil {
			return err
		}
		if _, err := days(t.Days, least, "Days", "Transition"); err != nil {
			return err
		}
		date, err := midnight(t.Date)
		if err != nil {
			return err
		}
		out.Transitions = append(out.Transitions, lifecycle.Transition{Days: t.Days, Date: date, Class: t.Class})
	}
	return nil
}

// noncurrentTransitions reads the transitions of noncurrent versions.
func (r *lifecycleRule) noncurrentTransitions(out *lifecycle.Rule) error {
	for _, t := range r.NoncurrentTransitions {
		if t.Days == nil {
			return s3err.MalformedXML
		}
		least, err := r.class(t.Class, "NoncurrentVersionTransition", func(class string) bool {
			return slices.ContainsFunc(out.NoncurrentTransitions, func(o lifecycle.NoncurrentTransition) bool { return o.Class == class })
		})
		if err != nil {
			return err
		}
		n, err := days(t.Days, least, "NoncurrentDays", "NoncurrentVersionTransition")
		if err != nil {
			return err
		}
		kept, err := newer(t.Newer, out)
		if err != nil {
			return err
		}
		out.NoncurrentTransitions = append(out.NoncurrentTransitions, lifecycle.NoncurrentTransition{Days: n, Newer: kept, Class: t.Class})
	}
	return nil
}

// class validates the storage class of a transition. It returns the least age,
// in days, of objects in that class.
func (r *lifecycleRule) class(class, action string, taken func(string) bool) (least int, err error) {
	switch {
	case !slices.Contains(transitionClasses, class) && !r.place(class):
		return 0, s3err.MalformedXML
	case taken(class):
		return 0, s3err.New(s3err.InvalidRequest, "'StorageClass' must be different for '%s' actions in same 'Rule'", action)
	case !engine.LabelClass(class) && !r.place(class):
		r.unsupported.note("Transitions to %s are not implemented, because there is no restore from it.", class)
	case slices.Contains(coolClasses, class):
		return coolDays, nil
	}
	return 0, nil
}

// days reads a number of days, at least least; 0 when it is absent.
func days(n *int, least int, element, action string) (int, error) {
	switch {
	case n == nil:
		return 0, nil
	case *n >= least:
		return *n, nil
	case least == 1:
		return 0, s3err.New(s3err.InvalidArgument, "'%s' for %s action must be a positive integer", element, action)
	case least == 0:
		return 0, s3err.New(s3err.InvalidArgument, "'%s' in %s action must be nonnegative", element, action)
	}
	return 0, s3err.New(s3err.InvalidArgument,
		"'%s' in %s action must be greater than or equal to %d for storageClass of infrequent access", element, action, least)
}

// newer reads the number of noncurrent versions that are kept at any age.
func newer(n *int, out *lifecycle.Rule) (int, error) {
	switch {
	case n == nil:
		return 0, nil
	case *n < 1 || *n > maxNewerNoncurrent:
		return 0, s3err.New(s3err.InvalidArgument, "'NewerNoncurrentVersions' must be between 1 and %d", maxNewerNoncurrent)
	case out.Filter.Old:
		return 0, s3err.New(s3err.InvalidRequest, "'NewerNoncurrentVersions' can only be specified in a rule with a Filter")
	}
	return *n, nil
}

// midnight parses a date, or a time at midnight in UTC; nil when it is absent.
func midnight(date *string) (*time.Time, error) {
	if date == nil {
		return nil, nil
	}
	text := strict.InElement(*date)
	t, ok := strict.Time(time.DateOnly, text)
	if !ok {
		if t, ok = strict.DateTime(text); !ok {
			return nil, s3err.MalformedXML
		}
	}
	if t = t.UTC(); !t.Equal(t.Truncate(24 * time.Hour)) {
		return nil, s3err.New(s3err.InvalidArgument, "'Date' must be at midnight GMT")
	}
	return &t, nil
}

// checkOrder refuses dates mixed with days, and an expiration that is not later
// than a transition.
func checkOrder(r *lifecycle.Rule) error {
	// All must be dates, or all ages. Only then can they be compared.
	for _, t := range r.Transitions {
		dated := t.Date != nil
		if dated != (r.Transitions[0].Date != nil) ||
			r.Expiration != nil && r.Expiration.DeleteMarker == nil && dated != (r.Expiration.Date != nil) {
			return s3err.New(s3err.InvalidRequest,
				"Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule")
		}
		if r.Expiration == nil || r.Expiration.DeleteMarker != nil {
			continue
		}
		if dated && !r.Expiration.Date.After(*t.Date) || !dated && r.Expiration.Days <= *t.Days {
			return s3err.New(s3err.InvalidArgument,
				"'Days' or 'Date' in the Expiration action must be greater than in the Transition action")
		}
	}
	for _, t := range r.NoncurrentTransitions {
		if r.NoncurrentExpiration != nil && r.NoncurrentExpiration.Days <= t.Days {
			return s3err.New(s3err.InvalidArgument, "'NoncurrentDays' in the NoncurrentVersionExpiration action "+
				"must be greater than in the NoncurrentVersionTransition action")
		}
	}
	return nil
}
