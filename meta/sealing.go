package meta

import "context"

// Sealing says how much of the deployment's rows is sealed. It never decreases. The
// numbers are stored.
type Sealing uint8

const (
	// SealingLegacy: rows have no records, because a gateway of the previous
	// release, which does not know them, may write beside this one.
	SealingLegacy Sealing = 1
	// SealingRenewed: every gateway writes records, and rows without one get it
	// step by step.
	SealingRenewed Sealing = 2
	// SealingWhole: every row has its record. A row without one was edited.
	SealingWhole Sealing = 3
)

// Change is the condition and the new record of a change to a bucket's row.
type Change struct {
	Revision int64 // of the row as it was read: ErrConflict when it has changed
	// Record is the sealed record of the changed row, whose revision is one higher;
	// nil while rows have none.
	Record []byte
}

// Sealings keeps the deployment's sealing.
type Sealings interface {
	// SetSealing raises the deployment's sealing from one state to that of d, with
	// d.Record. ErrConflict when the deployment is not in the state from, or when a
	// holder does not write by from yet, unless gone has it with the same beat.
	// From SealingLegacy, every holder must be known, because holders of the
	// previous release have no sealing.
	SetSealing(ctx context.Context, from Sealing, d Deployment, gone []Holder) error
	// NoteResealed stores the progress of resealing: at most MaxResealed bytes;
	// nil: none yet. ErrConflict unless the lease is still l's.
	NoteResealed(ctx context.Context, l Lease, progress []byte) error
	// SetBucketRecord gives the bucket a record without another change: the
	// revision stays, and c.Record includes it. ErrConflict when it has a record
	// already or the revision has changed, ErrNoBucket.
	SetBucketRecord(ctx context.Context, id ID, c Change) error
	// ScanAccessKeys returns at most limit credentials of all users above after, in
	// the order of their ids. ScanIdentities does the same for identities.
	ScanAccessKeys(ctx context.Context, after string, limit int) ([]AccessKey, error)
	ScanIdentities(ctx context.Context, after ID, limit int) ([]Identity, error)
}
