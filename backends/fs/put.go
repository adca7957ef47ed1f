package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"strconv"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
)

const (
	// copyBuffer is the buffer for readers that are no io.WriterTo.
	copyBuffer = 256 << 10
	// earlyFlush is the number of written bytes after which the kernel is asked to
	// start writing them to disk, so that little is left for the final fsync.
	earlyFlush = 8 << 20
	// preallocateFrom is the size from which space is reserved in advance: then a
	// full disk shows before the body is read, and extents are contiguous.
	preallocateFrom = 1 << 20
	// minFreeFiles is the number of files that stay free with Options.MinFree, but no
	// more than 1/minFreeShare of all that the file system can hold. Small blobs use
	// up the inodes of some file systems before their bytes.
	minFreeFiles = 1000
	minFreeShare = 16
	// maxTakenNames in tmp are passed over by one Put.
	maxTakenNames = 10_000
)

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// Put implements backends.Backend.
func (s *Store) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := s.put(ctx, id, r, size); err != nil {
		return fmt.Errorf("put blob %s: %w", id, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	if err := backends.CheckID(id); err != nil {
		return err
	}
	h := s.now.Load()
	shard, f, name, err := s.begin(h, id)
	if err != nil && (lost(err) || errors.Is(err, iofs.ErrNotExist)) { // no byte of r has been read
		if again := s.reopen(h); again != nil {
			return fmt.Errorf("%w: %w; %w", backends.ErrUnavailable, err, again)
		}
		h = s.now.Load()
		shard, f, name, err = s.begin(h, id)
	}
	if err != nil {
		return classify(err)
	}
	defer shard.Close()
	keep := s.opts.MinFree
	if size == 0 {
		keep = 0
	}
	if err := s.fillTemp(ctx, h, f, name, r, size, keep); err != nil {
		return err
	}
	defer h.incoming.remove(name) // by then a second name, or a leftover that Open removes
	if err := backends.Ended(ctx); err != nil {
		return err
	}
	err = s.publish(h, shard, name, id)
	if errors.Is(err, iofs.ErrNotExist) { // the shard was empty and has been removed
		anew, err := s.makeShard(h, id)
		if err != nil {
			return classify(err)
		}
		defer anew.Close()
		return s.publish(h, anew, name, id)
	}
	return err
}

// begin opens the folder of id, and creates a file for its bytes.
func (s *Store) begin(h *handles, id backends.BlobID) (shard *folder, f *os.File, name string, err error) {
	if shard, err = s.makeShard(h, id); err != nil {
		return nil, nil, "", err
	}
	if f, name, err = s.newTemp(h); err != nil {
		shard.Close()
		return nil, nil, "", err
	}
	return shard, f, name, nil
}

// publish gives the flushed file its id. It uses a link, which fails if the name
// exists, while a rename would replace the file.
func (s *Store) publish(h *handles, shard *folder, name string, id backends.BlobID) error {
	err := h.incoming.linkTo(name, shard, id.String())
	_, number := shardOf(id)
	flush := func() error {
		return h.flushes[number].join(func() error { return shard.flush(s.sync) })
	}
	if errors.Is(err, iofs.ErrExist) {
		// The caller may rely on the blob that is there. A process that was killed, or a Put
		// that is still under way, may not have flushed its entry.
		if err := flush(); err != nil {
			return classify(fmt.Errorf("flush the folder of %s: %w", id, err))
		}
		return backends.ErrExists
	}
	if err != nil {
		return classify(err)
	}
	if err := flush(); err != nil {
		// The entry may have reached the disk. The ledger still has the id as
		// reserved and will have it deleted.
		return classify(errors.Join(fmt.Errorf("flush the folder of %s: %w", id, err), shard.remove(id.String())))
	}
	return nil
}

// newTemp creates a file in tmp. It passes over names that are taken, as by a folder of
// another program, which clearTemp leaves there.
func (s *Store) newTemp(h *handles) (*os.File, string, error) {
	for try := 1; ; try++ {
		name := strconv.FormatUint(s.counter.Add(1), 10)
		f, err := h.incoming.create(name)
		if !errors.Is(err, iofs.ErrExist) || try == maxTakenNames {
			return f, name, err
		}
	}
}

// fillTemp stores the bytes of r in a file of newTemp, flushes and closes it. After
// an error it removes the file.
func (s *Store) fillTemp(ctx context.Context, h *handles, f *os.File, name string, r io.Reader, size, keep int64) (err error) {
	defer func() {
		if err != nil {
			f.Close()
			h.incoming.remove(name)
		}
	}()
	if err := reserve(f, size, keep); err != nil {
		return classify(err)
	}
	if err := fill(ctx, f, r, size); err != nil {
		return err
	}
	if err := s.sync(f); err != nil {
		return classify(err)
	}
	return classify(f.Close())
}

// room is what is free on a file system.
type room struct {
	known bool
	bytes int64 // that this process may still allocate
	files int64
	// allFiles is how many files the file system can hold; 0: it does not count them.
	allFiles int64
}

// reserve ensures, as far as possible, that there is room for size bytes, and that
// keep bytes stay free, and files with them.
func reserve(f *os.File, size, keep int64) error {
	if keep > 0 {
		r, err := freeRoom(f)
		if err != nil {
			return err
		}
		if r.known && r.bytes-max(size, 0) < keep {
			return fmt.Errorf("%w: %d bytes are free, and %d must stay free", backends.ErrFull, r.bytes, keep)
		}
		if files := min(minFreeFiles, r.allFiles/minFreeShare); r.files < files {
			return fmt.Errorf("%w: %d files (inodes) are free, and %d must stay free", backends.ErrFull, r.files, files)
		}
	}
	if size < preallocateFrom {
		return nil
	}
	return preallocate(f, size)
}

// fill copies r to f and checks its length.
func fill(ctx context.Context, f *os.File, r io.Reader, size int64) error {
	w := &bodyWriter{ctx: ctx, f: f, size: size}
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	_, err := io.CopyBuffer(w, r, buf[:])
	switch {
	case w.err != nil: // first, because r's WriteTo may hide it
		return w.err
	case err != nil:
		return fmt.Errorf("read body: %w", err)
	case size >= 0 && w.written != size:
		return fmt.Errorf("%w: %d bytes of %d", backends.ErrSize, w.written, size)
	}
	return nil
}

// bodyWriter writes one body. It never writes more than the size, stops when ctx
// ends, and starts the kernel's writeback meanwhile.
type bodyWriter struct {
	ctx     context.Context
	f       *os.File
	size    int64 // -1: unknown
	written int64
	flushed int64
	err     error // the first error, which every later call repeats
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	if w.err == nil {
		w.err = backends.Ended(w.ctx)
	}
	if w.err == nil && w.size >= 0 && int64(len(p)) > w.size-w.written {
		w.err = fmt.Errorf("%w: more than %d bytes", backends.ErrSize, w.size)
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.f.Write(p)
	w.written += int64(n)
	if err != nil {
		w.err = classify(err)
		return n, w.err
	}
	if w.written-w.flushed >= earlyFlush {
		startWriteback(w.f, w.flushed, w.written-w.flushed)
		w.flushed = w.written
	}
	return n, nil
}
