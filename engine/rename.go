package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// maxRenameTries is how often a rename is decided anew because either of its ends
	// changed between decision and commit.
	// The same number and reason as maxConditionTries.
	maxRenameTries = 8
	// renameTokenLife is for how long a rename is known by its token. AWS does not say
	// how long that is; no client goes on trying for a day.
	renameTokenLife = 24 * time.Hour
)

var (
	errRenameVersions = s3err.New(s3err.NotImplemented, "RenameObject is not available in a bucket whose versioning was ever enabled, nor with Object Lock.")
	// A rename of such a key means everything below it, too.
	// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-rename.html
	errRenameFolder = s3err.New(s3err.InvalidRequest, "RenameObject is not available for keys that end in a slash.")
	errRenameSelf   = s3err.New(s3err.InvalidRequest, "The source and the destination of a rename must not be the same key.")
)

// RenameObject gives an object another key of its bucket, in place of what that held.
// It is one commit: nobody sees the object under both keys or under none. No bytes
// move, and the object stays what it is: time, owner, ETag, checksum, metadata, tags
// and ACL. Only what is sealed for its name is sealed anew, which an object of SSE-C
// takes its customer's key for.
//
// Errors: NoSuchKey, PreconditionFailed, NotImplemented where versioning is not off,
// InvalidRequest for one key twice, a key that ends in a slash or the lack of a
// customer's key, AccessDenied for a wrong one, IdempotencyParameterMismatch for a token
// that came with another request, ConditionalRequestConflict when the keys never held
// still, and what Permit returns.
func (e *Engine) RenameObject(ctx context.Context, in RenameObject) error {
	if err := errors.Join(meta.CheckKey(in.Source), meta.CheckKey(in.Key)); err != nil {
		return err
	}
	if in.Source == in.Key {
		return errRenameSelf
	}
	if strings.HasSuffix(in.Source, "/") || strings.HasSuffix(in.Key, "/") {
		return errRenameFolder
	}
	token := in.token()
	for range maxRenameTries {
		err := e.renameOnce(ctx, &in, token)
		if !errors.Is(err, meta.ErrConflict) {
			return meta.Coded(err)
		}
	}
	return s3err.ConditionalRequestConflict
}

// token is what the store remembers of the request: nothing of what the client said
// can be read off it.
func (in *RenameObject) token() (t meta.RenameToken) {
	if in.Token == "" {
		return t
	}
	// The bucket and the sender are part of it: tokens are chosen by clients, and two clients
	// may choose the same.
	t.ID = digestOf("sanctum rename token", string(in.Bucket.ID[:]), string(in.Asker[:]), in.Token)
	asked := []string{"sanctum rename", in.Asked, in.Key}
	for _, c := range []Conditions{in.SourceConditions, in.Conditions} {
		asked = append(asked, c.IfMatch, c.IfNoneMatch, c.IfModifiedSince.UTC().Format(time.RFC3339), c.IfUnmodifiedSince.UTC().Format(time.RFC3339))
	}
	t.Digest = digestOf(asked...)
	return t
}

// digestOf hashes texts so that no two lists of them are hashed alike.
// Each text is preceded by its length, 8 bytes big-endian.
func digestOf(texts ...string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, s := range texts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	h.Sum(sum[:0])
	return sum
}

// renameOnce tries; ErrConflict: the keys hold something else by now, or the bucket in in
// was brought up to date.
func (e *Engine) renameOnce(ctx context.Context, in *RenameObject, token meta.RenameToken) error {
	// Before anything else is checked: the repeated request must succeed although its source is
	// gone.
	if done, err := e.renamed(ctx, token); done || err != nil {
		return err
	}
	if in.Bucket.Versioning != meta.VersioningOff || in.Bucket.Lock {
		return errRenameVersions
	}
	v, err := e.store.Object(ctx, in.Bucket.ID, in.Source)
	if errors.Is(err, meta.ErrNotFound) {
		// The same request may have renamed it since the first look.
		if done, err := e.renamed(ctx, token); done || err != nil {
			return err
		}
		return noSuchKey(in.Source)
	} else if err != nil {
		return err
	}
	ctx, how, sealed, err := e.sealing.As(ctx)
	if err != nil {
		return err
	}
	defer sealed()
	r, err := e.renaming(ctx, *in, v, how)
	if err != nil {
		return err
	}
	r.Token = token
	if r.Expect, err = e.renameOver(ctx, *in); err != nil {
		return err
	}
	old, err := e.displacedIn(ctx, in.Bucket)
	if err != nil {
		return err
	}
	defer old.report()
	r.Newest, r.Prove = in.Bucket.Generation, old.proves
	switch err = e.store.RenameObject(ctx, r); {
	case errors.Is(err, meta.ErrUnknown):
		err = e.settleRename(ctx, r, err)
	case errors.Is(err, meta.ErrExists), errors.Is(err, meta.ErrNotFound):
		return fmt.Errorf("%w: %w", meta.ErrConflict, err)
	case errors.Is(err, meta.ErrLocked):
		return errLocked
	case errors.Is(err, meta.ErrVersioning):
		now, err := e.buckets.Reread(ctx, in.Bucket)
		if err != nil {
			return err
		}
		if now.Versioning == meta.VersioningOff { // the bucket's keys were rotated
			in.Bucket = now
			return meta.ErrConflict
		}
		return errRenameVersions
	}
	if err == nil {
		e.buckets.Freed(in.Bucket)
	}
	return err
}

