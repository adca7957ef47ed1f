package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// CopyPart makes a part from an object or a range of it. Where the range is a
// whole blob that an object or part was stored as, its digests are known and
// the blob is shared, if it is where the bucket's demands are met and is padded as the
// bucket wants it; otherwise the bytes are read and sealed as a new blob.
// Errors: NoSuchUpload, those of GetObject for the source, PreconditionFailed for its conditions,
// InvalidArgument for a range that the source does not have, InvalidRequest for more than
// MaxBodySize bytes, and those of UploadPart.
func (e *Engine) CopyPart(ctx context.Context, in CopyPart) (Part, error) {
	if err := checkPartNumber(in.Number); err != nil {
		return Part{}, err
	}
	u, err := e.inProgress(ctx, in.Bucket, in.Key, in.Upload)
	if err != nil {
		return Part{}, err
	}
	if err := u.unlock(in.Customer); err != nil {
		return Part{}, err
	}
	// ErrBodyGone: between the look at the source and the commit the source was replaced, or
	// its blob was moved. It is looked up again, with a new decision about access.
	for c := (meta.Contest{}); ; {
		p, err := e.copyPartOnce(ctx, u, in)
		if !errors.Is(err, meta.ErrBodyGone) {
			if u.settings.Checksum == nil {
				p.Checksum = nil // nobody asked for one
			}
			return p, meta.Coded(err)
		}
		if err := c.Again(ctx); err != nil {
			return Part{}, meta.Coded(err)
		}
		at := Subject{Bucket: in.SourceBucket, Key: in.SourceKey, Version: in.SourceVersion, Permit: in.SourcePermit}
		if in.SourceFound, err = e.lookAgain(ctx, &at); err != nil {
			return Part{}, err
		}
	}
}

func (e *Engine) copyPartOnce(ctx context.Context, u *openUpload, in CopyPart) (Part, error) {
	src, err := e.source(ctx, GetObject{Bucket: in.SourceBucket, Key: in.SourceKey, Version: in.SourceVersion, Found: in.SourceFound, Customer: in.SourceCustomer}, in.SourceConditions)
	if err != nil {
		return Part{}, err
	}
	if in.SourceRange != nil {
		r := *in.SourceRange
		if r.First < 0 || r.Last < r.First || r.Last >= src.Object.Size {
			return Part{}, s3err.New(s3err.InvalidArgument, "Range specified is not valid for source object of size: %d", src.Object.Size).
				With("ArgumentName", "x-amz-copy-source-range").With("ArgumentValue", r.String())
		}
		src.Offset, src.Length = r.First, r.Last-r.First+1
	}
	if src.Length > MaxBodySize {
		return Part{}, errCopyTooLarge
	}
	algorithm := u.partAlgorithm()
	// A part that shares a blob has to have that blob's digests, because they go into the
	// object's ETag and checksum, and no byte is read to compute others.
	record, err := e.sharable(ctx, src, algorithm)
	if err != nil {
		return Part{}, err
	}
	if record != nil {
		ids := make([]meta.BlobID, len(record.Extents))
		for i := range record.Extents {
			ids[i] = record.Extents[i].Blob
		}
		share, err := e.mayStay(ctx, &in.Bucket, &encrypt.Manifest{Attributes: Attributes{StorageClass: u.settings.StorageClass}, Extents: record.Extents})
		var at []meta.BackendID
		if err == nil && share {
			share, err = e.isPaddedFor(ctx, &in.Bucket, &src.version, &encrypt.Manifest{Extents: record.Extents})
		}
		if err == nil && share {
			share, at, err = e.mayShare(ctx, &in.SourceBucket, &in.Bucket, ids)
		}
		if err != nil {
			return Part{}, err
		}
		if share {
			if err := e.damage.RefuseLost(ctx, &src.version); err != nil {
				return Part{}, err
			}
			p, err := e.commitPart(ctx, in.Bucket, u, in.Number, record, meta.PutPart{Share: true, At: at})
			p.CopiedFrom = src.Object.Version
			return p, err
		}
	}
	if err := e.open(ctx, src); err != nil {
		src.Close()
		return Part{}, err
	}
	defer src.Close()
	p, err := e.storePart(ctx, in.Bucket, u, in.Number, &Body{Reader: src, Size: src.Length}, algorithm)
	p.CopiedFrom = src.Object.Version
	return p, err
}

// sharable returns the record of a part that is exactly the bytes of a reading
// and whose digests are known, or nil when there is none.
// A whole blob only: of a range within a blob nobody knows the MD5, and a part needs one for its
// ETag.
func (e *Engine) sharable(ctx context.Context, r *Reading, algorithm string) (*encrypt.PartRecord, error) {
	m := r.manifest
	var record *encrypt.PartRecord
	switch {
	case r.Length == 0:
		return nil, nil
	case m.Parts != nil:
		number, _, ok := m.Parts.Find(r.Offset)
		if !ok {
			return nil, e.damage.Row(&r.version, fmt.Errorf("%w: an object's parts end before its length", damage.ErrUnlike))
		}
		// A range that is not exactly one part has no digest of its own.
		if off, n, _ := m.Parts.PartRange(number); off != r.Offset || n != r.Length {
			return nil, nil
		}
		w := partWalk{e: e, ctx: ctx, parts: m.Parts}
		var err error
		if record, err = w.record(number); err != nil {
			return nil, e.damage.Row(&r.version, err)
		}
	case r.Offset == 0 && r.Length == m.Size && len(m.Extents) > 0:
		// An ETag of parts or of SSE-C is no digest of the bytes, so it cannot become that of a
		// part.
		md5, ok := plainMD5(m.ETag)
		if !ok {
			return nil, nil
		}
		record = &encrypt.PartRecord{Size: m.Size, MD5: md5, Checksum: m.Checksum, Extents: m.Extents}
	default:
		return nil, nil
	}
	// The checksum has to be of the upload's algorithm, because that of the object is combined
	// from those of its parts.
	if c := record.Checksum; c == nil || c.Algorithm != algorithm || c.Type == Composite || len(record.Extents) > meta.MaxPartBlobs {
		return nil, nil
	}
	// A check of the store has no more than the size in a part's row where the record needs a
	// customer's key, so a part has no blob that is longer than that size explains.
	if slices.ContainsFunc(record.Extents, func(x encrypt.Extent) bool { return x.BlobSize != x.Length && x.BlobSize != paddedSize(x.Length) }) {
		return nil, nil
	}
	return record, nil
}
