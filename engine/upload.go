package engine

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Limits of a multipart upload.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	MaxParts    = 10_000
	MinPartSize = 5 << 20 // of every part but the last
)

// CreateUpload begins a multipart upload. The client's description of the object to be is
// sealed with the key that will seal its parts. Errors: InvalidArgument or KeyTooLong for
// the key, InvalidStorageClass, QuotaExceeded. The upload counts against the quota until it
// is completed or aborted.
func (e *Engine) CreateUpload(ctx context.Context, in CreateUpload) (Upload, error) {
	if err := meta.CheckKey(in.Key); err != nil {
		return Upload{}, err
	}
	if err := e.CheckClass(in.Bucket, in.StorageClass); err != nil {
		return Upload{}, err
	}
	settings := &encrypt.Manifest{Attributes: in.Attributes}
	if in.ChecksumAlgorithm != "" {
		settings.Checksum = &encrypt.Checksum{Algorithm: in.ChecksumAlgorithm, Type: in.ChecksumType}
	}
	now := e.now().UTC()
	u := meta.Upload{
		// Ordered by time, because S3 lists the uploads of one key in the order in which they
		// were begun.
		ID: meta.NewOrderedID(now), Bucket: in.Bucket.ID, Key: in.Key, Owner: in.Owner,
		Created: now, State: meta.UploadOpen,
	}
	promised := promise{Marks: in.Marks, Encryption: in.Encryption, Begun: begunAs(&u), By: initiator(in.By)}
	marks, err := json.Marshal(promised)
	if err != nil {
		return Upload{}, err
	}
	settings.Marks = marks
	end, err := e.buckets.Claim(ctx, in.Bucket, meta.Usage{Uploads: 1})
	if err != nil {
		return Upload{}, err
	}
	err = e.beginUpload(ctx, &u, &in, settings)
	end(err == nil)
	if err != nil {
		return Upload{}, meta.Coded(err)
	}
	return (&openUpload{Upload: u, settings: settings, promised: promised}).describe(), nil
}

// beginUpload seals and stores a new upload, and does so again where the bucket's keys were
// rotated meanwhile.
func (e *Engine) beginUpload(ctx context.Context, u *meta.Upload, in *CreateUpload, settings *encrypt.Manifest) error {
	for c := (meta.Contest{}); ; {
		err := e.sealUpload(ctx, u, in, settings)
		if err == nil {
			err = e.createUpload(ctx, *u)
		}
		if !errors.Is(err, meta.ErrVersioning) {
			return err
		}
		if err := c.Again(ctx); err != nil {
			return err
		}
		if in.Bucket, err = e.buckets.Reread(ctx, in.Bucket); err != nil {
			return err
		}
	}
}

// sealUpload seals the settings of a new upload under a key of its own, and that under the
// bucket's newest.
func (e *Engine) sealUpload(ctx context.Context, u *meta.Upload, in *CreateUpload, settings *encrypt.Manifest) error {
	keys, err := e.buckets.Keys(ctx, in.Bucket)
	if err != nil {
		return err
	}
	key, wrapped, err := newUploadKeys(keys, u.ID, in.Encryption, in.Customer)
	if err != nil {
		return err
	}
	u.Generation, u.WrappedKey = keys.Generation(), wrapped
	u.Settings, err = encrypt.SealManifest(key, encrypt.PurposeUpload, e.name(u.Bucket, u.Key, u.ID), settings)
	return err
}

// createUpload settles an outcome that is unknown by looking for the upload.
// The id was drawn by this call, so an upload with that id is this one.
func (e *Engine) createUpload(ctx context.Context, u meta.Upload) error {
	err := e.store.CreateUpload(ctx, u)
	if !errors.Is(err, meta.ErrUnknown) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if _, again := e.store.Upload(ctx, u.ID); again != nil {
		return errors.Join(err, again)
	}
	return nil
}

// openUpload is an upload with its sealed parts opened.
type openUpload struct {
	meta.Upload
	keys     *encrypt.BucketKeys
	key      encrypt.ObjectKey // of the parts; with SSE-C, only once it was unlocked
	settings *encrypt.Manifest
	promised promise
	// settingsKey seals the settings: with SSE-C, another than key.
	settingsKey encrypt.ObjectKey
}

