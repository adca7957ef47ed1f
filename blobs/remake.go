package blobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// seekTimeout bounds the look through all versions for those that prove what is made again.
const seekTimeout = 2 * time.Minute

var (
	// errNoCopy: a blob that was moved is not where it lives.
	errNoCopy = errors.New("it is missing there")
	// errLengths: a blob has another length where it lives than at another backend.
	errLengths = errors.New("there are two lengths of it")
)

// seeCopy returns nil when a blob is at the backend where it lives, and its dead copy at
// another has the same length. It fails with errNoCopy where it is missing, and with
// errLengths.
func (bs *Blobs) seeCopy(ctx context.Context, id meta.BlobID, from, to *place) error {
	err := bs.prove(ctx, to)
	if err != nil {
		return err
	}
	info, err := to.Stat(ctx, backends.BlobID(id))
	switch {
	case errors.Is(err, backends.ErrNotFound):
		return errNoCopy
	case err == nil && !bs.c.Possible(info.Size): // emptied since, as by a power cut
		err = bs.damaged(nil, id, from, to, fmt.Errorf("%w: %w: it has %d bytes, as no blob has", errTarget, backends.ErrCorrupt, info.Size))
	case err == nil:
		err = sameLength(ctx, id, info.Size, from)
	}
	if err != nil {
		return fmt.Errorf("blob %v, which was moved to backend %s: %w", backends.BlobID(id), to.Name, err)
	}
	return nil
}

// sameLength fails with errLengths unless the other copy of a blob has the same length. One
// that is gone already is as good.
func sameLength(ctx context.Context, id meta.BlobID, size int64, other *place) error {
	info, err := other.Stat(ctx, backends.BlobID(id))
	switch {
	case errors.Is(err, backends.ErrNotFound):
		return nil
	case err != nil:
		return unread(other, err)
	case info.Size != size:
		return fmt.Errorf("%w: %w: it has %d bytes, and at backend %s %d", errLengths, ErrOtherBytes, size, other.Name, info.Size)
	}
	return nil
}

// openCopy is a dead copy of which it is not known whether the one that lives is as good.
type openCopy struct {
	lives *place
	why   error // errNoCopy or errLengths
}

// settleCopies finds out, by the keys of versions, what becomes of copies, and returns those
// that nothing needs. A missing blob is made again from its dead copy, which stays for another
// grace at least. Of two lengths the dead copy may have the wrong one, as after a move that
// failed.
func (bs *Blobs) settleCopies(ctx context.Context, d *deletion, open map[meta.BlobID]openCopy) (dead []meta.BlobID) {
	if len(open) == 0 {
		return nil
	}
	proofs, whole, failed := bs.proofsOf(ctx, open)
	held := make(map[meta.BackendID]error)
	for id, c := range open {
		p, proven := proofs[id]
		err := failed
		if err == nil && !proven && !whole {
			err = errUnsought
		}
		p.ID = id
		switch {
		case errors.Is(c.why, errLengths):
			if err == nil {
				err = p.length(ctx, c.lives)
			}
			if err == nil {
				dead = append(dead, id)
				continue
			}
			err = bs.damaged(p.Of, id, d.at, c.lives, errors.Join(c.why, err))
		default:
			if _, ok := held[c.lives.id]; !ok {
				held[c.lives.id] = bs.mayRemake(ctx, d.at, c.lives)
			}
			err = bs.remakeOne(ctx, p, d.at, c.lives, errors.Join(held[c.lives.id], err))
			err = fmt.Errorf("blob %v, which was moved to backend %s: %w", backends.BlobID(id), c.lives.Name, err)
		}
		d.leave(id, err)
	}
	return dead
}

// errUnsought: not all versions were looked at for the one whose keys open a blob.
var errUnsought = errors.New("it is not known yet which version it belongs to")

// length returns nil when the blob at a backend is what was sealed, or where no keys tell, as
// long as the row says of which it is.
func (p *Proof) length(ctx context.Context, at *place) error {
	if p.Bytes != nil {
		return p.check(ctx, at)
	}
	info, err := at.Stat(ctx, backends.BlobID(p.ID))
	if err == nil && info.Size != p.Sealed {
		err = ErrOtherBytes
	}
	return err
}

