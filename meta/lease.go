package meta

import "context"

// Lease is the right to do a background step that one gateway at a time should do.
// It saves work only. A step that must not happen twice needs a compare-and-swap of
// its own.
//
// A lease does not expire, so that no clocks are compared. A process that sees the
// holder's beat unchanged for long enough takes the lease; the fence tells the
// turns of the two apart.
type Lease struct {
	Name   string // 1..MaxLeaseName bytes
	Holder ID     // zero: free
	Fence  int64  // grows with every change of the holder; 0: never taken
}

// MaxLeaseName is the longest name of a lease in bytes.
const MaxLeaseName = 64

// Leases keeps leases.
type Leases interface {
	// Lease returns the row, or a free lease of fence 0 when there is none.
	Lease(ctx context.Context, name string) (Lease, error)
	// TakeLease gives the lease to the holder and returns it with its new fence;
	// ErrConflict when it has changed since it was read as seen.
	TakeLease(ctx context.Context, seen Lease, holder ID) (Lease, error)
	// DropLease frees the lease if it is still held at this fence; otherwise
	// nothing changes, without an error.
	DropLease(ctx context.Context, l Lease) error
}
