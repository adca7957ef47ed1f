package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"iter"
	"os"
	"slices"

	"github.com/sanctum-storage/gateway/backends"
)

// List implements backends.Backend. It holds the names of one folder at a time,
// 1/1,024 of all.
func (s *Store) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		fail := func(err error) { yield(backends.Info{}, fmt.Errorf("list blobs: %w", err)) }
		if err := backends.Ended(ctx); err != nil {
			fail(err)
			return
		}
		var h *handles
		var shards []string
		err := s.found(func(now *handles) (err error) {
			h = now
			if shards, err = h.shardNames(); err == nil && len(shards) == 0 && h.shards.removed() {
				err = errGone
			}
			return err
		})
		if err != nil {
			fail(classify(err))
			return
		}
		from := ""
		if !after.IsZero() {
			from = after.String()
		}
		for _, name := range shards {
			if name < from[:min(shardLen, len(from))] {
				continue
			}
			more, err := h.listShard(ctx, name, from, yield)
			if err != nil {
				fail(classify(err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// listShard yields the blobs of one folder whose names are above from, and reports
// whether the caller wants more.
func (h *handles) listShard(ctx context.Context, name, from string, yield func(backends.Info, error) bool) (bool, error) {
	shard, err := openDir(h.blobs, name)
	if errors.Is(err, iofs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer shard.Close()
	names, err := readNames(shard)
	if err != nil {
		return false, err
	}
	slices.Sort(names)
	for _, text := range names {
		if text <= from || text[:min(shardLen, len(text))] != name {
			continue
		}
		if err := backends.Ended(ctx); err != nil {
			return false, err
		}
		info, ok, err := infoOf(shard, text)
		if err != nil {
			return false, err
		}
		if ok && !yield(info, nil) {
			return false, nil
		}
	}
	return true, nil
}

// infoOf describes the file if it is a blob that still exists.
func infoOf(shard *os.Root, text string) (_ backends.Info, ok bool, _ error) {
	id, err := backends.ParseBlobID(text)
	if err != nil {
		return backends.Info{}, false, nil
	}
	fi, err := shard.Lstat(text)
	if errors.Is(err, iofs.ErrNotExist) {
		return backends.Info{}, false, nil // it was deleted meanwhile
	}
	if err != nil {
		return backends.Info{}, false, err
	}
	if !fi.Mode().IsRegular() {
		return backends.Info{}, false, nil // Get refuses it too
	}
	return backends.Info{ID: id, Size: fi.Size(), Modified: fi.ModTime()}, true, nil
}
