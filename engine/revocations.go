package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// MaxRevocations bounds the revocations that are in force at once. More buckets than these
// are revoked by their provider, or all together.
const MaxRevocations = 40

const (
	// revocationsJob is the name of the document in the store, recordRevocations the kind that
	// it is sealed for.
	revocationsJob    = "revocations"
	recordRevocations = "record/revocations"
	// maxRevoker bounds the name of who revoked, in bytes.
	maxRevoker = 64
	// revocationTimeout bounds one reading of the document.
	revocationTimeout = 2 * time.Second
)

// Revoked is what a revocation takes away: the keys of one bucket, those under one key
// provider, or those of all buckets, if both are empty.
type Revoked struct {
	Bucket   meta.ID `json:"bucket,omitzero"`
	Name     string  `json:"name,omitempty"` // the bucket's
	Provider string  `json:"provider,omitempty"`
}

// All reports whether it is of all buckets.
func (r *Revoked) All() bool { return r.Name == "" && r.Provider == "" }

// Revocation is one that is in force.
type Revocation struct {
	Revoked
	By string    `json:"by"` // the access key of who revoked
	At time.Time `json:"at"`
}

// Revocations are the keys of buckets that operators took away in an emergency, whatever
// the key provider says. Every gateway reads them every few seconds. They are sealed under
// the system's keys, which are never revoked: without them nobody could sign in to take a
// revocation back. Revocations serve any number of goroutines at once.
type Revocations struct {
	e         *Engine
	seen      atomic.Pointer[revocations]
	replacing sync.Mutex // held by replace, which alone stores seen
}

// revocations is the document as it is sealed. Names of fields never change.
type revocations struct {
	// Number counts the changes, so that an older document is told from a newer one.
	Number int64        `json:"number"`
	List   []Revocation `json:"list"`
	broken error        // the document is not the one that was written last: all keys are revoked
}

// errUndone: somebody changed the list who may not. It is no damage of the rows that cannot be
// opened by reason of it.
var errUndone = errors.New("the list of revoked keys was edited")

func newRevocations(e *Engine) *Revocations {
	r := &Revocations{e: e}
	r.seen.Store(&revocations{})
	return r
}

// List are the revocations in force, the oldest first, and why all keys are revoked although
// the list does not say so: it is not the one that was written last. It is the caller's.
func (r *Revocations) List() ([]Revocation, error) {
	now := r.seen.Load()
	return slices.Clone(now.List), now.broken
}

// read returns the document of the store, with its bytes.
func (r *Revocations) read(ctx context.Context) (document []byte, now *revocations, err error) {
	ctx, cancel := context.WithTimeout(ctx, revocationTimeout)
	defer cancel()
	if document, err = r.e.store.Job(ctx, revocationsJob); err != nil {
		return nil, nil, err
	}
	if document == nil {
		return nil, &revocations{}, nil
	}
	opened, err := records.Open[revocations](r.e.records, recordRevocations, r.e.deployment[:], document)
	if errors.Is(err, records.ErrNoKeys) {
		return nil, nil, err
	} else if err != nil {
		return document, &revocations{broken: fmt.Errorf("%w: it does not open: %v", errUndone, err)}, nil
	}
	return document, &opened, nil
}

// look reads the document, and forgets the keys that it revokes. A document that does not
// open, or is older than the one before, revokes all keys until a newer one is written: a
// missing one is older than any.
func (r *Revocations) look(ctx context.Context) error {
	for {
		was := r.seen.Load()
		_, now, err := r.read(ctx)
		if err != nil {
			return fmt.Errorf("read the revoked keys: %w", err)
		}
		switch {
		case now.broken != nil:
			now = was.undone(now.broken)
		case now.Number < was.Number:
			now = was.undone(fmt.Errorf("%w: an older one is in its place, or none", errUndone))
		case now.Number == was.Number:
			now = was // what is broken is mended by a newer document alone
		}
		if r.replace(was, now) {
			return nil
		}
		// Another look was faster. The document that it found may be newer than this one, which
		// is no sign of an edit.
	}
}

// undone is the list, broken; itself, if it is that already.
func (now *revocations) undone(why error) *revocations {
	if now.broken != nil {
		return now
	}
	return &revocations{Number: now.Number, List: now.List, broken: why}
}

// replace puts a list in the place of the one that was in force, forgets keys, and lets an
// operator know; false: another one is in force by now. It is done with one before the next: a
// provider must not be told of an older list after a newer one.
func (r *Revocations) replace(was, now *revocations) bool {
	r.replacing.Lock()
	defer r.replacing.Unlock()
	if r.seen.Load() != was {
		return false
	}
	if now == was {
		return true
	}
	r.seen.Store(now)
	if set, ok := r.e.provider.(revoker); ok {
		set.Revoke(now.providers())
	}
	r.e.forgetOpened() // and what is being fetched
	if now.broken != nil {
		r.e.log.Error("the keys of all buckets are revoked, because the list of revoked keys was edited; write it anew with `gateway key restore --all`", "error", now.broken)
		return true
	}
	for i := range now.List {
		v := &now.List[i]
		r.e.log.Error("keys are revoked", "bucket", v.Name, "provider", v.Provider, "all", v.All(), "by", v.By, "at", v.At)
	}
	if len(now.List) == 0 && (len(was.List) > 0 || was.broken != nil) {
		r.e.log.Warn("no keys are revoked any more")
	}
	return true
}

