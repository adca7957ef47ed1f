package meta

import "context"

// Sealing says how much of the deployment's rows is sealed. It only grows. The
// numbers are stored.
type Sealing uint8

const (
	// SealingLegacy: rows have no records, for a gateway of the release before may
	// write beside this one, which knows of none.
	SealingLegacy Sealing = 1
	// SealingRenewed: every gateway writes records, and the rows that have none are
	// given theirs step by step.
	SealingRenewed Sealing = 2
	// SealingWhole: every row has its record, and one without it was edited.
	SealingWhole Sealing = 3
)

// Change is what a change of a bucket's row goes by.
type Change struct {
	Revision int64 // that the row was read in: ErrConflict when it is another by now
	// Record is the sealed record of the row as it will be, whose revision is one
	// higher; nil while rows have none.
	Record []byte
}

// Sealings keeps the deployment's sealing.
type Sealings interface {
	// SetSealing raises the deployment's sealing from one state to that of d, with
	// d.Record. ErrConflict when it is not in that state, or when a holder that is
	// not among those gone, with the same beat, does not write by from yet. From
	// SealingLegacy no holder may be unknown of: one of the release before has none.
	SetSealing(ctx context.Context, from Sealing, d Deployment, gone []Holder) error
	// NoteResealed stores how far the rows are resealed: at most MaxResealed bytes;
	// nil: nothing yet. ErrConflict unless the lease is still l's.
	NoteResealed(ctx context.Context, l Lease, progress []byte) error
	// SetBucketRecord gives the bucket a record without another change: the revision
	// stays, and c.Record speaks of it. ErrConflict when it has a record already or the
	// revision is another, ErrNoBucket.
	SetBucketRecord(ctx context.Context, id ID, c Change) error
	// ScanAccessKeys returns at most limit credentials of all users in the order of
	// their ids, above after. ScanIdentities does so with identities.
	ScanAccessKeys(ctx context.Context, after string, limit int) ([]AccessKey, error)
	ScanIdentities(ctx context.Context, after ID, limit int) ([]Identity, error)
}
