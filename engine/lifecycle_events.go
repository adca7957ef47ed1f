package engine

import (
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// LifecycleAct is what a lifecycle did.
type LifecycleAct uint8

const (
	LifecycleRemoved LifecycleAct = iota + 1 // for good: an object, a noncurrent version, or a delete marker
	LifecycleMarked                          // the current version by a delete marker
	LifecycleAborted                         // an upload
	LifecycleMoved                           // a version to another storage class
)

// LifecycleEvent is one thing that a lifecycle did.
type LifecycleEvent struct {
	Act    LifecycleAct
	Bucket meta.Bucket
	Key    string
	// Version is the one that was removed or moved, or the marker that was made;
	// zero where the bucket never had versions, and of an upload.
	Version meta.VersionRef
	Size    int64
	Class   string // that a transition led to
	Time    time.Time
}

// OnLifecycle has f told of everything that lifecycles do on this gateway from now
// on, once it is done. It is called in the step and must not wait for anything. What a
// gateway did that was killed in that moment is told nobody.
func (e *Engine) OnLifecycle(f func(LifecycleEvent)) { e.onLifecycle.Store(&f) }

// tell tells of what was done to a version, or to a key by a marker.
func (t *turn) tell(act LifecycleAct, key string, version meta.VersionRef, size int64, class string) {
	f := t.e.onLifecycle.Load()
	if f == nil {
		return
	}
	if t.b.Versioning == meta.VersioningOff {
		version = meta.VersionRef{}
	}
	(*f)(LifecycleEvent{Act: act, Bucket: t.b, Key: key, Version: version, Size: size, Class: class, Time: t.e.now()})
}
