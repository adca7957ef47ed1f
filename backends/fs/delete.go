package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"

	"github.com/sanctum-storage/gateway/backends"
)

// Delete implements backends.Backend. It flushes each folder once.
func (s *Store) Delete(ctx context.Context, ids ...backends.BlobID) error {
	if err := s.writable(ctx); err != nil {
		return fmt.Errorf("delete blobs: %w", err)
	}
	shards := make(map[string][]backends.BlobID)
	for _, id := range ids {
		name, _ := shardOf(id)
		shards[name] = append(shards[name], id)
	}
	for _, group := range shards {
		if err := backends.Ended(ctx); err != nil {
			return fmt.Errorf("delete blobs: %w", err)
		}
		if err := s.found(func(h *handles) error { return s.deleteInShard(ctx, h, group) }); err != nil {
			return fmt.Errorf("delete %d blobs like %s: %w", len(group), group[0], err)
		}
	}
	return nil
}

// deleteInShard flushes the folder even if no file was there: an earlier Delete may
// have removed the files and died before its flush.
func (s *Store) deleteInShard(ctx context.Context, h *handles, ids []backends.BlobID) error {
	shard, err := h.openShard(ids[0])
	if errors.Is(err, iofs.ErrNotExist) && !h.shards.removed() {
		return nil
	}
	if err != nil {
		return classify(h.sought(err))
	}
	defer shard.Close()
	for _, id := range ids {
		// A call that hung may have been given up meanwhile.
		if err := backends.Ended(ctx); err != nil {
			return err
		}
		if err := shard.Remove(id.String()); err != nil && !errors.Is(err, iofs.ErrNotExist) {
			return classify(err)
		}
	}
	return classify(s.syncDir(shard))
}
