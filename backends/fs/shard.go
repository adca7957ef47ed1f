package fs

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	shardLen   = 2       // characters of the id that name its folder
	shardCount = 32 * 32 // folders: 32 values per character
)

// shardOf returns the name and the number of the folder that holds id: the first
// ten bits, which are the first two characters.
func shardOf(id backends.BlobID) (name string, number int) {
	return id.String()[:shardLen], int(id[0])<<2 | int(id[1])>>6
}

// openShard opens the folder of id; iofs.ErrNotExist if it does not exist.
func (h *handles) openShard(id backends.BlobID) (*os.Root, error) {
	name, _ := shardOf(id)
	return openDir(h.blobs, name)
}

// findShard is openShard for reading one blob.
func (h *handles) findShard(id backends.BlobID) (*folder, error) {
	name, _ := shardOf(id)
	return h.shards.openDir(name)
}

// makeShard opens the folder of id, and creates it durably if it is new or was
// removed because it was empty. Concurrent Puts into a new folder each flush
// DIR/blobs instead of waiting for one another: the file system joins their
// flushes, while a lock would queue them.
func (s *Store) makeShard(h *handles, id backends.BlobID) (*folder, error) {
	name, number := shardOf(id)
	if h.durable[number].Load() {
		shard, err := h.shards.openDir(name)
		if !errors.Is(err, iofs.ErrNotExist) {
			return shard, err
		}
		h.durable[number].Store(false)
	}
	if err := h.blobs.Mkdir(name, dirMode); err != nil && !errors.Is(err, iofs.ErrExist) {
		return nil, err
	}
	shard, err := h.shards.openDir(name)
	if err != nil {
		return nil, err
	}
	if err := s.syncDir(h.blobs); err != nil {
		shard.Close()
		// A second flush of the same entry could succeed wrongly, so the next Put makes the folder
		// anew. It stays if a Put that flushed it has written there meanwhile.
		_ = h.blobs.Remove(name)
		return nil, fmt.Errorf("flush %s: %w", h.blobs.Name(), err)
	}
	h.durable[number].Store(true)
	return shard, nil
}

// adoptShards flushes DIR/blobs for the folders of an earlier process, which may
// have died between creating one and the flush.
func (s *Store) adoptShards(h *handles) error {
	names, err := h.shardNames()
	if err != nil {
		return err
	}
	if err := s.syncDir(h.blobs); err != nil {
		return err
	}
	for _, name := range names {
		id, err := backends.ParseBlobID(name + strings.Repeat("a", backends.BlobIDTextLen-shardLen))
		if err != nil {
			return err
		}
		_, number := shardOf(id)
		h.durable[number].Store(true)
	}
	return nil
}

// shardNames lists the shard folders in ascending order, and skips anything else in
// DIR/blobs.
func (h *handles) shardNames() ([]string, error) {
	names, err := readNames(h.blobs)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		_, err := backends.ParseBlobID(name + strings.Repeat("a", backends.BlobIDTextLen-shardLen))
		return err != nil
	})
	slices.Sort(names)
	return names, nil
}
