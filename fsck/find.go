package fsck

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// Sought is all that is known of an object, from a line of a log or a finding. An empty
// field says nothing; all others must be so.
type Sought struct {
	Bucket  string // name
	Key     string
	KeyHash string // see damage.Reports.KeyHash
	Version string // as clients name it, or as logs do
	Blob    string // one that holds bytes of it
}

// FoundObject is an object that was sought.
type FoundObject struct {
	Bucket   string   `json:"bucket"` // name; empty: the bucket is no more
	BucketID string   `json:"bucket_id"`
	Key      string   `json:"key"`
	KeyHash  string   `json:"key_hash"`
	Version  string   `json:"version"`    // as clients name it
	ID       string   `json:"version_id"` // as logs name it
	Size     int64    `json:"size"`
	Backends []string `json:"backends,omitempty"` // where the blob is that was sought
}

// errNothingSought: every object would be found.
var errNothingSought = errors.New("a key, its hash, a version or a blob has to be said")

// Find calls found with every version that is sought, in the order of buckets and
// keys. Without a key it reads the rows of the bucket, or of all buckets. Errors:
// NoSuchBucket, and that of found.
func Find(ctx context.Context, e *engine.Engine, s Sought, found func(FoundObject) error) error {
	if s.Key+s.KeyHash+s.Version+s.Blob == "" {
		return errNothingSought
	}
	in, err := e.Inspect(ctx)
	if err != nil {
		return err
	}
	f := finder{e: e, in: in, rows: in.Rows(), s: s, found: found, names: make(map[meta.ID]string)}
	if s.Blob != "" {
		if err := f.seekBlob(ctx); err != nil {
			return err
		}
	}
	if s.Bucket != "" {
		b, err := e.Buckets().Get(ctx, s.Bucket)
		if err != nil {
			return err
		}
		f.names[b.ID] = b.Name
		return f.scan(ctx, b.ID)
	}
	return scanBuckets(ctx, f.rows, func(b meta.Bucket) error {
		f.names[b.ID] = b.Name
		return f.scan(ctx, b.ID)
	})
}

// finder looks for objects.
// It is used by one goroutine.
type finder struct {
	e       *engine.Engine
	in      *engine.Inspection
	rows    engine.Rows
	s       Sought
	found   func(FoundObject) error
	names   map[meta.ID]string
	blob    meta.BlobID      // zero: none is sought
	uploads map[meta.ID]bool // that have it among their parts
	at      []string         // where it is
}

// seekBlob learns where the blob is, and which uploads have it.
// The parts are read before the versions, because a version that is made of parts is known by its
// upload alone.
func (f *finder) seekBlob(ctx context.Context) error {
	id, err := backends.ParseBlobID(f.s.Blob)
	if err != nil {
		return err
	}
	f.blob, f.uploads = meta.BlobID(id), make(map[meta.ID]bool)
	rows, err := f.rows.ScanBlobs(ctx, meta.BlobPosition{ID: f.blob}, meta.MaxPage)
	if err != nil {
		return err
	}
	names := make(map[meta.BackendID]string)
	for _, b := range f.in.Backends() {
		names[b.ID] = b.Name
	}
	for _, row := range rows {
		if row.ID == f.blob {
			f.at = append(f.at, names[row.Backend])
		}
	}
	return scanUploads(ctx, f.rows, func(u meta.UploadRef) error {
		return scanParts(ctx, f.rows, u.ID, func(p meta.Part) {
			for _, blob := range p.Blobs {
				if blob == f.blob {
					f.uploads[u.ID] = true
				}
			}
		})
	})
}

// scan looks through a bucket's versions, or those of the key.
func (f *finder) scan(ctx context.Context, bucket meta.ID) error {
	after := meta.ObjectPosition{Bucket: bucket, Key: f.s.Key}
	for {
		page, err := f.rows.ScanObjects(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for i := range page {
			v := &page[i].Version
			// Rows come in the order of bucket and key, so the first other one is the end.
			if v.Bucket != bucket || f.s.Key != "" && v.Key != f.s.Key {
				return nil
			}
			after = page[i].At
			if !f.matches(v) {
				continue
			}
			err := f.found(FoundObject{Bucket: f.names[bucket], BucketID: bucket.String(), Key: v.Key, KeyHash: f.e.Damage().KeyHash(bucket, v.Key),
				Version: v.Ref().String(), ID: v.ID.String(), Size: v.Size, Backends: f.at})
			if err != nil {
				return err
			}
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

// Rows are compared as they are, and nothing is opened: an object that does not open must be
// found, too.
func (f *finder) matches(v *meta.Version) bool {
	switch s := &f.s; {
	case s.Version != "" && s.Version != v.Ref().String() && s.Version != v.ID.String():
		return false
	case s.KeyHash != "" && s.KeyHash != f.e.Damage().KeyHash(v.Bucket, v.Key):
		return false
	case s.Blob == "":
		return true
	case v.Body.Kind == meta.BodyUpload:
		return f.uploads[v.Body.Upload]
	}
	return v.Body.Kind == meta.BodyBlob && v.Body.Blob == f.blob
}
