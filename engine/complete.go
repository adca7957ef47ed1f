package engine

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

// CompleteUpload makes an object of the chosen parts. Completing again what was
// completed gives the same answer.
// It reads the rows of the parts and no byte of them. Errors: NoSuchUpload, MalformedXML for no
// part or more than MaxParts, InvalidPartOrder, InvalidPart, EntityTooSmall, BadDigest,
// InvalidRequest for a size, type or checksum that is claimed and not found, those of the
// conditions, and QuotaExceeded.
func (e *Engine) CompleteUpload(ctx context.Context, in CompleteUpload) (Object, error) {
	if err := checkPartOrder(in.Parts); err != nil {
		return Object{}, err
	}
	for c := (meta.Contest{}); ; {
		o, err := e.completeOnce(ctx, in)
		if !errors.Is(err, meta.ErrConflict) {
			return o, meta.Coded(err)
		}
		if err := c.Again(ctx); err != nil {
			return Object{}, meta.Coded(err)
		}
	}
}

// The parts have to ascend: assemble walks the client's list and the rows in step, and never goes
// back.
func checkPartOrder(parts []CompletedPart) error {
	if len(parts) == 0 || len(parts) > MaxParts {
		return s3err.New(s3err.MalformedXML, "The parts list must have between 1 and %d parts.", MaxParts)
	}
	for i, p := range parts {
		if err := checkPartNumber(p.Number); err != nil {
			return err
		}
		if i > 0 && p.Number <= parts[i-1].Number {
			return s3err.InvalidPartOrder
		}
	}
	return nil
}

func (e *Engine) completeOnce(ctx context.Context, in CompleteUpload) (Object, error) {
	u, err := e.upload(ctx, in.Bucket, in.Key, in.Upload)
	if err != nil {
		return Object{}, err
	}
	if err := u.unlockToComplete(&in); err != nil {
		return Object{}, err
	}
	a := newAssembly(u)
	// All parts are read and matched before anything is sealed. The revision of the upload,
	// read before them, makes the commit fail if a part is replaced meanwhile.
	if err := e.assemble(ctx, a, in.Parts); errors.Is(err, s3err.InvalidPart) {
		// The parts may be gone with the upload: a twin of this request completed
		// it, and the object was replaced and collected since.
		if _, gone := e.upload(ctx, in.Bucket, in.Key, in.Upload); gone != nil {
			err = gone
		}
		return Object{}, err
	} else if err != nil {
		return Object{}, err
	}
	m, err := a.manifest()
	if err != nil {
		return Object{}, err
	}
	if err := checkClaims(in, m); err != nil {
		return Object{}, err
	}
	// A repeated Complete is answered only after its list was matched with the parts: a
	// different list must get InvalidPart, and not the answer to another request.
	if u.State == meta.UploadCompleted {
		return e.completed(ctx, in, u, m)
	}
	ctx, how, sealed, err := e.sealing.As(ctx)
	if err != nil {
		return Object{}, err
	}
	defer sealed()
	d := draft{
		how: how, bucket: in.Bucket, key: in.Key, owner: u.Owner, manifest: m, body: meta.Body{Kind: meta.BodyUpload, Upload: u.ID},
		marks: u.promised.Marks, encryption: u.promised.Encryption, customer: in.Customer,
	}
	if u.locked() {
		d.locked = u
	}
	v, err := e.sealVersion(ctx, d)
	if err != nil {
		return Object{}, err
	}
	chosen := chosenRuns(m.Parts)
	settings, err := e.sealCompleted(u, chosen, how)
	if err != nil {
		return Object{}, err
	}
	old, err := e.displacedIn(ctx, in.Bucket)
	if err != nil {
		return Object{}, err
	}
	defer old.report()
	// The bytes are counted already, as parts. Without this, the quota would refuse an object
	// of more than half of the room that it leaves.
	frees := meta.Usage{Uploads: -1, Parts: -int64(len(in.Parts)), PartBytes: -m.Size}
	err = e.versioned(ctx, &in.Bucket, &v, frees, func() error {
		if err := old.follow(ctx, in.Bucket); err != nil {
			return err
		}
		// Decided within the loop: each turn commits under another versioning, and the key may
		// have changed since the last.
		expect, err := e.expectation(ctx, in.Bucket, in.Key, in.Conditions)
		if err != nil {
			return err
		}
		return e.store.CompleteUpload(ctx, meta.Complete{
			Upload: u.ID, Revision: u.Revision, Chosen: chosen, Settings: settings, Version: v, Expect: expect,
			Versioning: in.Bucket.Versioning, Newest: in.Bucket.Generation, Prove: old.proves,
		})
	})
	switch {
	case errors.Is(err, meta.ErrUnknown), errors.Is(err, meta.ErrNotFound):
		// Lost answer, or a twin of this request was faster: the upload says.
		now, again := e.upload(ctx, in.Bucket, in.Key, in.Upload)
		if again != nil {
			return Object{}, again
		}
		if now.State != meta.UploadCompleted {
			return Object{}, s3err.Wrap(s3err.ServiceUnavailable, err)
		}
		return e.completed(ctx, in, now, m)
	case err != nil:
		return Object{}, err
	}
	e.buckets.Freed(in.Bucket)
	return describe(in.Bucket, v, m, u.promised.Marks), nil
}

