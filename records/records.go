// Package records seals what a row of the store says in its clear columns. A record is
// sealed under the deployment's system keys for the row's kind and id: a column that was
// edited, and a row that was put in another's place, disagree with it. System keys, so
// that no bucket's own are needed to list buckets.
//
// The package does not know the rows: each is described where its meaning is, by a type
// of facts.
package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// ErrEdited: a row of the store is not what this deployment's gateways wrote.
var ErrEdited = errors.New("the store was edited")

// ErrNone: a row has no record, and ought to.
var ErrNone = errors.New("its record is missing")

var errUnlike = errors.New("it is not what its record says")

// Records are the records of one deployment. They are safe for concurrent use.
type Records struct {
	*encrypt.SystemKeys
	sealing func() meta.Sealing
}

// New returns the records that are sealed under the keys. sealing says how much of the
// deployment is sealed, as this process knows it at the moment.
func New(keys *encrypt.SystemKeys, sealing func() meta.Sealing) *Records {
	return &Records{keys, sealing}
}

// Sealing is how much of the deployment is sealed, as this process knows it.
func (r *Records) Sealing() meta.Sealing { return r.sealing() }

// Seal seals what a row of the kind and id says.
func Seal[T any](r *Records, kind string, id []byte, facts T) ([]byte, error) {
	text, err := json.Marshal(facts)
	if err != nil {
		return nil, err
	}
	return r.SealDocument(kind, id, text), nil
}

// Open opens a record. One that says what this release does not know is refused.
func Open[T any](r *Records, kind string, id, record []byte) (facts T, err error) {
	text, err := r.OpenDocument(kind, id, record)
	if err != nil {
		return facts, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return facts, d.Decode(&facts)
}

// Prove holds a row's record against what the row says. A row may be without its record
// until the deployment is sealed whole.
func Prove[T comparable](r *Records, kind string, id, record []byte, row T) error {
	switch sealing := r.sealing(); {
	case sealing < meta.SealingRenewed: // the release before changes rows without their records
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

// Edited says that a row does not stand the proof; nil for nil. A key provider is not
// asked for it, so that no passing state is among the reasons.
func Edited(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrEdited, what, err)
}
