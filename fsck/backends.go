package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/meta"
)

// storages holds each backend's markers against the store.
func (c *check) storages(ctx context.Context) error {
	for _, row := range c.in.Backends() {
		if row.State == meta.BackendRetired {
			continue
		}
		if err := c.in.CheckStorage(ctx, row.ID); blobs.Disagrees(err) {
			c.report(Finding{Kind: kindOf(err), Severity: SeverityLost, Backend: row.Name, Detail: err.Error()})
		} else if err != nil {
			return err
		}
	}
	return c.storagesApart(ctx)
}

// storagesApart finds backends that lead to one storage. Each blob there is listed at both,
// and would be a stray copy at one of them, whose removal destroys it.
func (c *check) storagesApart(ctx context.Context) error {
	for _, row := range c.in.Backends() {
		if !c.in.IsConfigured(row.ID) {
			continue
		}
		other, err := c.in.CheckApart(ctx, row.ID)
		if errors.Is(err, blobs.ErrWrongBackend) {
			c.united[row.ID], c.united[other] = true, true
			c.report(Finding{Kind: "storages-united", Severity: SeverityLeak, Backend: row.Name, Detail: err.Error()})
		} else if err != nil {
			return err
		}
	}
	return nil
}

// kindOf names a disagreement.
// The kinds are part of the report's format, which scripts read.
func kindOf(err error) string {
	switch {
	case errors.Is(err, blobs.ErrStorageRolledBack):
		return "storage-rolled-back"
	case errors.Is(err, blobs.ErrFarApart):
		return "store-or-storage-rolled-back"
	case errors.Is(err, blobs.ErrUnknownStorage):
		return "unknown-storage"
	case errors.Is(err, blobs.ErrWrongBackend):
		return "wrong-storage"
	}
	return "store-rolled-back"
}

// readBackends lists the round's range of every backend.
func (c *check) readBackends(ctx context.Context) error {
	for _, row := range c.in.Backends() {
		if c.in.IsConfigured(row.ID) {
			if err := c.readBackend(ctx, row); err != nil {
				return fmt.Errorf("backend %s: %w", row.Name, err)
			}
		}
	}
	return nil
}

// kindUnlisted is the finding that a backend cannot list all of its blobs.
const kindUnlisted = "backend-unlisted"

// readBackend lists one backend. A list that breaks off is a finding, and does not keep
// the rest from being checked.
// The ids come in order, so that the blob before a break says how far the list was good.
func (c *check) readBackend(ctx context.Context, b meta.Backend) error {
	last := c.low
	for info, err := range c.in.Stored(ctx, b.ID, c.low) {
		if errors.Is(err, blobs.ErrUnlisted) {
			c.unlisted[b.ID] = last
			at := Finding{Kind: kindUnlisted, Severity: SeverityLost, Backend: b.Name, Detail: "whether it has all blobs is not known: " + err.Error()}
			if !c.has(at) {
				c.report(at)
			}
			return nil
		}
		if err != nil {
			return err
		}
		last = meta.BlobID(info.ID)
		if !c.inRound(meta.BlobID(info.ID)) {
			return nil
		}
		c.BackendBlobs++
		if err := c.stored(ctx, b, info); err != nil {
			return err
		}
	}
	return nil
}

// stored judges one blob that a backend has.
func (c *check) stored(ctx context.Context, backend meta.Backend, info backends.Info) error {
	id := meta.BlobID(info.ID)
	at := Finding{Backend: backend.Name, Blob: info.ID.String()}
	b := c.blobs[id]
	switch {
	case b == nil:
		// The ledger was read before the backend was listed, so a blob may be newer than what
		// was read of it. It is asked for once more.
		if _, err := c.rows.Blob(ctx, id); err == nil {
			return nil // reserved since the ledger was read
		} else if !errors.Is(err, meta.ErrNotFound) {
			return err
		}
		at.Kind, at.Severity = "unknown-blob", SeverityLeak
		at.Detail = fmt.Sprintf("the backend has %d bytes that the ledger does not know", info.Size)
		c.report(at)
	case b.at == backend.ID:
		b.present = true
		// Only the size of a live blob is certain: a reserved one may be under way.
		for _, l := range []length{b.version, b.part} {
			if b.state == meta.BlobLive && !l.fits(info.Size) {
				at.Kind, at.Severity = "blob-size", SeverityLost
				at.Detail = fmt.Sprintf("the backend has %d bytes instead of %v", info.Size, l)
				c.report(at)
				break
			}
		}
	// A copy that the collector has yet to delete, or that is being made.
	case slices.Contains(b.dead, backend.ID):
	case c.united[b.at] && c.united[backend.ID]: // which is the finding
	default:
		if known, err := c.placed(ctx, id, backend.ID); known || err != nil { // copied since the ledger was read
			return err
		}
		at.Kind, at.Severity = "stray-copy", SeverityLeak
		at.Detail = fmt.Sprintf("the backend has %d bytes of a blob that the ledger knows at backend %s", info.Size, c.backends[b.at])
		c.report(at)
	}
	return nil
}

// placed reports whether the ledger has a row of a blob at a backend by now.
// at-1 is the position right before the row that is asked for.
func (c *check) placed(ctx context.Context, id meta.BlobID, at meta.BackendID) (bool, error) {
	rows, err := c.rows.ScanBlobs(ctx, meta.BlobPosition{ID: id, Backend: at - 1}, 1)
	return len(rows) == 1 && rows[0].ID == id && rows[0].Backend == at, err
}

// isUnlisted reports whether a backend's list broke off before it came to a blob.
func (c *check) isUnlisted(id meta.BlobID, at meta.BackendID) bool {
	last, broke := c.unlisted[at]
	return broke && bytes.Compare(id[:], last[:]) > 0
}

// judge draws the conclusions of a round.
// Findings without bucket and key get them at the end, in nameObjects.
func (c *check) judge() {
	for id, b := range c.blobs {
		at := Finding{Backend: c.backends[b.at], Blob: backends.BlobID(id).String()}
		switch {
		case b.refs > 0 && b.state != meta.BlobLive:
			at.Kind, at.Severity, at.Detail = "blob-condemned", SeverityLost, "a blob that is referred to is not live in the ledger"
		case slices.Contains(b.dead, b.at):
			at.Kind, at.Severity, at.Detail = "blob-condemned", SeverityLost, "the ledger has a blob that lives, or may yet, as dead or in the making at the same backend"
		case b.state == meta.BlobLive && !b.present && !c.isUnlisted(id, b.at):
			at.Kind, at.Severity, at.Detail = "blob-missing", SeverityLost, "the backend does not have a live blob"
		case b.state == meta.BlobLive && b.refs > b.counted:
			at.Kind, at.Severity = "blob-undercounted", SeverityLost
			at.Detail = fmt.Sprintf("the ledger counts %d references, there are %d", b.counted, b.refs)
		case b.state == meta.BlobLive && b.refs < b.counted:
			at.Kind, at.Severity = "blob-overcounted", SeverityLeak
			at.Detail = fmt.Sprintf("the ledger counts %d references, there are %d", b.counted, b.refs)
		default:
			continue
		}
		c.report(at)
	}
}
