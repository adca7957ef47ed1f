package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// ErrOtherVersion: a row is found by the name of another version. It wraps
// records.ErrEdited.
var ErrOtherVersion = fmt.Errorf("%w: the row that is named as one version of an object is that of another", records.ErrEdited)

// Rows are the readings of meta.Store that a check of the whole store needs, with its
// contracts. None changes anything.
type Rows interface {
	Deployment(ctx context.Context) (meta.Deployment, error)
	ListBuckets(ctx context.Context, q meta.BucketQuery) ([]meta.Bucket, error)
	ScanObjects(ctx context.Context, after meta.ObjectPosition, limit int) ([]meta.ScannedVersion, error)
	ScanUploads(ctx context.Context, after meta.ID, limit int) ([]meta.UploadRef, error)
	ScanParts(ctx context.Context, upload meta.ID, after, limit int) ([]meta.Part, error)
	Upload(ctx context.Context, id meta.ID) (meta.Upload, error)
	ScanBlobs(ctx context.Context, after meta.BlobPosition, limit int) ([]meta.Blob, error)
	Blob(ctx context.Context, id meta.BlobID) (meta.Blob, error)
}

// Inspection is what package fsck sees of a deployment: its rows, what is sealed of
// them, and its backends as they were registered when the Inspection was made. It
// changes nothing and hands out no key. It serves any number of goroutines at once, for
// as long as the Engine is open.
type Inspection struct {
	*blobs.Inspection
	e *Engine
}

// Inspect reads which backends are registered.
func (e *Engine) Inspect(ctx context.Context) (*Inspection, error) {
	of, err := e.blobs.Inspect(ctx)
	if err != nil {
		return nil, err
	}
	return &Inspection{of, e}, nil
}

// Rows are those of the store.
func (i *Inspection) Rows() Rows { return i.e.store }

// ProveDeployment holds the deployment's row against its record and against what this
// process knew before. The error wraps records.ErrEdited.
func (i *Inspection) ProveDeployment(d *meta.Deployment) error {
	return i.e.sealing.prove(d, i.e.sealing.Now())
}

// Version finds a version of a key by its id, whatever clients call it. Errors:
// meta.ErrNotFound, ErrOtherVersion.
func (i *Inspection) Version(ctx context.Context, bucket meta.ID, key string, id meta.ID) (meta.Version, error) {
	return i.e.versionByID(ctx, bucket, key, id)
}

// VersionNamed finds a version, or a delete marker, by the name that clients have for
// it. Errors: meta.ErrNotFound, ErrOtherVersion.
func (i *Inspection) VersionNamed(ctx context.Context, bucket meta.ID, key string, ref meta.VersionRef) (meta.Version, error) {
	return i.e.named(ctx, bucket, key, ref)
}

// ProveVersion holds a version's row and its marks against what was sealed of them. It
// needs no customer's key. A delete marker is its row alone.
func (i *Inspection) ProveVersion(ctx context.Context, v meta.Version) error {
	if v.Marker {
		_, err := i.e.openRow(ctx, &v)
		return err
	}
	_, err := i.e.OpenMarks(ctx, v)
	return err
}

// OpenedVersion is a version whose manifest was opened.
type OpenedVersion struct {
	e        *Engine
	row      meta.Version
	manifest *encrypt.Manifest
}

// OpenVersion opens the manifest of a version that is neither a delete marker nor of
// SSE-C, and holds the row against it.
func (i *Inspection) OpenVersion(ctx context.Context, v meta.Version) (*OpenedVersion, error) {
	m, err := i.e.openVersion(ctx, v, nil)
	if err != nil {
		return nil, err
	}
	return &OpenedVersion{i.e, v, m}, nil
}

// CheckBody holds the body that a row names against the manifest, and returns the
// plaintext length of its blob; -1 where it is not one blob.
// The manifest is authenticated, so a difference is an error of the row.
func (o *OpenedVersion) CheckBody(body meta.Body) (blobSize int64, err error) {
	m := o.manifest
	switch {
	case body.Kind == meta.BodyBlob && len(m.Extents) == 1 && meta.BlobID(m.Extents[0].Blob) == body.Blob:
		return m.Extents[0].BlobSize, nil
	case body.Kind == meta.BodyUpload && m.Parts != nil && meta.ID(m.Parts.Upload) == body.Upload:
		return -1, nil
	case body.Kind == meta.BodyInline && m.Parts == nil && len(m.Extents) == 0:
		return -1, nil
	}
	return -1, errors.New("the body in an object's row is not that of its sealed manifest")
}

