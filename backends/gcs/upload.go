package gcs

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"github.com/sanctum-storage/gateway/backends"
)

// castagnoli is CRC32C, the one checksum that all objects of GCS have.
// https://cloud.google.com/storage/docs/data-validation
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errOver is the error of a late Read by the transport.
var errOver = errors.New("the upload is over")

// upload is the body of a multipart upload: head, the bytes of r, tail. Without the
// tail the upload is incomplete. It is withheld until r has returned io.EOF and ctx
// is still alive after that.
//
// The transport may continue to read after its response; stop ends that, so that
// the caller owns r again. It is not Close, because Close must not wait for r.
type upload struct {
	ctx        context.Context
	head, tail []byte
	size       int64  // bytes that r has yielded
	sum        uint32 // their CRC32C

	mu      sync.Mutex
	r       io.Reader // nil after its io.EOF
	err     error     // r's failure or ctx's end: the upload cannot be completed
	stopped bool
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.stopped:
		return 0, errOver
	case u.err != nil:
		return 0, u.err
	case len(u.head) > 0:
		n := copy(p, u.head)
		u.head = u.head[n:]
		return n, nil
	case u.r != nil:
		return u.data(p)
	case len(u.tail) > 0:
		n := copy(p, u.tail)
		u.tail = u.tail[n:]
		return n, nil
	}
	return 0, io.EOF
}

// data reads from r. It returns no io.EOF, because the tail follows.
func (u *upload) data(p []byte) (int, error) {
	n, err := u.r.Read(p)
	u.sum = crc32.Update(u.sum, castagnoli, p[:n])
	u.size += int64(n)
	if err == io.EOF {
		u.r = nil
		err = backends.Ended(u.ctx)
	}
	u.err = err
	return n, err
}

// stop waits for a Read in progress and refuses later ones. It returns r's error,
// and whether the whole body was yielded.
func (u *upload) stop() (err error, whole bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	return u.err, u.err == nil && u.r == nil && len(u.tail) == 0
}
