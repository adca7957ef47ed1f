package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// VerifyWhole is the length up to which a reading is verified to its last byte
// before the first one leaves; of a longer one only the first segment is.
const VerifyWhole = 1 << 20

// Reading is an object that was found, allowed by its conditions, and, when it
// comes from GetObject, opened. It is used by one goroutine and closed once.
type Reading struct {
	Object  Object
	Offset  int64 // of the first byte served
	Length  int64 // bytes served
	Partial bool  // a range or a part of several was asked for: 206

	version  meta.Version
	manifest *encrypt.Manifest
	src      *source
	head     []byte // verified, served first
	giveBack func() // returns head's buffer
	keeps    blobs.Reading
}

// GetObject opens an object, or a range or part of it. Two errors come with a
// Reading: a NotModified that describes the object, and the NoSuchKey or
// MethodNotAllowed of a delete marker, current or named, that describes the
// marker. Errors: NoSuchKey, NoSuchVersion, MethodNotAllowed, PreconditionFailed,
// NotModified, InvalidRange, InvalidPartNumber.
func (e *Engine) GetObject(ctx context.Context, in GetObject) (*Reading, error) {
	r, err := e.HeadObject(ctx, in)
	if err != nil {
		return r, err
	}
	if err := e.open(ctx, r); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// HeadObject is GetObject without the bytes.
// It reads no blob. The ETag that the conditions are held against is the sealed one.
func (e *Engine) HeadObject(ctx context.Context, in GetObject) (*Reading, error) {
	f, err := e.lookUp(ctx, in)
	if err != nil {
		return nil, err
	}
	v := f.version
	if v.Marker {
		if _, err := e.openRow(ctx, &v); err != nil {
			return nil, err
		}
		return &Reading{Object: describeMarker(in.Bucket, v)}, markerError(in)
	}
	m, err := e.openVersion(ctx, v, in.Customer)
	if err != nil {
		return nil, err
	}
	marks, err := e.marksOf(ctx, f)
	if err != nil {
		return nil, err
	}
	r := &Reading{Object: describe(in.Bucket, v, m, marks), Length: m.Size, version: v, manifest: m}
	if !in.Version.IsZero() {
		r.Object.Version = v.Ref() // a request that names a version is told it, whatever the bucket's versioning
	}
	if err := in.Conditions.checkRead(m.ETag, v.Modified); err != nil {
		if errors.Is(err, s3err.NotModified) {
			return r, err
		}
		return nil, err
	}
	switch {
	case in.PartNumber > 0:
		err = e.selectPart(ctx, r, in.PartNumber)
	case in.Range != nil:
		r.Offset, r.Length, err = in.Range.within(m.Size)
		r.Partial = r.Length > 0
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// lookUp is the version that is asked for. It is a marker where that is what
// was named, or is current: NoSuchKey and NoSuchVersion mean that there is none.
func (e *Engine) lookUp(ctx context.Context, in GetObject) (*Found, error) {
	f, err := in.Found, error(nil)
	if f == nil {
		if f, err = e.Look(ctx, in.Bucket, in.Key, in.Version); err != nil {
			return nil, err
		}
	}
	v, err := f.row()
	if err != nil && in.Version.IsZero() && in.Bucket.Versioning != meta.VersioningOff {
		v, err = e.store.Version(ctx, in.Bucket.ID, in.Key, in.Version) // is it a marker?
		if err == nil && !v.Marker && in.Found != nil {
			if _, err = e.openRow(ctx, &v); err == nil {
				err = meta.ErrNotFound // written since: nobody decided about it
			}
		}
		f = &Found{version: v}
	}
	switch {
	case err == nil:
		return f, nil
	case !errors.Is(err, meta.ErrNotFound):
		return nil, meta.Coded(err)
	case in.Version.IsZero():
		return nil, noSuchKey(in.Key)
	}
	return nil, noSuchVersion(in.Key, in.Version)
}

// markerError is the answer to a read of a delete marker.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
// With a version that is named S3 answers 405, because the marker exists and cannot be read.
func markerError(in GetObject) error {
	if in.Version.IsZero() {
		return noSuchKey(in.Key)
	}
	return s3err.New(s3err.MethodNotAllowed, "").With("ResourceType", "DeleteMarker")
}

// within cuts a range to a size.
// Source: RFC 9110, section 14.1.2.
func (g Range) within(size int64) (off, n int64, err error) {
	switch {
	case g.Suffix > 0 && size == 0:
		return 0, 0, nil // the last bytes of nothing are all there is
	case g.Suffix > 0:
		off = max(0, size-g.Suffix)
		n = size - off
	case g.Last < 0:
		off, n = g.First, size-g.First
	default:
		off, n = g.First, min(g.Last, size-1)-g.First+1
	}
	if n <= 0 || off < 0 {
		return 0, 0, s3err.New(s3err.InvalidRange, "").With("RangeRequested", g.String()).With("ActualObjectSize", fmt.Sprint(size))
	}
	return off, n, nil
}

// String is the range as a Range header has it.
func (g Range) String() string {
	switch {
	case g.Suffix > 0:
		return fmt.Sprintf("bytes=-%d", g.Suffix)
	case g.Last < 0:
		return fmt.Sprintf("bytes=%d-", g.First)
	}
	return fmt.Sprintf("bytes=%d-%d", g.First, g.Last)
}

// selectPart narrows a reading to one part. An object that was not made from
// parts has one, the whole. The checksum becomes that of the part.
func (e *Engine) selectPart(ctx context.Context, r *Reading, number int) error {
	parts := r.manifest.Parts
	if parts == nil {
		r.Partial = r.Object.Size > 0
		if number != 1 {
			return s3err.InvalidPartNumber
		}
		return nil
	}
	off, n, ok := parts.PartRange(uint32(number))
	if !ok {
		return s3err.InvalidPartNumber
	}
	w := partWalk{e: e, ctx: ctx, parts: parts}
	record, err := w.record(uint32(number))
	if err != nil {
		return e.damage.Row(&r.version, err)
	}
	r.Offset, r.Length, r.Partial = off, n, n > 0
	if c := r.manifest.Checksum; c != nil && c.Type == FullObject && c.Algorithm == CRC64NVME {
		// This is what an object gets whose client asked for none: its parts show none.
		r.Object.Checksum = nil
		return nil
	}
	r.Object.Checksum = record.Checksum
	return nil
}

var wholePool = sync.Pool{New: func() any { return new([VerifyWhole]byte) }}

// open starts the stream and reads what must be verified before the status line.
// It decides the status of the answer: an error here can still be told, one after it can only cut
// the connection.
func (e *Engine) open(ctx context.Context, r *Reading) error {
	r.src = e.newSource(ctx, &r.version, r.manifest, r.Offset, r.Length)
	// A reading of one blob opens it now, within the grace. One of several blobs may come to
	// the last long after that was condemned.
	if r.manifest.Parts != nil || len(r.manifest.Extents) > 1 {
		e.blobs.BeginReading(&r.keeps)
	}
	// Two pools, so that a small object does not hold a buffer of 1 MiB.
	if r.Length <= VerifyWhole && r.Length > encrypt.SegmentSize {
		buf := wholePool.Get().(*[VerifyWhole]byte)
		r.head, r.giveBack = buf[:r.Length], func() { wholePool.Put(buf) }
	} else {
		buf := segmentPool.Get().(*segment)
		r.head, r.giveBack = buf.data[:min(r.Length, encrypt.SegmentSize)], func() { segmentPool.Put(buf) }
	}
	// A segment is authenticated as a whole, so a range within one is verified by reading that
	// segment alone.
	if _, err := io.ReadFull(r.src, r.head); err != nil {
		return fmt.Errorf("read object: %w", err)
	}
	return nil
}

// WriteTo implements io.WriterTo: the bytes of the reading, each verified before
// it is written. After an error the client has an unfinished answer and must
// not be let believe otherwise.
func (r *Reading) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.head)
	written := int64(n)
	if r.giveBack != nil {
		// The buffer is given back before the rest is sent: a slow client holds the stretches
		// of sendAhead and nothing more.
		r.giveBack()
	}
	r.head, r.giveBack = nil, nil
	if left := r.Length - written; err == nil && left > 0 {
		written += left
		if left, err = r.src.sendAhead(w, left); err != nil {
			written -= left
		}
	}
	return written, err
}

// Read implements io.Reader.
// It is for copies, which read what clients would be sent. A client's answer goes through WriteTo.
func (r *Reading) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.src.Read(p)
}

// Close ends the reading and hands its buffers back.
// It may be called for a Reading that was never opened, and again.
func (r *Reading) Close() error {
	if r.giveBack != nil {
		r.giveBack()
		r.giveBack, r.head = nil, nil
	}
	if r.src != nil {
		r.src.e.blobs.EndReading(&r.keeps)
		return r.src.Close()
	}
	return nil
}
