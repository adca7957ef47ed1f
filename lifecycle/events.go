package lifecycle

import (
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Act is what a lifecycle did.
type Act uint8

const (
	Removed Act = iota + 1 // for good: an object, a noncurrent version, or a delete marker
	Marked                 // the current version by a delete marker
	Aborted                // an upload
	Moved                  // a version to another storage class
)

// Event is one thing that a lifecycle did.
type Event struct {
	Act    Act
	Bucket meta.Bucket
	Key    string
	// Version is the one that was removed or moved, or the marker that was made;
	// zero where the bucket never had versions, and of an upload.
	Version meta.VersionRef
	Size    int64
	Class   string // that a transition led to
	Time    time.Time
}

// tell tells of what was done to a version, or to a key by a marker.
func (t *turn) tell(act Act, key string, version meta.VersionRef, size int64, class string) {
	if t.s.tell == nil {
		return
	}
	if t.b.Versioning == meta.VersioningOff {
		version = meta.VersionRef{}
	}
	t.s.tell(Event{Act: act, Bucket: t.b, Key: key, Version: version, Size: size, Class: class, Time: t.s.now()})
}