// promise is what an upload's settings say of the object to be that will not stand
// in its manifest, and what they vouch for in the upload's row. A reader passes
// over fields that it does not know.
type promise struct {
	Marks      Marks           `json:"marks,omitzero"`
	Encryption meta.Encryption `json:"encryption,omitzero"`
	Begun      begun           `json:"begun,omitzero"` // zero: by a release that did not say
	By         initiator       `json:"by,omitzero"`    // the same
	// Chosen is chosenSum of the parts of which the object was made: nil while open, and
	// of an upload that was completed by a release that did not say.
	Chosen []byte `json:"chosen,omitempty"`
}

// initiator is Initiator as it is stored.
type initiator struct {
	Tenant    meta.ID `json:"tenant,omitzero"`
	Principal meta.ID `json:"principal,omitzero"`
	Session   string  `json:"session,omitempty"`
	ARN       string  `json:"arn,omitempty"`
}

// begun is who began an upload, and when.
type begun struct {
	Owner   string `json:"owner"`
	Created int64  `json:"created"` // microseconds since 1970 UTC
}

func begunAs(u *meta.Upload) begun { return begun{u.Owner.String(), u.Created.UnixMicro()} }

var (
	// errUpload: what the store shows of an upload is not what was sealed.
	errUpload     = fmt.Errorf("%w: an upload's row is not what its sealed settings vouch for", records.ErrEdited)
	errUploadKeys = fmt.Errorf("%w: an upload's row has other keys than its sealed settings promise", records.ErrEdited)
	errPartSize   = fmt.Errorf("%w: the size in the row of a part differs from its sealed record", records.ErrEdited)
)

// proveBegun holds an upload's row against its settings.
func (s *sealer) proveBegun(u *openUpload) error {
	if u.promised.Begun == begunAs(&u.Upload) || u.promised.Begun == (begun{}) && s.sealing.Now() < meta.SealingWhole {
		return nil
	}
	return errUpload
}

// upload finds an upload of exactly this bucket and key, open or completed.
// An id of another bucket or key is NoSuchUpload too: it must not be usable to learn of uploads
// elsewhere.
func (e *Engine) upload(ctx context.Context, b meta.Bucket, key string, id meta.ID) (*openUpload, error) {
	u, err := e.store.Upload(ctx, id)
	if errors.Is(err, meta.ErrNotFound) || err == nil && (u.Bucket != b.ID || u.Key != key) {
		return nil, noSuchUpload(id)
	} else if err != nil {
		return nil, meta.Coded(err)
	}
	return e.openUpload(ctx, u)
}

// openUpload opens what is sealed in an upload's row.
func (s *sealer) openUpload(ctx context.Context, u meta.Upload) (*openUpload, error) {
	keys, err := s.buckets.KeysOf(ctx, u.Bucket, u.Generation)
	if err != nil {
		return nil, err
	}
	return s.openUploadWith(keys, u)
}

// openUploadWith is openUpload with the keys at hand.
func (s *sealer) openUploadWith(keys *encrypt.BucketKeys, u meta.Upload) (_ *openUpload, err error) {
	o := &openUpload{Upload: u, keys: keys}
	wrap, customer := encrypt.SplitUploadKeys(u.WrappedKey)
	if o.settingsKey, err = keys.UnwrapKey(wrap, u.ID, encrypt.PurposeUpload); err != nil {
		return nil, internal("unwrap an upload's key", err)
	}
	o.settings, err = encrypt.OpenManifest(o.settingsKey, encrypt.PurposeUpload, s.name(u.Bucket, u.Key, u.ID), u.Settings)
	if err != nil {
		return nil, internal("open an upload's settings", err)
	}
	if len(o.settings.Marks) > 0 {
		if err := json.Unmarshal(o.settings.Marks, &o.promised); err != nil {
			return nil, internal("read an upload's settings", err)
		}
	}
	// Before the caller sees the upload: the owner of the object to be is taken from this row.
	if err := s.proveBegun(o); err != nil {
		return nil, err
	}
	if sealed := o.promised.Encryption == meta.EncryptionCustomer; sealed != (customer != nil) {
		return nil, errUploadKeys
	} else if !sealed {
		o.key = o.settingsKey
	}
	return o, nil
}