// remakeOne makes a copy again and never returns nil.
func (bs *Blobs) remakeOne(ctx context.Context, p Proof, from, to *place, refused error) error {
	if refused != nil {
		return fmt.Errorf("%w, and is not copied again from backend %s: %w", errNoCopy, from.Name, refused)
	}
	_, err := bs.copyBlob(ctx, p, from, to)
	if err == nil {
		return errors.New("it was missing and was copied again")
	}
	// The next pass must not take it for the blob.
	if errors.Is(err, errBadCopy) {
		err = errors.Join(err, to.Delete(ctx, backends.BlobID(p.ID)))
	}
	return bs.damaged(p.Of, p.ID, from, to, err)
}

// mayRemake returns nil when no bucket keeps its bytes at one backend from coming to the
// other. An edit of the ledger alone says that a blob was moved there, so a copy is made
// again only where any blob might have one.
func (bs *Blobs) mayRemake(ctx context.Context, from, to *place) error {
	names, err := bs.heldBy(ctx, from, to)
	if err == nil && len(names) > 0 {
		err = ErrResidency
	}
	return err
}

// proofsOf finds what proves the bytes of blobs, or says their length, by looking at all
// versions and open uploads, and reports whether it came to all of them. It goes on where the
// last look ended.
func (bs *Blobs) proofsOf(ctx context.Context, ids map[meta.BlobID]openCopy) (found map[meta.BlobID]Proof, whole bool, err error) {
	found = make(map[meta.BlobID]Proof)
	until := bs.c.Elapsed() + seekTimeout
	began := bs.seekAfter == meta.ObjectPosition{}
	for len(found) < len(ids) {
		page, err := bs.c.Store.ScanObjects(ctx, bs.seekAfter, meta.MaxPage)
		if err != nil {
			return nil, false, err
		}
		for i := range page {
			if page[i].Err != nil { // edited: it proves nothing
				continue
			}
			if err := bs.proofsIn(ctx, &page[i].Version, ids, found); err != nil {
				return nil, false, err
			}
		}
		if len(page) == meta.MaxPage {
			bs.seekAfter = page[len(page)-1].At
			if bs.c.Elapsed() > until {
				return found, false, nil
			}
			continue
		}
		bs.seekAfter = meta.ObjectPosition{}
		if began {
			return found, true, bs.partsOf(ctx, ids, found)
		}
		began = true // once around, for what is before the place where this look began
	}
	return found, true, nil
}

// proofsIn adds what one version proves of the blobs.
func (bs *Blobs) proofsIn(ctx context.Context, row *meta.Version, ids map[meta.BlobID]openCopy, found map[meta.BlobID]Proof) error {
	_, sought := ids[row.Body.Blob]
	if row.Body.Kind != meta.BodyUpload && (row.Body.Kind != meta.BodyBlob || !sought) {
		return nil
	}
	v, err := bs.c.Prover.Version(ctx, row.Bucket, row.Key, row.ID)
	if err != nil && passing(ctx, err) {
		return err
	} else if err != nil { // removed meanwhile, or edited
		return nil
	}
	for p, err := range bs.c.Prover.Proofs(ctx, &v) {
		switch _, sought := ids[p.ID]; {
		case err != nil && passing(ctx, err):
			return fmt.Errorf("read what proves a version's bytes: %w", err)
		case err != nil: // nobody can read it
			return nil
		case sought && found[p.ID].Bytes == nil:
			found[p.ID] = p
		}
	}
	return nil
}

// partsOf adds the lengths of the parts of open uploads, of which rows say no more.
func (bs *Blobs) partsOf(ctx context.Context, ids map[meta.BlobID]openCopy, found map[meta.BlobID]Proof) error {
	for after := (meta.ID{}); ; {
		uploads, err := bs.c.Store.ScanUploads(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, u := range uploads {
			if after = u.ID; u.State != meta.UploadOpen {
				continue
			}
			if err := bs.partsIn(ctx, u.ID, ids, found); err != nil {
				return err
			}
		}
		if len(uploads) < meta.MaxPage {
			return nil
		}
	}
}

func (bs *Blobs) partsIn(ctx context.Context, upload meta.ID, ids map[meta.BlobID]openCopy, found map[meta.BlobID]Proof) error {
	for after := 0; ; {
		parts, err := bs.c.Store.ScanParts(ctx, upload, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, p := range parts {
			after = p.Number
			if len(p.Blobs) != 1 {
				continue
			}
			id := p.Blobs[0]
			_, known := found[id]
			if _, sought := ids[id]; sought && !known {
				found[id] = Proof{ID: id, Sealed: bs.c.Sealed(p.Size)}
			}
		}
		if len(parts) < meta.MaxPage {
			return nil
		}
	}
}
