package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// A body longer than one segment passes through a ring of ingestBuffers
// segments: the caller's goroutine reads, one hashes and one seals and sends.
// With the sealer's own segment that is 448 KiB for each request, whatever
// the length of the body.
const ingestBuffers = 6

// MaxBodySize is the longest body of one PUT, 5 GiB.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const MaxBodySize = 5 << 30

// maxFilling bounds what a blob of the largest open body holds besides.
const maxFilling = 1 << 20

// stored is a body that lies in a backend under a reserved blob, checked but
// not yet referred to. An empty body has no blob.
type stored struct {
	blob   blobs.Reserved // zero for an empty body
	extent encrypt.Extent // zero for an empty body
	size   int64
	padded bool // its bucket pads blobs
	digests
}

// An empty body has no blob, because a blob of no bytes would cost a backend a request for
// nothing.
func (s *stored) body() meta.Body {
	if s.size == 0 {
		return meta.Body{Kind: meta.BodyInline}
	}
	return meta.Body{Kind: meta.BodyBlob, Blob: s.extent.Blob}
}

func (s *stored) extents() []encrypt.Extent {
	if s.size == 0 {
		return nil
	}
	return []encrypt.Extent{s.extent}
}

// giveUp is for a body that could not be committed, and why.
// Only a blob that is still reserved is released, so a commit that has happened after all loses
// nothing by it.
func (e *Engine) giveUp(ctx context.Context, s *stored, why error) {
	if s.size > 0 {
		e.blobs.GiveUp(ctx, s.blob, why)
	}
}

// intake says what a body becomes.
type intake struct {
	class string     // storage class of the object, which may name a place
	entry meta.Usage // counts against the quotas, beside the bytes
	// keep is the algorithm of the checksum that is kept, if it is another than
	// the body's; empty: the same.
	keep string
}

// ingest seals a body into a new blob of the bucket. When it fails nothing is left to
// do: the blob's reservation has been released. When it succeeds the caller commits the
// blob or releases it.
// Errors: MissingContentLength, EntityTooLarge, IncompleteBody, BadDigest, QuotaExceeded, those of
// the body's reader, and faults of the backend.
func (e *Engine) ingest(ctx context.Context, bucket meta.Bucket, b *Body, into intake) (*stored, error) {
	switch {
	case b.Size < 0:
		return nil, s3err.MissingContentLength
	// The length of an open body is an upper bound, such as that of a whole form. The body's
	// own length is checked again when it is known.
	case b.Size > MaxBodySize && (!b.Open || b.Size > MaxBodySize+maxFilling):
		return nil, bodyTooLarge(b.Size)
	}
	// Before a byte is read: a request that the quota refuses costs no transfer. sealVersion
	// asks again, for others may have committed meanwhile.
	if err := e.buckets.Admit(ctx, bucket, into.entry.Plus(meta.Usage{Bytes: b.Size})); err != nil {
		return nil, err
	}
	d := newDigester(b, into.keep)
	if b.Size == 0 {
		// The reader of an empty body has something to say, too: a signature over the body, or
		// a trailer.
		if err := atEOF(b.Reader); err != nil {
			return nil, err
		}
		found, err := d.verify(b)
		if err == nil {
			err = b.arrived()
		}
		return &stored{digests: found}, err
	}
	padding, err := e.buckets.Padding(ctx, bucket)
	if err != nil {
		return nil, err
	}
	blob, err := e.blobs.Reserve(ctx, bucket, classPlace(into.class))
	if err != nil {
		return nil, err
	}
	s := &stored{blob: blob, size: b.Size, padded: padding != buckets.PaddingNone, extent: encrypt.Extent{
		Blob: blob.ID, Key: encrypt.NewDataKey(), BlobSize: b.Size, Length: b.Size,
	}}
	if s.padded {
		s.extent.BlobSize = paddedSize(b.Size)
	}
	// A body of one segment needs no goroutines: it is read, checked, and only then sent.
	if b.Size <= encrypt.SegmentSize {
		err = e.ingestSmall(ctx, b, d, s)
	} else {
		err = e.ingestLarge(ctx, b, d, s)
	}
	if err == nil && s.size > MaxBodySize {
		err = bodyTooLarge(s.size)
	}
	if err == nil {
		err = b.arrived()
	}
	if err != nil {
		// Abandon and not GiveUp: whether the backend has all of it, a part or nothing is not
		// known.
		e.blobs.Abandon(ctx, blob)
		return nil, err
	}
	if s.size == 0 { // an open body that held nothing
		e.blobs.Abandon(ctx, blob)
		s.extent = encrypt.Extent{}
	}
	return s, nil
}

