// Package records seals the clear columns of rows of the store. A record is sealed
// under the deployment's system keys for the row's kind and id, so that an edited
// column or a swapped row does not match it. System keys are used so that listing
// buckets needs no bucket's keys.
//
// The package does not know the rows: the package that owns a row describes it by a
// type of facts.
package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// ErrEdited: a row of the store is not as this deployment's gateways wrote it.
var ErrEdited = errors.New("the store was edited")

// ErrNone: a row has no record, but must have one.
var ErrNone = errors.New("its record is missing")

var errUnlike = errors.New("it is not what its record says")

// Records are the records of one deployment. They are safe for concurrent use.
type Records struct {
	*encrypt.SystemKeys
	sealing func() meta.Sealing
}

// New returns the records of the keys. sealing returns this process's current
// knowledge of how much of the deployment is sealed.
func New(keys *encrypt.SystemKeys, sealing func() meta.Sealing) *Records {
	return &Records{keys, sealing}
}

// Sealing returns how much of the deployment is sealed, as this process knows it.
func (r *Records) Sealing() meta.Sealing { return r.sealing() }

// Seal seals the facts of a row of the kind and id. The JSON of facts is part
// of the stored form: names of its fields never change.
func Seal[T any](r *Records, kind string, id []byte, facts T) ([]byte, error) {
	text, err := json.Marshal(facts)
	if err != nil {
		return nil, err
	}
	return r.SealDocument(kind, id, text), nil
}

// Open opens a record. It refuses one with facts that this release does not
// know. To act on the known part would leave the rest of the row unproven.
func Open[T any](r *Records, kind string, id, record []byte) (facts T, err error) {
	text, err := r.OpenDocument(kind, id, record)
	if err != nil {
		return facts, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return facts, d.Decode(&facts)
}

// Prove compares a row's record with the row. A row may lack its record until
// the deployment is sealed whole. Facts are compared as values, so a field that
// a later release adds must be zero for the rows of earlier ones. Errors:
// ErrNone, errUnlike, and those of Open.
func Prove[T comparable](r *Records, kind string, id, record []byte, row T) error {
	switch sealing := r.sealing(); {
	case sealing < meta.SealingRenewed: // the previous release changes rows without their records
		return nil
	case len(record) == 0 && sealing < meta.SealingWhole:
		return nil
	case len(record) == 0:
		return ErrNone
	}
	sealed, err := Open[T](r, kind, id, record)
	if err != nil {
		return fmt.Errorf("open its record: %w", err)
	}
	if sealed != row {
		return errUnlike
	}
	return nil
}

// Edited returns the error for a row that fails its proof; nil for nil. The proof
// asks no key provider, so a temporary failure is never its reason.
func Edited(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrEdited, what, err)
}