// completed describes what an earlier Complete of this upload made. If that is
// gone since, the answer is still what was made.
// The answer is computed from the object and not remembered, so it is right after a restart and on
// another gateway too.
func (e *Engine) completed(ctx context.Context, in CompleteUpload, u *openUpload, m *encrypt.Manifest) (Object, error) {
	b := in.Bucket
	v, err := e.versionByID(ctx, u.Bucket, u.Key, u.Version)
	switch {
	case err == nil:
		etag, err := e.etag(ctx, v)
		if err != nil {
			return Object{}, err
		}
		if etag != m.ETag {
			return Object{}, s3err.InvalidPart // completed with another list of parts
		}
		now := m
		// Without the customer's key the manifest that was put together from the parts serves: its
		// ETag has just been compared.
		if in.Customer != nil || v.Encryption != meta.EncryptionCustomer {
			if now, err = e.openVersion(ctx, v, in.Customer); err != nil {
				return Object{}, err
			}
		}
		marks, err := e.OpenMarks(ctx, v)
		if err != nil {
			return Object{}, err
		}
		return describe(b, v, now, marks), nil
	case !errors.Is(err, meta.ErrNotFound):
		return Object{}, err
	}
	// The version is gone. A client that repeats a Complete because its answer was lost must
	// still be told that it succeeded.
	v = meta.Version{Bucket: u.Bucket, Key: u.Key, ID: u.Version, Owner: u.Owner, Modified: u.Created,
		Null: b.Versioning != meta.VersioningEnabled, Encryption: u.promised.Encryption}
	return describe(b, v, m, u.promised.Marks), nil
}

// assembly goes over the chosen parts once, in order, and keeps what the
// object's manifest needs of them.
type assembly struct {
	u         *openUpload
	chosen    []encrypt.ChosenPart
	size      int64
	etag      hash.Hash // over the digests in the parts' ETags
	algorithm string    // of all parts so far; empty: they differ (parts of earlier releases) or have none
	composite hash.Hash // over the parts' checksums
	full      []byte    // combined CRC; nil: not to be had
}

func newAssembly(u *openUpload) *assembly { return &assembly{u: u, etag: weakhash.NewMD5()} }

