package lifecycle

import (
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// Act is a kind of act of a lifecycle.
type Act uint8

const (
	Removed Act = iota + 1 // for good: an object, a noncurrent version, or a delete marker
	Marked                 // the current version by a delete marker
	Aborted                // an upload
	Moved                  // a version to another storage class
)

// Event is one act of a lifecycle.
type Event struct {
	Act    Act
	Bucket meta.Bucket
	Key    string
	// Version is the version that was removed or moved, or the delete marker that was
	// made. It is zero if the bucket never had versioning, and for an upload.
	Version meta.VersionRef
	Size    int64
	Class   string // the new storage class after a transition
	Time    time.Time
}

// tell reports an act to Config.Tell.
// A bucket that never had versioning has no version to name.
func (t *turn) tell(act Act, key string, version meta.VersionRef, size int64, class string) {
	if t.s.tell == nil {
		return
	}
	if t.b.Versioning == meta.VersioningOff {
		version = meta.VersionRef{}
	}
	t.s.tell(Event{Act: act, Bucket: t.b, Key: key, Version: version, Size: size, Class: class, Time: t.s.now()})
}