// ProveUpload holds an upload's row against what was sealed. An error says nothing of the
// client: the row was damaged or edited, and nothing may be decided by it.
func (s *sealer) ProveUpload(ctx context.Context, u meta.Upload) error {
	_, err := s.openUpload(ctx, u)
	return err
}

// OpenUpload describes an upload in progress. Errors: NoSuchUpload.
func (e *Engine) OpenUpload(ctx context.Context, b meta.Bucket, key string, id meta.ID) (Upload, error) {
	u, err := e.inProgress(ctx, b, key, id)
	if err != nil {
		return Upload{}, err
	}
	return u.describe(), nil
}

// inProgress is upload for one that still takes parts.
func (e *Engine) inProgress(ctx context.Context, b meta.Bucket, key string, id meta.ID) (*openUpload, error) {
	u, err := e.upload(ctx, b, key, id)
	if err == nil && u.State != meta.UploadOpen {
		return nil, noSuchUpload(id)
	}
	return u, err
}

func noSuchUpload(id meta.ID) error {
	return s3err.New(s3err.NoSuchUpload, "").With("UploadId", id.String())
}

func (u *openUpload) describe() Upload {
	d := Upload{ID: u.ID, Key: u.Key, Owner: u.Owner, By: Initiator(u.promised.By), Created: u.Created, StorageClass: u.settings.StorageClass,
		WebsiteRedirect: u.settings.WebsiteRedirect, Encryption: u.promised.Encryption, Marks: u.promised.Marks}
	if c := u.settings.Checksum; c != nil {
		d.ChecksumAlgorithm, d.ChecksumType = c.Algorithm, c.Type
	}
	return d
}

// partAlgorithm is the checksum that is kept of a part: the upload's, or where
// the upload has none, the CRC64NVME from which the object gets its own.
func (u *openUpload) partAlgorithm() string {
	if c := u.settings.Checksum; c != nil {
		return c.Algorithm
	}
	return CRC64NVME // S3's default since 2024
}

// checkAlgorithm refuses a part whose checksum is of another algorithm than the
// upload's, and one without where the object's will be made of the parts'.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
func (u *openUpload) checkAlgorithm(asked string) error {
	c := u.settings.Checksum
	switch {
	case c == nil, asked == c.Algorithm, asked == "" && c.Type == FullObject:
		return nil
	case asked == "":
		asked = "null"
	}
	return s3err.New(s3err.InvalidRequest,
		"Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", lower(c.Algorithm), lower(asked))
}

// The attempt is part of the name, so that the record of a part that was replaced does not open in
// place of the new one.
func (u *openUpload) partName(d encrypt.Deployment, number int, attempt meta.ID) encrypt.PartName {
	return encrypt.PartName{Deployment: d, Bucket: u.Bucket, Upload: u.ID, Number: uint32(number), Attempt: attempt}
}

// UploadPart stores one part. Sending a number again replaces the part; every
// attempt is a blob of its own.
// Errors: NoSuchUpload, also for one that is completed or ended, InvalidArgument for the number,
// InvalidRequest for another checksum algorithm or customer's key, and those of PutObject's body.
func (e *Engine) UploadPart(ctx context.Context, in UploadPart) (Part, error) {
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
	if err := u.requireDigest(&in.Body); err != nil {
		return Part{}, err
	}
	if err := u.checkAlgorithm(in.Body.ChecksumAlgorithm); err != nil {
		return Part{}, err
	}
	p, err := e.storePart(ctx, in.Bucket, u, in.Number, &in.Body, u.partAlgorithm())
	return p, meta.Coded(err)
}

// storePart ingests a part's body and commits it; keep is as in intake.
func (e *Engine) storePart(ctx context.Context, b meta.Bucket, u *openUpload, number int, body *Body, keep string) (Part, error) {
	s, err := e.ingest(ctx, b, body, intake{class: u.settings.StorageClass, entry: meta.Usage{Parts: 1}, keep: keep})
	if err != nil {
		return Part{}, err
	}
	record := &encrypt.PartRecord{Size: s.size, MD5: s.md5, Checksum: s.checksum, Extents: s.extents()}
	p, err := e.commitPart(ctx, b, u, number, record, meta.PutPart{})
	if err != nil {
		e.giveUp(ctx, s, err)
		return p, err
	}
	if s.claimed != nil {
		p.Checksum = s.claimed // what the client sent is what it is told
	}
	return p, nil
}

