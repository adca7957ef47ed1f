package meta

import "context"

// Lease is the right to do a background step that one gateway at a time should
// do. It saves work; what must not happen twice is a compare-and-swap of its own.
//
// No clocks are compared: a lease does not expire. Who sees its holder's beat
// stand still for long enough takes it, and the fence tells the two apart.
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
	// TakeLease gives the lease that was seen to the holder and returns it with
	// its new fence; ErrConflict when it has changed since it was seen.
	TakeLease(ctx context.Context, seen Lease, holder ID) (Lease, error)
	// DropLease makes the lease free if it is still held at this fence; if not,
	// nothing changes and that is no error.
	DropLease(ctx context.Context, l Lease) error
}
