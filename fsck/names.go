package fsck

import (
	"context"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// nameBuckets adds the names of buckets, which people know them by.
// All findings of a bucket get the name in one pass over the buckets.
func nameBuckets(ctx context.Context, rows engine.Rows, fs []Finding) error {
	of := make(map[string][]*Finding)
	for i := range fs {
		if id := fs[i].Bucket; id != "" {
			of[id] = append(of[id], &fs[i])
		}
	}
	if len(of) == 0 {
		return nil
	}
	return scanBuckets(ctx, rows, func(b meta.Bucket) error {
		for _, f := range of[b.ID.String()] {
			f.BucketName = b.Name
		}
		return nil
	})
}

// nameObjects adds the object, or the open upload, to findings that know only
// their blob. Of several objects that share a blob it names one.
func nameObjects(ctx context.Context, rows engine.Rows, fs []Finding) error {
	nameless := make(map[meta.BlobID]*Finding)
	for i := range fs {
		if fs[i].Blob != "" && fs[i].Key == "" && fs[i].Severity == SeverityLost {
			if id, err := backends.ParseBlobID(fs[i].Blob); err == nil {
				nameless[meta.BlobID(id)] = &fs[i]
			}
		}
	}
	if len(nameless) == 0 {
		return nil
	}
	parts := make(map[meta.ID][]*Finding) // by upload
	// Uploads first: a version that is made of parts is found by its upload.
	err := scanUploads(ctx, rows, func(u meta.UploadRef) error {
		return scanParts(ctx, rows, u.ID, func(p meta.Part) {
			for _, id := range p.Blobs {
				if f := nameless[id]; f != nil {
					f.Bucket, f.Key, f.Upload = u.Bucket.String(), u.Key, u.ID.String()
					parts[u.ID] = append(parts[u.ID], f)
				}
			}
		})
	})
	if err != nil {
		return err
	}
	return scanObjects(ctx, rows, func(r meta.ScannedVersion) error {
		var found []*Finding
		switch r.Body.Kind {
		case meta.BodyBlob:
			if f := nameless[r.Body.Blob]; f != nil {
				found = []*Finding{f}
			}
		case meta.BodyUpload: // completed: the object counts, whatever the upload was for
			found = parts[r.Body.Upload]
		}
		for _, f := range found {
			f.Bucket, f.Key, f.Version = r.Bucket.String(), r.Key, r.Ref().String()
		}
		return nil
	})
}