// commitPart seals a part's record and stores its row. Of how, Share says that the
// blobs belong to another object already, and At where they have to be.
// A part that had the number before loses its blobs in the same transaction, if its row is what
// was sealed.
func (e *Engine) commitPart(ctx context.Context, b meta.Bucket, u *openUpload, number int, record *encrypt.PartRecord, how meta.PutPart) (Part, error) {
	row := meta.Part{Upload: u.ID, Number: number, Attempt: meta.NewID(), Size: record.Size, Modified: e.now().UTC()}
	for i := range record.Extents {
		row.Blobs = append(row.Blobs, record.Extents[i].Blob)
	}
	var err error
	if row.Record, err = encrypt.SealPart(u.key, u.partName(e.deployment, number, row.Attempt), record); err != nil {
		return Part{}, err
	}
	// ingest asked before the body. Many bodies may have been on their way at once, and each
	// fits alone.
	end, err := e.buckets.Claim(ctx, b, meta.Usage{Parts: 1, PartBytes: row.Size})
	if err != nil {
		return Part{}, err
	}
	old := displacedParts{sealer: &e.sealer, upload: u}
	defer old.report()
	err = e.store.PutPart(ctx, meta.PutPart{Part: row, Share: how.Share, At: how.At, Holder: e.blobs.Holder(), Prove: old.proves})
	switch {
	case errors.Is(err, meta.ErrUnknown):
		err = e.settlePart(ctx, row, err)
	case errors.Is(err, meta.ErrNotFound):
		err = noSuchUpload(u.ID)
	}
	end(err == nil)
	if err != nil {
		return Part{}, err
	}
	return u.describePart(row, record), nil
}

// settlePart learns whether a part whose answer was lost is in place.
func (e *Engine) settlePart(ctx context.Context, row meta.Part, unknown error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	rows, err := e.store.Parts(ctx, row.Upload, row.Number-1, 1)
	if err != nil {
		return errors.Join(unknown, err)
	}
	// The attempt's id was drawn by this call, so it tells its row from that of another request
	// for the same number.
	if len(rows) == 1 && rows[0].Attempt == row.Attempt {
		return nil
	}
	return s3err.Wrap(s3err.ServiceUnavailable, unknown) // a part may be sent again
}

// describePart describes a part of an upload in progress.
func (u *openUpload) describePart(row meta.Part, r *encrypt.PartRecord) Part {
	digest := u.digest(&row, r.MD5)
	return Part{
		Number: row.Number, Size: row.Size, ETag: hex.EncodeToString(digest[:]),
		Modified: row.Modified, Checksum: r.Checksum,
		Encryption: u.promised.Encryption, KMSKey: u.promised.Marks.KMSKey, BucketKey: u.promised.Marks.BucketKey,
	}
}

// requireDigest refuses a part without a digest of an object that will be locked.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
func (u *openUpload) requireDigest(b *Body) error {
	if u.promised.Marks.Lock == (meta.Lock{}) || b.MD5 != nil || b.ChecksumAlgorithm != "" {
		return nil
	}
	return s3err.New(s3err.InvalidRequest, "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters")
}

func checkPartNumber(n int) error {
	if n < 1 || n > MaxParts {
		return s3err.New(s3err.InvalidArgument, "Part number must be an integer between 1 and %d, inclusive", MaxParts).
			With("ArgumentName", "partNumber").With("ArgumentValue", fmt.Sprint(n))
	}
	return nil
}

// AbortUpload ends an upload in progress, if it was begun in the given second (zero:
// whenever that was); its parts are removed later.
// The upload takes no part from then on. A part that is on its way is refused when it is
// committed. Errors: NoSuchUpload, PreconditionFailed.
func (e *Engine) AbortUpload(ctx context.Context, b meta.Bucket, key string, id meta.ID, initiated time.Time) error {
	u, err := e.inProgress(ctx, b, key, id)
	if err != nil {
		return err
	}
	if !initiated.IsZero() && !u.Created.Truncate(time.Second).Equal(initiated.Truncate(time.Second)) {
		return preconditionFailed("x-amz-if-match-initiated-time")
	}
	defer e.buckets.Freed(b)
	err = e.store.AbortUpload(ctx, id)
	if errors.Is(err, meta.ErrNotFound) {
		return noSuchUpload(id)
	}
	return meta.Coded(err)
}
