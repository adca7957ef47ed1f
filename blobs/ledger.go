package blobs

import (
	"context"
	"iter"
	"math"

	"github.com/sanctum-storage/gateway/meta"
)

// ledger yields the rows of one blob after the other, in the order of ids above
// after. The slice is used again.
func (bs *Blobs) ledger(ctx context.Context, after meta.BlobID) iter.Seq2[[]meta.Blob, error] {
	return func(yield func([]meta.Blob, error) bool) {
		// Behind all rows of after itself.
		at := meta.BlobPosition{ID: after, Backend: math.MaxInt32}
		var one []meta.Blob
		for {
			page, err := bs.c.Store.ScanBlobs(ctx, at, meta.MaxPage)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range page {
				at = meta.BlobPosition{ID: row.ID, Backend: row.Backend}
				// A blob that is being moved has a row for each place, and a page may end
				// between them. So a blob is yielded when the next one begins.
				if len(one) > 0 && one[0].ID != row.ID {
					if !yield(one, nil) {
						return
					}
					one = one[:0]
				}
				one = append(one, row)
			}
			if len(page) < meta.MaxPage {
				if len(one) > 0 {
					yield(one, nil)
				}
				return
			}
		}
	}
}
