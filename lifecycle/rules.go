package lifecycle

import (
	"slices"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/strict"
)

// Configuration is a bucket's lifecycle configuration, the document of
// engine.LifecycleSetting. It was validated before it was stored. Its JSON is the stored
// form: names may be added and never change.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
type Configuration struct {
	Rules []Rule `json:"rules"` // 1..1000, the disabled ones included
	// MinimumSize is all_storage_classes_128K or varies_by_storage_class: whether rules
	// without a size filter move small objects to no class, or to some.
	MinimumSize string `json:"minimum_size"`
}

// The values of Configuration.MinimumSize.
const (
	MinimumSizeAll    = "all_storage_classes_128K"
	MinimumSizeVaries = "varies_by_storage_class"
)

// Rule has actions for the objects that its filter names. At least one action is set.
type Rule struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"`
	Filter  Filter `json:"filter"`

	Expiration            *Expiration            `json:"expiration,omitempty"`
	NoncurrentExpiration  *NoncurrentExpiration  `json:"noncurrent_expiration,omitempty"`
	Transitions           []Transition           `json:"transitions,omitempty"`
	NoncurrentTransitions []NoncurrentTransition `json:"noncurrent_transitions,omitempty"`
	// AbortUploadDays is the age in days at which an unfinished upload is aborted; 0: never.
	AbortUploadDays int `json:"abort_upload_days,omitempty"`
}

// Filter names the objects of a rule: those that match every field that is set. The zero
// value names all.
type Filter struct {
	Prefix *string       `json:"prefix,omitempty"` // nil and "": any
	Tags   []engine.Pair `json:"tags,omitempty"`   // all of them, with these values
	Above  *int64        `json:"above,omitempty"`  // bytes, exclusive
	Below  *int64        `json:"below,omitempty"`  // bytes, exclusive
	// Old and And keep the form of the client's document, so that it is shown as it was
	// sent: a Prefix outside of a filter, and an And around the conditions.
	Old bool `json:"old,omitempty"`
	And bool `json:"and,omitempty"`
}

// Expiration is about current versions. Exactly one field is set.
type Expiration struct {
	Days int        `json:"days,omitempty"` // 1 or more after the object was made
	Date *time.Time `json:"date,omitempty"` // a midnight, UTC
	// DeleteMarker: a delete marker that hides no version is removed.
	DeleteMarker *bool `json:"delete_marker,omitempty"`
}

// NoncurrentExpiration is about versions that ceased to be current.
type NoncurrentExpiration struct {
	Days  int `json:"days"`            // 1 or more since then
	Newer int `json:"newer,omitempty"` // number of the newest noncurrent versions that are kept: 0..100
}

// Transition gives current versions another storage class. One of Days
// and Date is set.
type Transition struct {
	Days  *int       `json:"days,omitempty"` // 0 or more
	Date  *time.Time `json:"date,omitempty"`
	Class string     `json:"class"`
}

// NoncurrentTransition does so for versions that ceased to be current.
type NoncurrentTransition struct {
	Days  int    `json:"days"` // 0 or more
	Newer int    `json:"newer,omitempty"`
	Class string `json:"class"`
}

// Parse reads the document of the setting; see buckets.Parsed. An error means that the
// rules are not known, and that nothing may be done by them. A field that a later release
// has added is such an error: a filter that is not understood would name more objects.
func Parse(document []byte) (*Configuration, error) {
	l, err := strict.Decode[Configuration](document)
	if err != nil {
		return nil, err
	}
	return &l, nil
}

// Matches reports whether the filter names an object with the key, the plaintext size in
// bytes and the tags.
func (f *Filter) Matches(key string, size int64, tags []engine.Pair) bool {
	if f.Prefix != nil && !strings.HasPrefix(key, *f.Prefix) ||
		f.Above != nil && size <= *f.Above || f.Below != nil && size >= *f.Below {
		return false
	}
	for _, t := range f.Tags {
		if !slices.Contains(tags, t) {
			return false
		}
	}
	return true
}