// CheckParts holds the rows of the parts that the version is made of against its
// manifest, and opens each; a version that is not made of parts has none.
// Groups are read one at a time, so the memory does not grow with the number of parts.
func (o *OpenedVersion) CheckParts(ctx context.Context) error {
	parts := o.manifest.Parts
	if parts == nil {
		return nil
	}
	for group := range parts.Groups {
		rows, err := o.e.partGroup(ctx, parts, group)
		if err != nil {
			return err
		}
		for i := range rows {
			name := encrypt.PartName{Deployment: o.e.deployment, Bucket: parts.Bucket, Upload: parts.Upload, Number: uint32(rows[i].Number), Attempt: rows[i].Attempt}
			if err := checkPart(parts.Key, name, &rows[i]); err != nil {
				return fmt.Errorf("part %d: %w", rows[i].Number, err)
			}
		}
	}
	return nil
}

// ReadAll reads and authenticates every byte of the version's blobs. Where that fails
// for what a backend has or sends, the error has a *damage.Damage in its chain.
func (o *OpenedVersion) ReadAll(ctx context.Context) error {
	src := o.e.newSource(ctx, &o.row, o.manifest, 0, o.manifest.Size)
	defer src.Close()
	n, err := io.Copy(io.Discard, src)
	if err == nil && n != o.manifest.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = o.readUnread(ctx)
	}
	return err
}

// readUnread checks what reading passes over: the header of each of the version's blobs,
// because the manifest has it too, and the zeros behind the body.
func (o *OpenedVersion) readUnread(ctx context.Context) error {
	next := o.e.newSource(ctx, &o.row, o.manifest, 0, o.manifest.Size).next
	for {
		p, err := next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if at, err := o.readRest(ctx, &p); err != nil {
			return o.e.damage.Blob(ctx, &o.row, p.extent.Blob, at, err)
		}
	}
}

// readRest reads the header of a piece's blob, and what the blob has behind the piece.
func (o *OpenedVersion) readRest(ctx context.Context, p *piece) (blobs.Place, error) {
	x := p.extent
	opener, err := encrypt.NewOpener(x.Key, encrypt.BlobAAD(o.e.deployment, x.Blob), x.Seal, x.BlobSize)
	if err != nil {
		return blobs.Place{}, err
	}
	// Readers take the header's values from the manifest, so that a header that is wrong does not
	// stop them.
	at, err := o.readSealed(ctx, x.Blob, 0, encrypt.HeaderSize, func(r io.Reader) error {
		var h [encrypt.HeaderSize]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return err
		}
		return opener.CheckHeader(h[:])
	})
	end := x.Offset + p.off + p.n
	if err != nil || end == x.BlobSize {
		return at, err
	}
	from, length := opener.SealedRange(end, x.BlobSize-end)
	return o.readSealed(ctx, x.Blob, from, length, func(r io.Reader) error {
		zeros := opener.NewReader(r, end, x.BlobSize-end)
		defer zeros.Close()
		_, err := io.Copy(io.Discard, zeros)
		return err
	})
}

// readSealed has check read a range of a blob.
func (o *OpenedVersion) readSealed(ctx context.Context, id meta.BlobID, off, n int64, check func(io.Reader) error) (blobs.Place, error) {
	r, at, err := o.e.blobs.Read(ctx, id, off, n)
	if err != nil {
		return at, err
	}
	return at, blobs.Coded(errors.Join(check(r), r.Close()))
}

// OpenedUpload is an upload whose settings were opened.
type OpenedUpload struct {
	e *Engine
	u *openUpload
}

// OpenUpload opens what an upload was begun with and holds its row against it. Errors:
// NoSuchBucket where its bucket was deleted.
func (i *Inspection) OpenUpload(ctx context.Context, row meta.Upload) (*OpenedUpload, error) {
	u, err := i.e.openUpload(ctx, row)
	if err != nil {
		return nil, err
	}
	return &OpenedUpload{i.e, u}, nil
}

// IsLocked reports that only its customer's key (SSE-C) opens the upload's parts.
func (o *OpenedUpload) IsLocked() bool { return o.u.locked() }

// CheckChosen holds the parts that the row of a completed upload has as chosen against
// those that were sealed, as far as they can be known.
func (o *OpenedUpload) CheckChosen(ctx context.Context) error {
	if _, err := o.e.proveChosen(ctx, o.u); errors.Is(err, errChosen) {
		return err
	}
	return nil // another error is one of the version, and found with that
}

// CheckPart holds a row of one of the upload's parts against its sealed record, if the
// upload is not locked.
func (o *OpenedUpload) CheckPart(p *meta.Part) error {
	return checkPart(o.u.key, o.u.partName(o.e.deployment, p.Number, p.Attempt), p)
}

// checkPart holds a part's row against its sealed record: the blobs in it are what the
// store counts and moves.
func checkPart(key encrypt.ObjectKey, name encrypt.PartName, row *meta.Part) error {
	record, err := encrypt.OpenPart(key, name, row.Record)
	if err != nil {
		return err
	}
	if record.Size != row.Size {
		return errPartSize
	}
	same := func(x encrypt.Extent, id meta.BlobID) bool { return meta.BlobID(x.Blob) == id }
	if !slices.EqualFunc(record.Extents, row.Blobs, same) {
		return fmt.Errorf("%w: the blobs in the row of a part are not those of its sealed record", records.ErrEdited)
	}
	return nil
}
