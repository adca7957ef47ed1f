package blobs

import (
	"context"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// maxStoredPage is how many blobs one CountStored looks at.
// It bounds one request of an operator to some ten calls of a provider's listing, which has
// 1,000 to a page.
const maxStoredPage = 10_000

// Stored is how much a run of a backend's blobs is.
type Stored struct {
	Blobs int64
	Bytes int64  // sealed
	Next  string // the last blob of the run; empty: there are no more
}

// CountStored counts what a backend itself says that it has, after a blob, or from the
// first one on where after is empty: what is left over and waits for the collector counts
// as well. Errors: NoSuchEntity; InvalidArgument where the backend is not configured here,
// or after is no blob's name.
func (bs *Blobs) CountStored(ctx context.Context, name, after string) (Stored, error) {
	i, err := bs.Inspect(ctx)
	if err != nil {
		return Stored{}, meta.Coded(err)
	}
	row, ok := i.s.named(name)
	if !ok {
		return Stored{}, noSuchBackend(name)
	}
	if !i.IsConfigured(row.ID) {
		return Stored{}, s3err.New(s3err.InvalidArgument, "Backend %s is not configured.", name)
	}
	var from backends.BlobID
	if after != "" {
		if from, err = backends.ParseBlobID(after); err != nil {
			return Stored{}, s3err.New(s3err.InvalidArgument, "after is no blob's name.")
		}
	}
	var sum Stored
	for info, err := range i.Stored(ctx, row.ID, meta.BlobID(from)) {
		if err != nil {
			return Stored{}, meta.Coded(Coded(err))
		}
		sum.Blobs++
		sum.Bytes += info.Size
		if sum.Blobs == maxStoredPage {
			sum.Next = info.ID.String()
			break
		}
	}
	return sum, nil
}