// renamed reports whether the request that the token stands for was carried out.
func (e *Engine) renamed(ctx context.Context, token meta.RenameToken) (bool, error) {
	if token.IsZero() {
		return false, nil
	}
	digest, err := e.store.Renamed(ctx, token.ID)
	switch {
	case errors.Is(err, meta.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case digest != token.Digest:
		return false, s3err.IdempotencyParameterMismatch
	}
	return true, nil
}

// renaming seals the version for its new name, if its conditions allow.
func (e *Engine) renaming(ctx context.Context, in RenameObject, v meta.Version, how meta.Sealing) (r meta.Rename, err error) {
	d := draft{encryption: v.Encryption, customer: in.Customer, how: how}
	if d.manifest, err = e.openVersion(ctx, v, in.Customer); err != nil {
		return r, err
	}
	f := &Found{version: v}
	if d.marks, err = e.marksOf(ctx, f); err != nil {
		return r, err
	}
	// Permission is decided on the row that is renamed, and before the conditions, whose
	// answers tell something of it.
	if in.Permit != nil {
		if err := in.Permit(f); err != nil {
			return r, err
		}
	}
	if err := e.mayReplace(ctx, in.Bucket, in.Source, &v, in.SourceConditions.Replaces); err != nil {
		return r, err
	}
	if err := in.SourceConditions.checkRename(d.manifest.ETag, v.Modified); err != nil {
		return r, err
	}
	keys, err := e.buckets.Keys(ctx, in.Bucket)
	if err != nil {
		return r, err
	}
	r = meta.Rename{
		Bucket: in.Bucket.ID, From: in.Source, To: in.Key, Source: v.ID, Revision: v.Revision, Now: e.now().UTC(), Version: v,
	}
	// A new id: what is sealed is bound to the name and the id, and another renaming under way
	// must not find the old one.
	r.Version.Key, r.Version.ID, r.Version.Revision = in.Key, meta.NewID(), 0
	return r, e.sealFor(keys, &r.Version, &d)
}

// renameOver decides the conditions on what the new key holds, and returns what the
// store must find unchanged there.
// Without a condition the rename replaces whatever is there, as a PUT does.
func (e *Engine) renameOver(ctx context.Context, in RenameObject) (meta.Expect, error) {
	if in.Conditions == (Conditions{}) {
		return meta.Expect{}, nil
	}
	v, err := e.store.Object(ctx, in.Bucket.ID, in.Key)
	if errors.Is(err, meta.ErrNotFound) {
		if err := e.mayWrite(ctx, in.Bucket, in.Key, nil, in.Conditions); err != nil {
			return meta.Expect{}, err
		}
		return meta.Expect{Kind: meta.ExpectAbsent}, in.Conditions.checkRename("", time.Time{})
	} else if err != nil {
		return meta.Expect{}, err
	}
	if err := e.mayWrite(ctx, in.Bucket, in.Key, &v, in.Conditions); err != nil {
		return meta.Expect{}, err
	}
	etag, err := e.etag(ctx, v)
	if err != nil {
		return meta.Expect{}, err
	}
	return in.Conditions.expectOf(&v), in.Conditions.checkRename(etag, v.Modified)
}

// settleRename learns whether a rename whose answer was lost has happened: its token
// is known, or the new key holds its version. Otherwise it stays unknown.
// The token is asked for first: the object may have been replaced at its new key since the rename.
func (e *Engine) settleRename(ctx context.Context, r meta.Rename, unknown error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	done, err := e.renamed(ctx, r.Token)
	if done {
		return nil
	}
	now, again := e.store.Object(ctx, r.Bucket, r.To)
	if again == nil && now.ID == r.Version.ID {
		return nil
	}
	if again != nil && !errors.Is(again, meta.ErrNotFound) {
		err = errors.Join(err, again)
	}
	return errors.Join(unknown, err)
}
