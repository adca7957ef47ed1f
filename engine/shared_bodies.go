package engine

import (
	"context"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// LifecycleSetting is the name of the bucket setting that holds its lifecycle rules.
const LifecycleSetting = "lifecycle"

// mayShare reports whether blobs may become part of an object of the bucket
// where they are, in which case the bucket that they come from must have no
// lifecycle that moves them where they must not be. at says where each has to be
// found still when they become that, nil where it is all the same.
// A bucket without demands shares with any other.
func (e *Engine) mayShare(ctx context.Context, from, b *meta.Bucket, ids []meta.BlobID) (may bool, at []meta.BackendID, err error) {
	if len(b.Residency) == 0 || len(ids) == 0 {
		return true, nil, nil
	}
	return e.blobs.MayShare(ctx, b.Residency, ids, func(ctx context.Context, bears func(string) bool) (bool, error) {
		return e.strays(ctx, from, b, bears)
	})
}

// strays reports whether transitions of one bucket lead where another's demands are not
// met. bears reports whether the backend of a name, if it is one's, meets them.
// Without TransitionClasses any rules count as leading astray, which costs a copy and breaks no
// demand.
func (e *Engine) strays(ctx context.Context, from, b *meta.Bucket, bears func(string) bool) (bool, error) {
	// At revision 0 no setting was ever stored, so there are no rules.
	if from.ID == b.ID || from.Revision == 0 {
		return false, nil
	}
	settings, err := e.buckets.Settings(ctx, *from)
	if err != nil {
		return false, err
	}
	if e.transitionClasses == nil {
		_, ok := settings.Document(LifecycleSetting)
		return ok, nil
	}
	classes, _, err := buckets.Parsed(settings, LifecycleSetting, e.transitionClasses)
	if err != nil {
		return false, err
	}
	for _, class := range classes {
		if !bears(classPlace(class)) {
			return true, nil
		}
	}
	return false, nil
}

// mayShareAll is mayShare for all blobs of an object, which must also be where the
// manifest's storage class says.
func (e *Engine) mayShareAll(ctx context.Context, from, b *meta.Bucket, m *encrypt.Manifest) (may bool, at []meta.BackendID, err error) {
	if stay, err := e.mayStay(ctx, b, m); err != nil || !stay {
		return false, nil, err
	}
	if len(b.Residency) == 0 {
		return true, nil, nil
	}
	ids, err := e.blobsOf(ctx, m)
	if err != nil {
		return false, nil, err
	}
	return e.mayShare(ctx, from, b, ids)
}

// blobsOf lists the blobs of an object.
// For a completed upload they are from the rows of parts, as the store counts them, after the
// manifest has vouched for which parts those are.
func (e *Engine) blobsOf(ctx context.Context, m *encrypt.Manifest) (ids []meta.BlobID, err error) {
	for i := range m.Extents {
		ids = append(ids, m.Extents[i].Blob)
	}
	if m.Parts == nil {
		return ids, nil
	}
	for group := range m.Parts.Groups {
		rows, err := e.partGroup(ctx, m.Parts, group)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			ids = append(ids, rows[i].Blobs...)
		}
	}
	return ids, nil
}