// revoker is a provider over several: see providers.Set.
type revoker interface {
	Revoke(names []string)
	Has(name string) bool
}

// providers are the revoked ones.
func (now *revocations) providers() (names []string) {
	for i := range now.List {
		if p := now.List[i].Provider; p != "" {
			names = append(names, p)
		}
	}
	return names
}

// Refused implements buckets.Revocations.
func (r *Revocations) Refused(bucket meta.ID) error {
	now := r.seen.Load()
	if now.broken != nil {
		return fmt.Errorf("%w: %w", encrypt.ErrKeyDisabled, now.broken)
	}
	_, several := r.e.provider.(revoker)
	for i := range now.List {
		v := &now.List[i]
		// With one provider alone, it is all that there is. Of several, the set refuses one.
		if v.All() || !bucket.IsZero() && v.Bucket == bucket || v.Provider != "" && !several {
			return fmt.Errorf("%w: it was revoked at %s", encrypt.ErrKeyDisabled, v.At.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// Revoke takes keys away, on this gateway at once and on all others within seconds. Errors:
// EntityAlreadyExists for what is revoked, InvalidArgument for a provider that is not
// configured, LimitExceeded, InvalidRequest for a list that was edited.
func (r *Revocations) Revoke(ctx context.Context, what Revoked, by string) error {
	if set, several := r.e.provider.(revoker); what.Provider != "" && (several && !set.Has(what.Provider) || !several && r.e.provider.Name() != what.Provider) {
		return s3err.New(s3err.InvalidArgument, "No key provider has this name.")
	}
	return r.change(ctx, false, func(list []Revocation) ([]Revocation, error) {
		if slices.ContainsFunc(list, func(v Revocation) bool { return v.Revoked == what }) {
			return nil, s3err.New(s3err.EntityAlreadyExists, "These keys are revoked already.")
		}
		if len(list) >= MaxRevocations {
			return nil, s3err.New(s3err.LimitExceeded, "At most %d revocations are in force at once. Revoke by provider, or all keys.", MaxRevocations)
		}
		return append(slices.Clone(list), Revocation{what, by[:min(len(by), maxRevoker)], r.e.now().UTC()}), nil
	})
}

// Restore takes a revocation back, of a bucket by its name alone, because it may be gone. That
// of all buckets also mends a list that was edited. Other revocations stay.
// NoSuchEntity: these keys are not revoked. InvalidRequest: the list was edited.
func (r *Revocations) Restore(ctx context.Context, what Revoked) error {
	return r.change(ctx, what.All(), func(list []Revocation) ([]Revocation, error) {
		left := slices.DeleteFunc(slices.Clone(list), func(v Revocation) bool { return v.Name == what.Name && v.Provider == what.Provider })
		if len(left) == len(list) && !(what.All() && r.seen.Load().broken != nil) {
			return nil, s3err.New(s3err.NoSuchEntity, "These keys are not revoked.")
		}
		return left, nil
	})
}

// errEdited refuses a change of a list that was edited: this gateway may not know all that was
// revoked, and by a new list only what it knows would be.
var errEdited = s3err.New(s3err.InvalidRequest, "The list of revoked keys was edited, so all keys are revoked. Restore all first, which writes the list anew, and see what is on it.")

// change writes the list that next makes of the one in force. One that was edited is written
// anew only by a change that mends it.
func (r *Revocations) change(ctx context.Context, mends bool, next func([]Revocation) ([]Revocation, error)) error {
	for c := (meta.Contest{}); ; {
		// The document of the store is replaced, whatever it is, by what follows from the last
		// sound one.
		if err := r.look(ctx); err != nil {
			return meta.Coded(err)
		}
		document, found, err := r.read(ctx)
		if err != nil {
			return meta.Coded(err)
		}
		was := r.seen.Load()
		if found.broken == nil && found.Number > was.Number { // written since
			continue
		}
		if was.broken != nil && !mends {
			return errEdited
		}
		list, err := next(was.List)
		if err != nil {
			return err
		}
		last := was.Number
		if was.broken != nil {
			// The backends may have seen changes that this gateway has not. One that counts the
			// same again would be taken for an older one.
			last = r.e.blobs.NewestRevocation(ctx, last)
		}
		now := revocations{Number: last + 1, List: list}
		text, err := json.Marshal(now)
		if err != nil {
			return err
		}
		sealed, err := r.e.records.SealDocument(recordRevocations, r.e.deployment[:], text)
		if err != nil {
			return err
		}
		err = r.e.store.SetJob(ctx, revocationsJob, document, sealed)
		if errors.Is(err, meta.ErrUnknown) {
			if there, _, again := r.read(ctx); again == nil && bytes.Equal(there, sealed) {
				err = nil
			}
		}
		if err == nil {
			return meta.Coded(r.look(ctx))
		} else if !errors.Is(err, meta.ErrConflict) {
			return meta.Coded(err)
		}
		if err := c.Again(ctx); err != nil {
			return meta.Coded(err)
		}
	}
}

// Number implements blobs.Revocations.
func (r *Revocations) Number() int64 { return r.seen.Load().Number }

// Reread implements blobs.Revocations.
func (r *Revocations) Reread(ctx context.Context) error { return r.look(ctx) }

// Undone implements blobs.Revocations: a backend has seen a document that the store has not.
func (r *Revocations) Undone() {
	for {
		was := r.seen.Load()
		if r.replace(was, was.undone(fmt.Errorf("%w: a backend has seen a newer one", errUndone))) {
			return
		}
	}
}
