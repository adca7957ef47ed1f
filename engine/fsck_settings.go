package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// settings opens every setting of every bucket. One that cannot be opened closes the
// bucket until it is replaced.
func (c *check) settings(ctx context.Context) error {
	for q := (meta.BucketQuery{Limit: meta.MaxPage}); ; {
		page, err := c.e.store.ListBuckets(ctx, q)
		if err != nil {
			return err
		}
		for _, b := range page {
			q.After = b.Name
			if err := c.settingsOf(ctx, b); err != nil {
				return fmt.Errorf("settings of bucket %s: %w", b.Name, err)
			}
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
}

func (c *check) settingsOf(ctx context.Context, b meta.Bucket) error {
	if err := c.e.proveBucket(&b); err != nil {
		c.unproven("bucket "+b.ID.String(), err)
		return nil
	}
	s, err := c.e.ReadableSettings(ctx, b)
	if errors.Is(err, s3err.NoSuchBucket) { // deleted meanwhile
		return nil
	} else if err != nil {
		return err
	}
	for _, name := range s.Broken() {
		c.report(Finding{Kind: "setting-unreadable", Severity: SeverityLost, Bucket: b.ID.String(),
			Detail: fmt.Sprintf("the setting %s of bucket %s cannot be opened, so that the bucket is closed until its owner's root, or the operator, replaces it", name, b.Name)})
	}
	return nil
}
