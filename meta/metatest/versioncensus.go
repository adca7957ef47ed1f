package metatest

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/meta"
)

// versions reports contradictions in the visible versions of buckets: a key whose
// newest version is not its only current one, two null versions of a key, a current
// version that the key and the listing do not show, and wrong usage.
func (c *census) versions(ctx context.Context, s meta.Store) error {
	for q := (meta.BucketQuery{Limit: meta.MaxPage}); ; {
		bs, err := s.ListBuckets(ctx, q)
		if err != nil || len(bs) == 0 {
			return err
		}
		for _, b := range bs {
			if err := c.versionsOf(ctx, s, b); err != nil {
				return err
			}
			q.After = b.Name
		}
	}
}

// keyCensus is the state of the key that is being read.
type keyCensus struct {
	key  string
	null bool
}

func (c *census) versionsOf(ctx context.Context, s meta.Store, b meta.Bucket) error {
	held := make(map[string]meta.ID)
	var used meta.Usage
	at := keyCensus{}
	for q := (meta.VersionQuery{Bucket: b.ID, Limit: meta.MaxPage}); ; {
		page, err := s.ListVersions(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			c.version(b, &e.Version, &at)
			if e.Version.Marker {
				used.Markers++
			} else {
				used.Bytes += e.Version.Size
				used.Versions++
			}
			if e.Version.Latest {
				held[e.Version.Key] = e.Version.ID
			}
			if err := c.holds(ctx, s, &e.Version); err != nil {
				return err
			}
		}
		if !page.More {
			break
		}
		q.AfterKey, q.AfterVersion = page.NextKey, page.NextVersion
	}
	open, err := openUsage(ctx, s, b.ID)
	if err != nil {
		return err
	}
	used = used.Plus(open)
	if got, err := s.BucketUsage(ctx, b.ID); err != nil {
		return err
	} else if got != used {
		c.fault("bucket %s is said to use %+v, and uses %+v", b.Name, got, used)
	}
	return c.listed(ctx, s, b, held)
}

// openUsage returns the usage by open uploads of a bucket.
func openUsage(ctx context.Context, s meta.Store, bucket meta.ID) (used meta.Usage, err error) {
	for after := (meta.ID{}); ; {
		page, err := s.ScanUploads(ctx, after, meta.MaxPage)
		if err != nil || len(page) == 0 {
			return used, err
		}
		for _, u := range page {
			after = u.ID
			if u.Bucket != bucket || u.State != meta.UploadOpen {
				continue
			}
			used.Uploads++
			for number := 0; ; {
				parts, err := s.ScanParts(ctx, u.ID, number, meta.MaxPage)
				if err != nil {
					return used, err
				}
				if len(parts) == 0 {
					break
				}
				for _, p := range parts {
					used.Parts, used.PartBytes, number = used.Parts+1, used.PartBytes+p.Size, p.Number
				}
			}
		}
	}
}

// version checks an entry after the one before it.
func (c *census) version(b meta.Bucket, v *meta.Version, at *keyCensus) {
	first := v.Key != at.key
	if v.Key < at.key {
		c.fault("%s/%q comes after %q", b.Name, v.Key, at.key)
	}
	if first {
		*at = keyCensus{key: v.Key}
	}
	if v.Latest != first || v.Displaced.IsZero() != first {
		c.fault("version %s of %s/%q: first %t, latest %t, displaced %s", v.ID, b.Name, v.Key, first, v.Latest, v.Displaced)
	}
	if v.Null && at.null {
		c.fault("%s/%q has two null versions", b.Name, v.Key)
	}
	at.null = at.null || v.Null
	if !v.Null && b.Versioning == meta.VersioningOff {
		c.fault("version %s of %s/%q, which never had versions", v.ID, b.Name, v.Key)
	}
}

// holds checks that the key returns its current version, unless that is a marker.
func (c *census) holds(ctx context.Context, s meta.Store, v *meta.Version) error {
	if !v.Latest {
		return nil
	}
	now, err := s.Object(ctx, v.Bucket, v.Key)
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return err
	}
	if (err == nil) == v.Marker || err == nil && now.ID != v.ID {
		c.fault("%q holds %s, and its current version is %s, marker %t", v.Key, now.ID, v.ID, v.Marker)
	}
	return nil
}

// listed checks that every entry of the listing of objects is a current version.
func (c *census) listed(ctx context.Context, s meta.Store, b meta.Bucket, held map[string]meta.ID) error {
	for q := (meta.ListQuery{Bucket: b.ID, Limit: meta.MaxPage}); ; {
		page, err := s.ListObjects(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if held[e.Key] != e.Version {
				c.fault("%s/%q is listed with version %s, and its current one is %s", b.Name, e.Key, e.Version, held[e.Key])
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Next
	}
}