func bodyTooLarge(size int64) error {
	return s3err.New(s3err.EntityTooLarge, "").
		With("ProposedSize", fmt.Sprint(size)).With("MaxSizeAllowed", fmt.Sprint(int64(MaxBodySize)))
}

// end sets the length that an open body turned out to have.
func (s *stored) end(size int64) { s.size, s.extent.Length = size, size }

// fill reads into p until it is full, and reports whether an open body ended
// before.
func (b *Body) fill(p []byte) (n int, ended bool, err error) {
	if !b.Open {
		n, err := io.ReadFull(b.Reader, p)
		return n, false, shortBody(err)
	}
	// io.ReadFull cannot be used: it takes the end within p for a failure, and an open body may
	// end anywhere.
	for idle := 0; n < len(p) && err == nil; idle++ {
		var m int
		m, err = b.Reader.Read(p[n:])
		if n += m; m > 0 {
			idle = 0
		} else if idle == 100 { // as bufio
			return n, false, io.ErrNoProgress
		}
	}
	if err == io.EOF {
		return n, true, nil
	}
	return n, false, err
}

// send seals segments into the blob of s.
// The data key is fresh for each blob, so a write that is repeated is another blob under another
// key.
func (e *Engine) send(ctx context.Context, src encrypt.Segments, s *stored) error {
	sealer, err := encrypt.NewSealReader(src, s.extent.Key, encrypt.BlobAAD(e.deployment, s.extent.Blob))
	if err != nil {
		return err
	}
	defer sealer.Close()
	s.extent.Seal = sealer.Seal()
	return s.blob.Put(ctx, sealer, encrypt.SealedSize(s.extent.BlobSize))
}

// oneSegment is a body that was read and checked before it is sealed.
type oneSegment []byte

func (o oneSegment) Next() ([]byte, bool, error) { return o, true, nil }

// A body that is refused here has not reached the backend at all.
func (e *Engine) ingestSmall(ctx context.Context, b *Body, d *digester, s *stored) (err error) {
	buf := segmentPool.Get().(*segment)
	defer segmentPool.Put(buf)
	n, ended, err := b.fill(buf.data[:b.Size])
	if err == nil && !ended {
		err = atEOF(b.Reader)
	}
	if err != nil {
		return err
	}
	d.Write(buf.data[:n])
	s.end(int64(n))
	if s.digests, err = d.verify(b); err != nil {
		return err
	}
	if s.padded { // for an open body, of the length that it turned out to have
		s.extent.BlobSize = paddedSize(s.size)
	}
	p := buf.data[:s.extent.BlobSize]
	clear(p[n:]) // the buffer's former content is another request's
	// A place at the backend is asked for after the body has arrived: a client that sends
	// slowly must not hold one.
	answered, err := s.blob.At.Admitted(ctx)
	if err != nil {
		return err
	}
	defer answered()
	return e.send(ctx, oneSegment(p), s)
}

// segment is a buffer of the ring. Both the hasher and the sealer hand it back.
type segment struct {
	data  [encrypt.SegmentSize]byte
	n     int
	body  int // of n, those that the body has; the rest is zeros
	last  bool
	users atomic.Int32
}

var segmentPool = sync.Pool{New: func() any { return new(segment) }}

// pipeline carries segments from the reader to the hasher and the sealer. The
// last segment reaches the sealer only when the body was found good.
type pipeline struct {
	free   chan *segment
	hash   chan *segment
	seal   chan *segment
	failed chan struct{} // closed with err set: the sealer must fail
	err    error
	held   *segment // the sealer's present segment
	d      *digester
}

