package blobs

import (
	"errors"
	"io"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Kinds of Damage.
const (
	// DamageBytes: a backend has, or sends, other bytes than were written, or fewer.
	DamageBytes = "bytes"
	// DamageMissing: a backend does not have a blob that the ledger says is there.
	DamageMissing = "missing"
	// DamageCopy: a copy of a blob is not what it was made of.
	DamageCopy = "copy"
)

// Damage is what a move met of a blob that is not what was sealed.
type Damage struct {
	Kind    string
	Of      *meta.Version // nil: whose blob it is, is not known
	Blob    meta.BlobID
	Backend string // name
	Cause   error
}

// damaged is err, reported as damage if that is what it says of a blob that was to be
// moved. v is whose blob it is, nil where that is not known.
func (bs *Blobs) damaged(v *meta.Version, blob meta.BlobID, from, to *place, err error) error {
	if err == nil {
		return nil
	}
	d := Damage{Of: v, Blob: blob, Backend: from.Name, Cause: err}
	missing := errors.Is(err, backends.ErrNotFound)
	other := errors.Is(err, backends.ErrCorrupt) || errors.Is(err, backends.ErrSize) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	// The order decides: errBadSource comes wrapped in errBadCopy, and errTarget wraps the same
	// causes as an error of the source.
	case errors.Is(err, errBadSource):
		d.Kind = DamageBytes
	case errors.Is(err, ErrOtherBytes), errors.Is(err, errBadCopy), errors.Is(err, errTarget) && (missing || other):
		d.Kind, d.Backend = DamageCopy, to.Name
	case missing:
		d.Kind = DamageMissing
	case other:
		d.Kind = DamageBytes
	// Nothing is said of the blob's bytes: a backend that is away, or a changed ledger.
	default:
		return err
	}
	return bs.c.Damaged(d)
}