// assemble reads the part rows a page at a time and matches them with the
// client's list.
// A page has encrypt.PartGroup rows, so the memory of a completion does not grow with the number
// of parts beyond what the manifest keeps of each.
func (e *Engine) assemble(ctx context.Context, a *assembly, list []CompletedPart) error {
	for i, after := 0, 0; i < len(list); {
		after = max(after, list[i].Number-1)
		page, err := e.store.Parts(ctx, a.u.ID, after, encrypt.PartGroup)
		if err != nil {
			return meta.Coded(err)
		}
		if len(page) == 0 {
			return invalidPart(a.u.ID, list[i])
		}
		for _, row := range page {
			after = row.Number
			if i == len(list) || row.Number < list[i].Number {
				continue
			}
			// Both lists ascend, so a part number that was passed over does not exist.
			if row.Number > list[i].Number {
				return invalidPart(a.u.ID, list[i])
			}
			record, err := e.assembledPart(a.u, &row)
			if err != nil {
				return err
			}
			if err := a.add(list[i], row, record, i == len(list)-1); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}

// assembledPart opens a part, or without the customer's key takes from its row what
// an object needs: the size, which a reader checks against the sealed record.
func (e *Engine) assembledPart(u *openUpload, row *meta.Part) (*encrypt.PartRecord, error) {
	if u.locked() {
		return &encrypt.PartRecord{Size: row.Size}, nil
	}
	record, err := encrypt.OpenPart(u.key, u.partName(e.deployment, row.Number, row.Attempt), row.Record)
	if err != nil {
		return nil, internal("open a part", err)
	}
	return record, nil
}

// last is said by the client's list: only the last part may be smaller than MinPartSize.
func (a *assembly) add(asked CompletedPart, row meta.Part, r *encrypt.PartRecord, last bool) error {
	digest := a.u.digest(&row, r.MD5)
	etag := hex.EncodeToString(digest[:])
	// An edited size is treated as a part that does not exist: nothing may be made of it.
	if asked.ETag != etag || r.Size != row.Size {
		return invalidPart(a.u.ID, asked)
	}
	if err := a.checkClaim(asked, r.Checksum); err != nil {
		return err
	}
	if !last && r.Size < MinPartSize {
		return s3err.New(s3err.EntityTooSmall, "").
			With("ProposedSize", fmt.Sprint(r.Size)).With("MinSizeAllowed", fmt.Sprint(MinPartSize)).
			With("PartNumber", fmt.Sprint(row.Number)).With("ETag", etag)
	}
	// The checksum goes before the part is added to chosen, because addChecksum tells the first
	// part by an empty list.
	a.addChecksum(r)
	a.etag.Write(digest[:])
	a.size += r.Size
	a.chosen = append(a.chosen, encrypt.ChosenPart{Number: uint32(row.Number), Attempt: row.Attempt, Size: r.Size})
	return nil
}

// checkClaim holds a part's checksum against what the client says it is. Where
// the object's is made of those of the parts, it has to say.
func (a *assembly) checkClaim(asked CompletedPart, kept *encrypt.Checksum) error {
	c, want := asked.Checksum, a.u.settings.Checksum
	switch {
	case c == nil && want != nil && want.Type == Composite:
		return s3err.New(s3err.InvalidRequest, "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
			lower(want.Algorithm), asked.Number)
	case c == nil, want == nil && (kept == nil || c.Algorithm != kept.Algorithm):
		// Of an upload without an algorithm, what a part was sent with is not kept.
		return nil
	case kept == nil || c.Algorithm != kept.Algorithm:
		return s3err.New(s3err.BadDigest, "The %s you specified for part %d did not match what we received.", lower(c.Algorithm), asked.Number)
	case !bytes.Equal(c.Value, kept.Value):
		return invalidPart(a.u.ID, asked)
	}
	return nil
}

// Both kinds are kept up to the end, because the type that is wanted may be either.
func (a *assembly) addChecksum(r *encrypt.PartRecord) {
	c := r.Checksum
	switch {
	case len(a.chosen) == 0 && c != nil:
		a.algorithm, a.composite, a.full = c.Algorithm, NewChecksumHash(c.Algorithm), c.Value
	// Once the algorithms differ, no part that follows can bring a common one back.
	case a.algorithm == "" || c == nil || c.Algorithm != a.algorithm:
		a.algorithm, a.composite, a.full = "", nil, nil
		return
	case a.full != nil:
		a.full, _ = combineCRC(c.Algorithm, a.full, c.Value, r.Size)
	}
	a.composite.Write(c.Value)
}

// manifest describes the object that the parts make. Of a locked upload it lacks the
// parts' key, and a checksum.
func (a *assembly) manifest() (*encrypt.Manifest, error) {
	m := *a.u.settings
	// The upload's settings keep the promise there. An object's marks are in its row.
	m.Marks = nil
	m.Size = a.size
	m.ETag = fmt.Sprintf("%x-%d", a.etag.Sum(nil), len(a.chosen))
	m.Checksum = a.checksum()
	var err error
	m.Parts, err = encrypt.BuildParts(a.u.Bucket, a.u.ID, a.u.key, a.chosen)
	return &m, err
}

// checksum is the object's: of the upload's algorithm and type, or where the
// upload named none, the CRC64NVME that its parts got by default.
func (a *assembly) checksum() *encrypt.Checksum {
	want := a.u.settings.Checksum
	if want == nil {
		want = &encrypt.Checksum{Algorithm: CRC64NVME, Type: FullObject}
	}
	// No checksum is better than one that some of the parts lack.
	if a.algorithm != want.Algorithm {
		return nil
	}
	c := &encrypt.Checksum{Algorithm: want.Algorithm, Type: want.Type}
	switch {
	case want.Type == Composite:
		c.Value, c.Parts = a.composite.Sum(nil), len(a.chosen)
	case a.full != nil:
		c.Value = a.full
	default:
		return nil
	}
	return c
}

// checkClaims holds the object against what the client says it should be.
// It runs before the version is sealed, so a claim that fails leaves the upload open, with its
// parts.
func checkClaims(in CompleteUpload, m *encrypt.Manifest) error {
	if in.Size >= 0 && in.Size != m.Size {
		return s3err.New(s3err.InvalidRequest, "The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", in.Size, m.Size)
	}
	if in.Type != "" && (m.Checksum == nil || m.Checksum.Type != in.Type) {
		return s3err.New(s3err.InvalidRequest, "The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", checksumType(m))
	}
	if c := in.Checksum; c != nil {
		if m.Checksum == nil || c.Algorithm != m.Checksum.Algorithm || !bytes.Equal(c.Value, m.Checksum.Value) {
			return s3err.New(s3err.BadDigest, "The %s you specified did not match the calculated checksum.", lower(c.Algorithm))
		}
	}
	return nil
}

func checksumType(m *encrypt.Manifest) string {
	if m.Checksum == nil {
		return "null"
	}
	return m.Checksum.Type
}

// chosenRuns joins runs that the manifest separates only because they belong to different
// groups of parts.
func chosenRuns(p *encrypt.Parts) (runs []meta.PartRun) {
	for _, r := range p.Runs {
		first := int(r.First)
		if n := len(runs); n > 0 && runs[n-1].First+runs[n-1].Count == first {
			runs[n-1].Count += int(r.Count)
			continue
		}
		runs = append(runs, meta.PartRun{First: first, Count: int(r.Count)})
	}
	return runs
}

func invalidPart(upload meta.ID, p CompletedPart) error {
	return s3err.New(s3err.InvalidPart, "").With("UploadId", upload.String()).
		With("PartNumber", fmt.Sprint(p.Number)).With("ETag", p.ETag)
}

// plainMD5 reads an ETag that is the MD5 of the bytes themselves.
func plainMD5(etag string) (sum [weakhash.SizeMD5]byte, ok bool) {
	b, err := hex.DecodeString(etag)
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [weakhash.SizeMD5]byte(b), true
}

func lower(algorithm string) string { return strings.ToLower(algorithm) }
