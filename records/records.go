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

// ErrNoKeys: the system's keys were taken away, or their provider is away. It comes with
// the code that clients are told, and says nothing of the row.
var ErrNoKeys = errors.New("the system's keys cannot be had")

var errUnlike = errors.New("it is not what its record says")

// Records are the records of one deployment. They are safe for concurrent use.
type Records struct {
	keys    func() (*encrypt.SystemKeys, error)
	sealing func() meta.Sealing
}

// New returns the records of the keys. keys returns the system's keys as long as they may
// be used, and calls no provider. sealing returns this process's current knowledge of how
// much of the deployment is sealed.
func New(keys func() (*encrypt.SystemKeys, error), sealing func() meta.Sealing) *Records {
	return &Records{keys, sealing}
}

// Keys returns the system's keys, or an error that wraps ErrNoKeys. Callers ask before they
// use anything that was proven or opened earlier.
func (r *Records) Keys() (*encrypt.SystemKeys, error) {
	k, err := r.keys()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, err)
	}
	return k, nil
}

// SealDocument is that of encrypt.SystemKeys.
func (r *Records) SealDocument(kind string, id, document []byte) ([]byte, error) {
	k, err := r.Keys()
	if err != nil {
		return nil, err
	}
	return k.SealDocument(kind, id, document), nil
}

// OpenDocument is that of encrypt.SystemKeys.
func (r *Records) OpenDocument(kind string, id, sealed []byte) ([]byte, error) {
	k, err := r.Keys()
	if err != nil {
		return nil, err
	}
	return k.OpenDocument(kind, id, sealed)
}

// WrapSecret is that of encrypt.SystemKeys.
func (r *Records) WrapSecret(accessKeyID, userID string, secret []byte) ([]byte, error) {
	k, err := r.Keys()
	if err != nil {
		return nil, err
	}
	return k.WrapSecret(accessKeyID, userID, secret), nil
}

// UnwrapSecret is that of encrypt.SystemKeys.
func (r *Records) UnwrapSecret(accessKeyID, userID string, wrapped []byte) ([]byte, error) {
	k, err := r.Keys()
	if err != nil {
		return nil, err
	}
	return k.UnwrapSecret(accessKeyID, userID, wrapped)
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
	return r.SealDocument(kind, id, text)
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

// Edited returns the error for a row that fails its proof; nil for nil. A proof that could
// not be made because the system's keys cannot be had says nothing of the row.
func Edited(what string, err error) error {
	if err == nil || errors.Is(err, ErrNoKeys) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrEdited, what, err)
}