// The backend sees the body while it arrives. The blob stays incomplete until the last segment,
// which readAll holds back.
func (e *Engine) ingestLarge(ctx context.Context, b *Body, d *digester, s *stored) error {
	// Each channel has room for all segments, so that passing one on never blocks. Only taking
	// one does.
	p := &pipeline{
		free: make(chan *segment, ingestBuffers), hash: make(chan *segment, ingestBuffers),
		seal: make(chan *segment, ingestBuffers), failed: make(chan struct{}), d: d,
	}
	for range ingestBuffers {
		p.free <- segmentPool.Get().(*segment)
	}
	var hashing, sending sync.WaitGroup
	stopped := make(chan struct{}) // closed when the sending side has ended
	var sendErr error
	hashing.Go(p.hashAll)
	sending.Go(func() {
		defer close(stopped)
		sendErr = e.send(ctx, p, s)
	})
	// Reading happens on the caller's goroutine because the body's reader belongs to it:
	// net/http forbids its use after the handler has returned.
	readErr := p.readAll(b, s, stopped, &hashing)
	if readErr != nil && readErr != errSenderStopped {
		p.err = readErr
		// err is written before the channel is closed, which orders it before the sealer's read
		// of it.
		close(p.failed)
	}
	// Both goroutines have ended before the buffers return to the pool, which other requests
	// share.
	sending.Wait()
	hashing.Wait()
	p.recycle()
	if readErr != nil && (readErr != errSenderStopped || sendErr == nil) {
		return readErr // a backend that says done before it has read all counts as failed
	}
	return sendErr
}

// errSenderStopped ends the reading when the backend has failed already.
var errSenderStopped = errors.New("the backend ended the write before the body did")

// readAll fills segments from the body, and then with zeros up to the length of the
// blob. Before it passes the last one on it waits for the body's end and the digests,
// so that a refused body never becomes a complete blob.
func (p *pipeline) readAll(b *Body, s *stored, stopped <-chan struct{}, hashing *sync.WaitGroup) (err error) {
	hashOpen := true
	endHashing := func() {
		if hashOpen {
			close(p.hash)
			hashOpen = false
		}
	}
	defer endHashing()
	var size int64
	ended := false
	for left := s.extent.BlobSize; left > 0; {
		var seg *segment
		select {
		case seg = <-p.free:
		case <-stopped:
			return errSenderStopped
		}
		seg.n = int(min(left, encrypt.SegmentSize))
		seg.body = 0
		if !ended {
			if seg.body, ended, err = b.fill(seg.data[:min(int64(seg.n), b.Size-size)]); err != nil {
				p.free <- seg
				return err
			}
		}
		clear(seg.data[seg.body:seg.n]) // the buffer's former content is another request's
		size += int64(seg.body)
		left -= int64(seg.n)
		seg.last = left == 0
		// The hasher and the sealer. The one that is done last hands the segment back.
		seg.users.Store(2)
		p.hash <- seg
		if seg.last {
			if !ended {
				err = atEOF(b.Reader)
			}
			endHashing()
			hashing.Wait()
			s.end(size)
			if err == nil {
				s.digests, err = p.d.verify(b)
			}
			if err != nil {
				// The sealer will never see this segment, so its use of it ends here.
				p.done(seg)
				return err
			}
		}
		p.seal <- seg
	}
	return nil
}

// It never fails and ends when the channel is closed, so nothing waits for it in vain.
func (p *pipeline) hashAll() {
	for seg := range p.hash {
		p.d.Write(seg.data[:seg.body])
		p.done(seg)
	}
}

// done hands a segment back when its second user has finished with it.
func (p *pipeline) done(seg *segment) {
	if seg.users.Add(-1) == 0 {
		p.free <- seg
	}
}

// Next implements encrypt.Segments for the sealer.
// The slice belongs to the sealer until the next call.
func (p *pipeline) Next() ([]byte, bool, error) {
	if p.held != nil {
		p.done(p.held)
		p.held = nil
	}
	select {
	case seg := <-p.seal:
		p.held = seg
		return seg.data[:seg.n], seg.last, nil
	case <-p.failed:
		return nil, false, p.err
	}
}

// recycle returns all buffers to the pool; nobody uses the pipeline any more.
// Segments in p.hash need no look: the hasher has drained that before it ended.
func (p *pipeline) recycle() {
	if p.held != nil {
		segmentPool.Put(p.held)
	}
	for {
		select {
		case seg := <-p.free:
			segmentPool.Put(seg)
		case seg := <-p.seal:
			segmentPool.Put(seg)
		default:
			return
		}
	}
}

// atEOF reads the end of a body, where its reader says whether it was good.
func atEOF(r io.Reader) error {
	var one [1]byte
	for range 100 { // as bufio: a reader that makes no progress is broken
		n, err := r.Read(one[:])
		switch {
		case n > 0:
			return s3err.New(s3err.IncompleteBody, "The request body is longer than the length that was announced.")
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

// An error that has a code of its own says more than IncompleteBody and is kept.
func shortBody(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) && !hasCode(err) {
		return s3err.Wrap(s3err.IncompleteBody, err)
	}
	return err
}
