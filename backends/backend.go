// Package backends is the contract for places that keep sealed bytes under random
// names: blobs, written once and never changed.
//
// A backend is not trusted and does not interpret its blobs. It never sees
// plaintext, object names, users or keys. The store's ledger, and not this package,
// decides whether an object exists. The package imports nothing of ours; its
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

// Errors that adapters wrap, so that errors.Is finds them whatever text and cause
// they have. An error that wraps none of them, such as EIO, is a failure without a
// known remedy. The caller must not retry it on the same blob id.
var (
	// ErrNotFound: no blob is visible under the id.
	ErrNotFound = errors.New("blob not found")
	// ErrExists: a Put found a blob under its id, and did not change it.
	ErrExists = errors.New("blob already exists")
	// ErrSize: the reader of Put had fewer or more bytes than announced.
	ErrSize = errors.New("blob body differs from its announced size")
	// ErrUnavailable: the backend is unreachable, overloaded or temporarily out of
	// some resource; the same call may succeed later.
	ErrUnavailable = errors.New("backend unavailable")
	// ErrThrottled: the backend answers, but demands fewer requests. It wraps
	// ErrUnavailable.
	ErrThrottled = fmt.Errorf("%w: it asks to slow down", ErrUnavailable)
	// ErrDenied: the backend refuses the gateway's credential, or the credential
	// lacks a permission. Only a change of settings or permissions helps.
	ErrDenied = errors.New("backend denies access")
	// ErrCorrupt: stored or sent bytes differ from their checksum, or the backend's
	// answer contradicts itself or the request.
	ErrCorrupt = errors.New("backend returned or stored other bytes")
	// ErrFull: no room for the blob, because of the disk, a quota or a limit on the
	// size of files.
	ErrFull = errors.New("backend full")
	// ErrReadOnly: a write on a backend that was opened read-only.
	ErrReadOnly = errors.New("backend is read-only")
	// ErrClosed: a call after Close.
	ErrClosed = errors.New("backend closed")
)

// Info describes a visible blob.
type Info struct {
	ID       BlobID
	Size     int64     // bytes
	Modified time.Time // when the backend says it was stored: for display, never for ordering
}

// Backend keeps blobs. All methods are safe for concurrent use.
//
// An adapter must keep these promises, which backendtest checks:
//
//   - Visibility is atomic: Get, Stat and List show a blob whole or not at all, and
//     not before its Put is about to return.
//   - Read after write: once Put or Delete has returned nil, every later call
//     on any instance over the same place sees its effect.
//   - Cancellation: when ctx ends, a call returns soon with an error that wraps
//     context.Cause(ctx) or ctx.Err(). A call with a context that has already
//     ended has no effect.
//   - Errors wrap the sentinels above where they apply; they contain blob ids
//     and host or folder names, never credentials.
//   - No goroutine survives the call that started it, except those that serve
//     a connection pool and end with Close.
type Backend interface {
	// Put stores the bytes of r under id and returns nil only when the blob is
	// durable: it survives a power cut the next instant. It never replaces a blob
	// (ErrExists), and of concurrent Puts of one id at most one succeeds.
	//
	// Put reads r until io.EOF, even after size bytes, because a reader may verify
	// its data at the end and fail there; it may use the io.WriterTo of r. r must
	// yield exactly size bytes (ErrSize); size -1 means that the length is unknown,
	// and r decides. Put does not use r after it has returned. It does not close r,
	// and cannot interrupt a Read that blocks. It refuses the zero id.
	//
	// After an error, nothing is visible under id. An error of r is returned
	// wrapped. There is one exception: where the backend's answer was lost (a cut
	// connection, a cancelled wait for the last reply, a failed flush of a folder)
	// the blob may have been stored whole, or may appear whole later. A caller
	// never uses an id for a second Put, and lets its collector Delete the id.
	Put(ctx context.Context, id BlobID, r io.Reader, size int64) error

	// Get reads n bytes of the blob starting at off; n -1 means to its end. The
	// reader yields exactly n bytes and then io.EOF. If the blob is too short for
	// the range, the error is io.ErrUnexpectedEOF, from Get or from Read after the
	// existing bytes; off equal to the size with n 0 or -1 is an empty range and no
	// error. With n 0 the blob must exist too. off < 0, n < -1 and a sum beyond
	// int64 fail (see CheckRange).
	//
	// For an absent blob, Get itself returns ErrNotFound. ctx governs the reader
	// too. The caller closes the reader, and uses it from one goroutine. A reader
	// whose blob is deleted meanwhile yields the true bytes or an error.
	Get(ctx context.Context, id BlobID, off, n int64) (io.ReadCloser, error)

	// Stat describes one blob; ErrNotFound if there is none.
	Stat(ctx context.Context, id BlobID) (Info, error)

	// Delete removes the blobs and returns nil only when none of the ids is visible
	// and none can come back after a power cut. Absent and repeated ids are no
	// error. After an error any subset may be gone: the caller repeats the whole
	// call. Adapters batch the work; a call takes at most MaxDelete ids.
	Delete(ctx context.Context, ids ...BlobID) error

	// List yields the blobs with ids after the given one, ascending by
	// BlobID.Compare; the zero id starts at the first. Memory is bounded, or at
	// most a small constant fraction of the number of blobs. A blob that exists
	// from the first step to the last is yielded exactly once; one that is written
	// or deleted meanwhile may be yielded or not. An error comes with a zero Info
	// and ends the sequence. Files or objects that are not blobs are skipped.
	List(ctx context.Context, after BlobID) iter.Seq2[Info, error]

	// Check reports whether the backend can be written and read at the moment. It
	// writes and reads a few bytes that are never visible as a blob.
	Check(ctx context.Context) error

	// Close releases the backend's resources. Calls that begin after it return
	// ErrClosed; a second Close is no error. The caller has ended its calls and
	// closed its readers before.
	Close() error
}

// MaxDelete is the most ids of one Delete: the limit of S3's DeleteObjects.
const MaxDelete = 1000
