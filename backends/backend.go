// Package backends is the contract for places that keep sealed bytes under
// random names: blobs, written once and never changed.
//
// A backend is not trusted and not asked for meaning. It never sees plaintext,
// object names, users or keys, and nothing here decides whether an object
// exists: the store's ledger does. The package imports nothing of ours; its
// adapters (fs, gcs, mem, s3) never import one another, and all of them pass
// backendtest.Run.
package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// Errors that adapters wrap, so that errors.Is finds them whatever text and
// cause come with them. An error that wraps none of these is a failure without
// a known remedy, such as EIO, and is not to be retried on the same blob id.
var (
	// ErrNotFound: no blob is visible under the id.
	ErrNotFound = errors.New("blob not found")
	// ErrExists: a Put met a blob that is already there, and left it as it was.
	ErrExists = errors.New("blob already exists")
	// ErrSize: the reader given to Put held fewer or more bytes than announced.
	ErrSize = errors.New("blob body differs from its announced size")
	// ErrUnavailable: the backend is out of reach, overloaded or out of some
	// passing resource; the same call may succeed later.
	ErrUnavailable = errors.New("backend unavailable")
	// ErrThrottled: the backend is there and asks to be asked less. It wraps
	// ErrUnavailable.
	ErrThrottled = fmt.Errorf("%w: it asks to slow down", ErrUnavailable)
	// ErrDenied: the backend refuses the gateway's credential, or what it may do
	// does not suffice. Only a change of settings or rights mends it.
	ErrDenied = errors.New("backend denies access")
	// ErrCorrupt: the backend's own checksum of what it stored or sent differs
	// from that of the bytes.
	ErrCorrupt = errors.New("backend returned or stored other bytes")
	// ErrFull: no room for the blob: disk, quota or file size limit.
	ErrFull = errors.New("backend full")
	// ErrReadOnly: a write on a backend that was opened for reading only.
	ErrReadOnly = errors.New("backend is read-only")
	// ErrClosed: a call after Close.
	ErrClosed = errors.New("backend closed")
)

// Info describes a visible blob.
type Info struct {
	ID       BlobID
	Size     int64     // bytes
	Modified time.Time // when the backend says it was stored: for people, never for order
}

// Backend keeps blobs. Every method may be called from any number of
// goroutines at once.
//
// Promises to keep in an adapter, all tested by backendtest:
//
//   - Visibility is atomic: a blob can be seen whole or not at all, by Get, Stat
//     and List alike, and not before its Put is about to return.
//   - Read after write: once Put or Delete has returned nil, every later call
//     on any instance over the same place sees its effect.
//   - Cancellation: when ctx ends, a call returns soon with an error that wraps
//     context.Cause(ctx) or ctx.Err(). A call with a context that has already
//     ended has no effect.
//   - Errors wrap the sentinels above where they apply; they carry blob ids
//     and host or folder names, never credentials.
//   - No goroutine survives the call that started it, except those that serve
//     a connection pool and end with Close.
type Backend interface {
	// Put stores what r yields under id and returns nil only when the blob is
	// durable: a power cut the next instant does not lose it. It never
	// replaces a blob (ErrExists), and of concurrent Puts of one id at most
	// one succeeds.
	//
	// r is read until io.EOF, even after size bytes, because a reader may
	// verify its data at the end and fail there; io.WriterTo may be used if r
	// has it. r must yield exactly size bytes (ErrSize); size -1 means that the
	// length is not known, and r decides. r is not used after Put has
	// returned. Put does not close r, and cannot interrupt a Read that blocks.
	// The zero id is refused.
	//
	// After any error nothing is visible under id, an error of r included,
	// which comes back wrapped. One exception: where the backend's answer was
	// lost (a cut connection, a cancelled wait for the last reply, a failed
	// flush of a folder) the blob may have been stored whole, or may appear
	// whole later. A caller never uses an id for a second Put, and
	// lets its collector Delete the id.
	Put(ctx context.Context, id BlobID, r io.Reader, size int64) error

	// Get reads n bytes of the blob starting at off; n -1 means to its end.
	// The reader yields exactly n bytes and then io.EOF. A blob that is too
	// short for the range gives io.ErrUnexpectedEOF, from Get or from Read
	// once the bytes that exist have been read; off equal to the size with n 0
	// or -1 is an empty range and no error. n 0 still asks for the blob to
	// exist. off < 0, n < -1 and a sum beyond int64 fail (see CheckRange).
	//
	// An absent blob is ErrNotFound from Get itself. ctx governs the reader
	// too. The caller closes the reader, and uses it from one goroutine.
	// A reader that is open while its blob is deleted yields the true bytes or
	// an error.
	Get(ctx context.Context, id BlobID, off, n int64) (io.ReadCloser, error)

	// Stat describes one blob; ErrNotFound if there is none.
	Stat(ctx context.Context, id BlobID) (Info, error)

	// Delete removes the blobs and returns nil only when none of the ids is
	// visible and none can come back after a power cut. Absent ids are no
	// error, and neither is a repeated id. After an error any subset may be
	// gone: repeat the whole call. Adapters group the work; a caller may pass
	// as many as MaxDelete ids.
	Delete(ctx context.Context, ids ...BlobID) error

	// List yields the blobs with ids strictly after the given one, ascending
	// by BlobID.Compare; the zero id starts at the first. Memory does not grow
	// with the number of blobs beyond a constant fraction of it. A blob that
	// exists from the first step to the last is yielded exactly once; one
	// written or deleted meanwhile may be yielded or not. An error comes with
	// a zero Info and ends the sequence. Files or objects that are not blobs
	// are passed over.
	List(ctx context.Context, after BlobID) iter.Seq2[Info, error]

	// Check reports whether the backend can be written to and read from right
	// now, by doing so with a few bytes that are never visible as a blob.
	Check(ctx context.Context) error

	// Close frees what the backend holds. Calls that begin after it return
	// ErrClosed; a second Close is no error. The caller has ended its calls
	// and closed its readers before.
	Close() error
}

// MaxDelete is how many ids one Delete takes: the limit of S3's DeleteObjects.
const MaxDelete = 1000
