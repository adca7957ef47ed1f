package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Parts that were uploaded and not named in the completion are removed by the
// collector. The ledger says in the clear which parts were named. The upload's sealed
// settings vouch for that, so an edit of the ledger removes no part of an object.

// trimUploads is how many completed uploads one pass looks at.
const trimUploads = meta.MaxBatch

// errChosen: the ledger has other parts as chosen than those that were sealed.
var errChosen = fmt.Errorf("%w: an upload's row has other parts as chosen than the object was made of", records.ErrEdited)

// trim removes surplus parts of completed uploads, collectRows rows at the most, and
// reports whether another pass has work at once. An upload whose choice was edited
// keeps all its parts, and its error is returned. An upload whose choice cannot be known
// now keeps them and does not hold up the others. It is a step of the collector, which does
// one at a time.
func (e *Engine) trim(ctx context.Context, now time.Time) (done int, more bool, err error) {
	page, err := e.store.Untrimmed(ctx, e.trimAfter, trimUploads)
	if err != nil {
		return 0, false, err
	}
	var todo []meta.Trim
	var errs []error
	var passed meta.TrimPosition
	for i := range page {
		u := &page[i].Upload
		opened, known, err := e.knowChosen(ctx, u)
		switch {
		case ctx.Err() != nil:
			return 0, false, ctx.Err()
		case known:
			old := &displacedParts{sealer: &e.sealer, upload: opened}
			defer old.report()
			todo = append(todo, meta.Trim{Upload: u.ID, Chosen: u.Chosen, Prove: old.judge()})
		case damage.Unlike(err):
			// Without Chosen the store keeps all parts and takes the upload off its list, so
			// that it is not looked at for ever.
			todo = append(todo, meta.Trim{Upload: u.ID})
			errs = append(errs, e.damage.Row(&meta.Version{Bucket: u.Bucket, Key: u.Key, ID: u.Version}, err))
		default:
			passed = page[i].At
			errs = append(errs, err)
		}
	}
	switch {
	// The pass came to the end of the list. The next one begins again with those that were
	// passed over.
	case len(page) < trimUploads:
		e.trimAfter = meta.TrimPosition{}
	case passed != (meta.TrimPosition{}):
		e.trimAfter = passed
	}
	if len(todo) > 0 {
		done, err = e.store.TrimUploads(ctx, todo, collectRows, now)
		errs = append(errs, err)
	}
	more = done > 0 && (len(page) == trimUploads || done+1+meta.MaxPartBlobs > collectRows)
	return done, more, errors.Join(errs...)
}

// knowChosen reports whether the parts that the ledger has as chosen are those that
// were sealed. Without an error it is not known for an upload that a release completed
// which did not seal them, or whose bucket was deleted.
// An upload whose row has lost its bucket is errUpload.
func (e *Engine) knowChosen(ctx context.Context, row *meta.Upload) (_ *openUpload, known bool, err error) {
	if row.Bucket.IsZero() {
		return nil, false, errUpload
	}
	u, err := e.openUpload(ctx, *row)
	if errors.Is(err, s3err.NoSuchBucket) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	known, err = e.proveChosen(ctx, u)
	return u, known, err
}

// proveChosen is knowChosen for an upload that was opened.
func (e *Engine) proveChosen(ctx context.Context, u *openUpload) (bool, error) {
	sealed := u.promised.Chosen
	if sealed == nil {
		var err error
		if sealed, err = e.chosenBefore(ctx, u); sealed == nil || err != nil {
			return false, err
		}
	}
	if !bytes.Equal(sealed, chosenSum(u.Chosen)) {
		return false, errChosen
	}
	return true, nil
}

// chosenBefore is what the manifest of the version says that the release before
// completed an upload to. nil: the version is not there under its first name any more,
// or takes its customer's key.
func (e *Engine) chosenBefore(ctx context.Context, u *openUpload) ([]byte, error) {
	v, err := e.versionByID(ctx, u.Bucket, u.Key, u.Version)
	if errors.Is(err, meta.ErrNotFound) || err == nil && v.Encryption == meta.EncryptionCustomer {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	m, err := e.openVersion(ctx, v, nil)
	if err != nil || m.Parts == nil || m.Parts.Upload != u.ID {
		return nil, err
	}
	return chosenSum(chosenRuns(m.Parts)), nil
}

// chosenSum is SHA-256 over first u32be ‖ count u32be of each run in turn.
func chosenSum(runs []meta.PartRun) []byte {
	b := make([]byte, 0, 8*len(runs))
	for _, r := range runs {
		b = binary.BigEndian.AppendUint32(b, uint32(r.First))
		b = binary.BigEndian.AppendUint32(b, uint32(r.Count))
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// sealCompleted seals the settings of an upload anew, with the parts that were chosen.
func (s *sealer) sealCompleted(u *openUpload, chosen []meta.PartRun, how meta.Sealing) ([]byte, error) {
	promised := u.promised
	promised.Chosen = chosenSum(chosen)
	if how > meta.SealingLegacy && promised.Begun == (begun{}) {
		promised.Begun = begunAs(&u.Upload) // resealUpload may have just done so
	}
	return s.sealSettings(u, promised)
}

// sealSettings seals what an upload was begun with, and what else is promised.
func (s *sealer) sealSettings(u *openUpload, promised promise) (_ []byte, err error) {
	settings := *u.settings
	if settings.Marks, err = json.Marshal(promised); err != nil {
		return nil, err
	}
	return encrypt.SealManifest(u.settingsKey, encrypt.PurposeUpload, s.name(u.Bucket, u.Key, u.ID), &settings)
}
