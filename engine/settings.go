package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	maxCachedSettings = 4096 // buckets whose settings stay in memory
	maxSettingTries   = 4    // changes of one bucket's settings at once
)

// Settings are the opened sub-resources of a bucket in one revision. They are
// shared by all requests that see that revision, and never change.
type Settings struct {
	revision  int64
	documents map[string][]byte
	mu        sync.Mutex
	parsed    map[string]any
}

// Document is the setting of the name, or false. The bytes are not the caller's.
func (s *Settings) Document(name string) ([]byte, bool) {
	d, ok := s.documents[name]
	return d, ok
}

// Names are those that begin with the prefix, in no order: a kind of setting of
// which a bucket may have many is stored as prefix and id.
func (s *Settings) Names(prefix string) []string {
	var names []string
	for name := range s.documents {
		if len(name) >= len(prefix) && name[:len(prefix)] == prefix {
			names = append(names, name)
		}
	}
	return names
}

// Parsed is what parse makes of a setting, done once for each revision of the
// bucket; false when there is none. The value is shared and must not be
// changed. An error is one of what is stored: the caller fails closed.
func Parsed[T any](s *Settings, name string, parse func([]byte) (T, error)) (v T, ok bool, err error) {
	doc, ok := s.documents[name]
	if !ok {
		return v, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, done := s.parsed[name].(T); done {
		return v, true, nil
	}
	if v, err = parse(doc); err != nil {
		return v, true, fmt.Errorf("the bucket's setting %s cannot be read: %w", name, err)
	}
	s.parsed[name] = v
	return v, true, nil
}

// Settings returns the sub-resources of a bucket as of the bucket's revision:
// what was cached under that is still so.
func (e *Engine) Settings(ctx context.Context, b meta.Bucket) (*Settings, error) {
	if s, ok := e.settings.get(b.ID); ok && s.revision == b.Revision {
		return s, nil
	}
	if b.Revision == 0 {
		return &Settings{}, nil // nothing was ever set
	}
	rows, err := e.store.BucketSettings(ctx, b.ID)
	if errors.Is(err, meta.ErrNoBucket) {
		return nil, noSuchBucket(b.Name)
	} else if err != nil {
		return nil, storeError(err)
	}
	s := &Settings{revision: rows.Revision, documents: make(map[string][]byte, len(rows.Settings)), parsed: make(map[string]any)}
	for _, row := range rows.Settings {
		generation, err := encrypt.MarksGeneration(row.Document)
		if err != nil {
			return nil, internal("read a bucket's setting", err)
		}
		keys, err := e.bucketKeysOf(ctx, b.ID, generation)
		if err != nil {
			return nil, err
		}
		if s.documents[row.Name], err = keys.OpenSetting(row.Name, row.Document); err != nil {
			return nil, internal("open a bucket's setting", err)
		}
	}
	e.settings.put(b.ID, s)
	return s, nil
}

// SetSetting stores a sub-resource of a bucket, or removes it when the document is
// empty. It is seen by every request, on every gateway, that finds the bucket
// after it returned.
func (e *Engine) SetSetting(ctx context.Context, b meta.Bucket, name string, document []byte) error {
	return e.UpdateSetting(ctx, b, name, func(*Settings) ([]byte, error) { return document, nil })
}

// UpdateSetting is SetSetting of what update makes of the present settings. It is
// called again when they changed meanwhile.
func (e *Engine) UpdateSetting(ctx context.Context, b meta.Bucket, name string, update func(*Settings) ([]byte, error)) error {
	keys, err := e.bucketKeys(ctx, b.ID)
	if err != nil {
		return err
	}
	for range maxSettingTries {
		s, err := e.Settings(ctx, b)
		if err != nil {
			return err
		}
		row := meta.Setting{Name: name}
		document, err := update(s)
		if err != nil {
			return err
		}
		if len(document) > 0 {
			row.Document = keys.SealSetting(name, document)
		}
		err = e.store.SetSetting(ctx, b.ID, b.Revision, row)
		if !errors.Is(err, meta.ErrConflict) {
			return storeError(err)
		}
		if b, err = e.sameBucket(ctx, b); err != nil {
			return err
		}
	}
	return s3err.OperationAborted
}
