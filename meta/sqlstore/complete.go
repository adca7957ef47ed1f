package sqlstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// CompleteUpload implements meta.Uploads. It locks the upload before the bucket and the key, as
// PutPart and AbortUpload lock the upload first.
// The parts are neither read nor copied, however many there are: the version refers to the upload,
// and the upload keeps its rows.
func (s *Store) CompleteUpload(ctx context.Context, c meta.Complete) error {
	if err := checkCommit(&c.Version, c.Versioning); err != nil {
		return err
	}
	chosen, err := countChosen(c.Chosen)
	if err != nil {
		return err
	}
	err = s.writeIn(ctx, func(tx Tx) error {
		state, counted, err := lockComplete(tx, c, chosen)
		if err != nil {
			return err
		}
		if err := holdVersioning(tx, c.Version.Bucket, c.Versioning, c.Newest); err != nil {
			return err
		}
		return replace(tx, c.Version, c.Versioning, c.Expect, c.Prove, func() error {
			err := soon(tx, ErrRetry, "UPDATE uploads SET state = ?, refs = 1, version_id = ?, chosen = ?, settings = ?, "+uncounted+" WHERE id = ?",
				state, c.Version.ID[:], blob(joinRuns(c.Chosen)), blob(c.Settings), c.Upload[:])
			if err != nil {
				return err
			}
			return counted.negated().write(tx, c.Version.Bucket) // the commit holds the bucket already
		})
	})
	return s.orNoBucket(ctx, c.Version.Bucket, err)
}

// lockComplete locks the upload if it is still as the caller checked it. It returns
// the upload's next state, which is trimming when not all parts are chosen, and the
// usage that is counted for the upload.
// An upload that has a version or references was completed already, whatever its state says, and
// is ErrNotFound.
func lockComplete(tx Tx, c meta.Complete, chosen int64) (state int64, counted usageChange, err error) {
	var bucket meta.ID
	var key string
	var revision, parts int64
	err = tx.QueryRow("SELECT bucket_id, key, revision, parts, counted, counted_parts, counted_bytes FROM uploads WHERE id = ? AND state = ? AND "+neverCompleted+forUpdate,
		c.Upload[:], uploadOpen).
		Scan((*idColumn)(&bucket), (*textColumn)(&key), &revision, &parts, &counted.Uploads, &counted.Parts, &counted.PartBytes)
	if err != nil {
		return 0, counted, found(err, meta.ErrNotFound)
	}
	if err := checkComplete(c, bucket, key); err != nil {
		return 0, counted, err
	}
	switch {
	// parts is the row's own count. More chosen parts than that cannot all exist, whatever the
	// caller has seen.
	case revision != c.Revision, chosen > parts:
		return 0, counted, meta.ErrConflict
	case chosen < parts:
		return uploadTrimming, counted, nil
	}
	return uploadCompleted, counted, nil
}

// countChosen counts the part numbers of the runs, which must ascend and not
// overlap.
// ErrLimit for runs that are not so. A row that an edit has changed is read through it too.
func countChosen(runs []meta.PartRun) (n int64, err error) {
	last := 0
	for _, r := range runs {
		if r.First <= last || r.Count < 1 || r.First > maxPartNumber || r.Count > maxPartNumber-r.First+1 {
			return 0, fmt.Errorf("%w: parts %d+%d after part %d", meta.ErrLimit, r.First, r.Count, last)
		}
		last = r.First + r.Count - 1
		n += int64(r.Count)
	}
	return n, nil
}

// joinRuns and splitRuns convert the column uploads.chosen: two unsigned varints,
// first and count, for each run.
func joinRuns(runs []meta.PartRun) []byte {
	var b []byte
	for _, r := range runs {
		b = binary.AppendUvarint(b, uint64(r.First))
		b = binary.AppendUvarint(b, uint64(r.Count))
	}
	return b
}

var errRuns = errors.New("chosen column is damaged")

// It never returns runs that countChosen refuses, so that callers may rely on their order.
func splitRuns(b []byte) ([]meta.PartRun, error) {
	var runs []meta.PartRun
	for len(b) > 0 {
		first, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errRuns
		}
		count, m := binary.Uvarint(b[n:])
		if m <= 0 || first > maxPartNumber || count > maxPartNumber {
			return nil, errRuns
		}
		runs = append(runs, meta.PartRun{First: int(first), Count: int(count)})
		b = b[n+m:]
	}
	if _, err := countChosen(runs); err != nil {
		return nil, errRuns
	}
	return runs, nil
}

// The runs must ascend.
func isChosen(runs []meta.PartRun, number int) bool {
	for _, r := range runs {
		if number < r.First+r.Count {
			return number >= r.First
		}
	}
	return false
}
