package sqlstore

import (
	"context"

	"github.com/sanctum-storage/gateway/meta"
)

// uploadPosition is exclusive: rows of the key with ids above id, and rows of
// later keys.
type uploadPosition struct {
	key []byte
	id  meta.ID
}

// ListUploads implements meta.Uploads.
func (s *Store) ListUploads(ctx context.Context, q meta.UploadQuery) (page meta.UploadPage, err error) {
	if err := checkCount("rows", q.Limit, meta.MaxPage); err != nil {
		return page, err
	}
	from := uploadPosition{key: start(q.AfterKey, q.Prefix, q.Delimiter)}
	_, inside := commonPrefix(q.AfterKey, q.Prefix, q.Delimiter)
	// The id is a position only within AfterKey. Where that key is under a common prefix that
	// was shown, the listing goes on behind the prefix.
	if !q.AfterUpload.IsZero() && !inside && q.AfterKey != "" && q.AfterKey >= q.Prefix {
		from = uploadPosition{key: []byte(q.AfterKey), id: q.AfterUpload}
	}
	err = s.run.Snapshot(ctx, func(tx Tx) error {
		page = meta.UploadPage{}
		l := uploadListing(tx, q)
		return l.run(from, func(common string, u meta.Upload) bool {
			if len(page.Entries) == q.Limit {
				page.More = true
				return false
			}
			e := meta.UploadEntry{Upload: u}
			page.NextKey, page.NextUpload = u.Key, u.ID
			if common != "" {
				e = meta.UploadEntry{CommonPrefix: common}
				page.NextKey, page.NextUpload = common, meta.ID{}
			}
			page.Entries = append(page.Entries, e)
			return true
		})
	})
	if err != nil || !page.More {
		page.NextKey, page.NextUpload = "", meta.ID{}
	}
	return page, err
}

// Uploads that are completed or dying are not shown.
func uploadListing(tx Tx, q meta.UploadQuery) *listing[uploadPosition, meta.Upload] {
	return &listing[uploadPosition, meta.Upload]{
		prefix: q.Prefix, delimiter: q.Delimiter, most: q.Limit + 1,
		fetch: func(from uploadPosition, to []byte, n int) ([]meta.Upload, error) {
			scan := func(r Row) (u meta.Upload, err error) {
				u.Bucket, u.State = q.Bucket, meta.UploadOpen
				err = r.Scan((*idColumn)(&u.ID), (*textColumn)(&u.Key), (*idColumn)(&u.Owner),
					(*timeColumn)(&u.Created), &u.Generation, &u.Revision, &u.WrappedKey, &u.Settings)
				return u, err
			}
			return collect(tx, scan, `SELECT id, key, owner, created, generation, revision, wrapped_key, settings FROM uploads
				WHERE bucket_id = ? AND state = ? AND (key, id) > (?, ?) AND key < ? ORDER BY key, id LIMIT ?`,
				q.Bucket[:], uploadOpen, from.key, from.id[:], to, n)
		},
		key:   func(u meta.Upload) string { return u.Key },
		at:    func(key []byte) uploadPosition { return uploadPosition{key: key} },
		after: func(u meta.Upload) uploadPosition { return uploadPosition{[]byte(u.Key), u.ID} },
	}
}
