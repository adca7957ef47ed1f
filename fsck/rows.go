package fsck

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// records holds the rows of tenants, access keys and identities, and the sealing itself,
// against what is sealed of them.
func (c *check) records(ctx context.Context) error {
	if err := c.deployment(ctx); err != nil {
		return err
	}
	return c.e.Accounts().Check(ctx, c.unproven)
}

// unproven reports a row that is not what is sealed of it.
func (c *check) unproven(what string, err error) {
	if err != nil {
		c.report(Finding{Kind: "row-edited", Severity: SeverityLost, Row: what, Detail: err.Error()})
	}
}

// deployment proves the row anew: it may have been edited since the engine was opened.
func (c *check) deployment(ctx context.Context) error {
	d, err := c.rows.Deployment(ctx)
	if err != nil {
		return err
	}
	c.unproven("deployment", c.in.ProveDeployment(&d))
	if c.Sealing = d.Sealing; d.Sealing < meta.SealingWhole {
		return c.sealingMarkers(ctx)
	}
	return nil
}

// sealingMarkers finds backends that have seen every row sealed, when the store says
// that some are not.
// An edit that sets the sealing back would have rows without records believed again. The backends'
// markers refute it.
func (c *check) sealingMarkers(ctx context.Context) error {
	for _, row := range c.in.Backends() {
		if !c.in.IsConfigured(row.ID) {
			continue
		}
		found, err := c.in.HasSealingMarker(ctx, row.ID)
		if err != nil {
			return fmt.Errorf("backend %s: %w", row.Name, err)
		}
		if found {
			c.report(Finding{Kind: "sealing-undone", Severity: SeverityLost, Backend: row.Name,
				Detail: "the backend has seen every row of the store sealed, and the store says that some are not: it was edited, or restored from a backup"})
		}
	}
	return nil
}

// buckets proves the row of every bucket and opens all its settings. A setting that
// cannot be opened closes the bucket until it is replaced.
// It runs in the first round alone, because buckets do not depend on the range of blobs.
func (c *check) buckets(ctx context.Context) error {
	return scanBuckets(ctx, c.rows, func(b meta.Bucket) error {
		if err := c.settings(ctx, b); err != nil {
			return fmt.Errorf("settings of bucket %s: %w", b.Name, err)
		}
		return nil
	})
}

func (c *check) settings(ctx context.Context, b meta.Bucket) error {
	// Settings are judged by the record of the row. Where that is not proved, nothing can be
	// said of them.
	if err := c.e.Buckets().Prove(&b); err != nil {
		c.unproven("bucket "+b.ID.String(), err)
		return nil
	}
	s, err := c.e.Buckets().ReadableSettings(ctx, b)
	if errors.Is(err, s3err.NoSuchBucket) { // deleted meanwhile
		return nil
	} else if err != nil {
		return err
	}
	if err := s.Gone(); err != nil { // which says nothing of the settings
		return err
	}
	for _, name := range s.Broken() {
		c.report(Finding{Kind: "setting-unreadable", Severity: SeverityLost, Bucket: b.ID.String(),
			Detail: fmt.Sprintf("the setting %s of bucket %s cannot be opened, so that the bucket is closed until its owner's root, or the operator, replaces it", name, b.Name)})
	}
	return nil
}
