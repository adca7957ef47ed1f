package fs

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/sanctum-storage/gateway/backends"
)

// sequentialFrom is the length from which a read asks the kernel for more
// read-ahead; for shorter reads, the call costs more than it saves.
const sequentialFrom = 1 << 20

// Get implements backends.Backend. A range beyond the end fails here, and not in
// Read.
func (s *Store) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	r, err := s.get(ctx, id, off, n)
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", id, err)
	}
	return r, nil
}

func (s *Store) get(ctx context.Context, id backends.BlobID, off, n int64) (*reader, error) {
	if err := backends.CheckRange(off, n); err != nil {
		return nil, err
	}
	f, size, err := s.openBlob(ctx, id)
	if err != nil {
		return nil, err
	}
	if off > size || n > size-off {
		f.Close()
		return nil, fmt.Errorf("%d bytes from %d of %d: %w", n, off, size, io.ErrUnexpectedEOF)
	}
	if n < 0 {
		n = size - off
	}
	if n >= sequentialFrom {
		adviseSequential(f, off, n)
	}
	return &reader{ctx: ctx, f: f, off: off, left: n}, nil
}

// Stat implements backends.Backend.
func (s *Store) Stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	info, err := s.stat(ctx, id)
	if err != nil {
		return backends.Info{}, fmt.Errorf("stat blob %s: %w", id, err)
	}
	return info, nil
}

func (s *Store) stat(ctx context.Context, id backends.BlobID) (backends.Info, error) {
	if err := backends.Ended(ctx); err != nil {
		return backends.Info{}, err
	}
	var fi os.FileInfo
	err := s.found(func(h *handles) error {
		shard, err := h.openShard(id)
		if err != nil {
			return err
		}
		defer shard.Close()
		fi, err = lstatBlob(shard, id)
		return err
	})
	if err != nil {
		return backends.Info{}, absent(err)
	}
	return backends.Info{ID: id, Size: fi.Size(), Modified: fi.ModTime()}, nil
}

// openBlob opens the file of id. It follows no link.
func (s *Store) openBlob(ctx context.Context, id backends.BlobID) (*os.File, int64, error) {
	if err := backends.Ended(ctx); err != nil {
		return nil, 0, err
	}
	var f *os.File
	var size int64
	err := s.found(func(h *handles) error {
		shard, err := h.findShard(id)
		if err != nil {
			return err
		}
		defer shard.Close()
		f, size, err = shard.open(id.String())
		return err
	})
	if err != nil {
		return nil, 0, absent(err)
	}
	return f, size, nil
}

// lstatBlob describes a plain file, and refuses anything else.
func lstatBlob(shard *os.Root, id backends.BlobID) (os.FileInfo, error) {
	fi, err := shard.Lstat(id.String())
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%w (%s)", errNoFile, fi.Mode().Type())
	}
	return fi, nil
}

// reader is a range of a blob.
type reader struct {
	ctx  context.Context
	f    *os.File
	off  int64
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := backends.Ended(r.ctx); err != nil {
		return 0, err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := readAtFull(r.f, p[:min(int64(len(p)), r.left)], r.off)
	r.off += int64(n)
	r.left -= int64(n)
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }
