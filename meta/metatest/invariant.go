package metatest

import (
	"context"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/meta"
)

// CheckLedger reads a store that has no writers, and returns an error for each
// contradiction: a blob whose count differs from the references of versions and
// parts; a version or part whose blob is not live; a blob that is reserved or live
// at two backends, or at one that is retired or unknown; an upload whose count
// differs from its versions or does not fit its state; wrong orders, usage or
// listings of versions.
func CheckLedger(ctx context.Context, s meta.Store) error {
	c := &census{blobs: make(map[meta.BlobID]int64), uploads: make(map[meta.ID]int64), serving: make(map[meta.BackendID]bool)}
	err := errors.Join(c.objects(ctx, s), c.parts(ctx, s), c.ledger(ctx, s), c.versions(ctx, s))
	return errors.Join(append(c.faults, err)...)
}

// census counts references.
type census struct {
	blobs   map[meta.BlobID]int64
	uploads map[meta.ID]int64
	serving map[meta.BackendID]bool // backends that may hold blobs
	placed  bool                    // a reserved or live row of the current blob was seen
	faults  []error
}

func (c *census) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

func (c *census) objects(ctx context.Context, s meta.Store) error {
	var after meta.ObjectPosition
	for {
		page, err := s.ScanObjects(ctx, after, meta.MaxPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, o := range page {
			switch o.Body.Kind {
			case meta.BodyBlob:
				c.blobs[o.Body.Blob]++
			case meta.BodyUpload:
				c.uploads[o.Body.Upload]++
			}
			after = o.At
		}
	}
}

func (c *census) parts(ctx context.Context, s meta.Store) error {
	var after meta.ID
	for {
		page, err := s.ScanUploads(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, u := range page {
			c.upload(u)
			if err := c.partsOf(ctx, s, u.ID); err != nil {
				return err
			}
			after = u.ID
		}
		if len(page) == 0 {
			for id, n := range c.uploads {
				c.fault("%d versions name upload %s, which is not there", n, id)
			}
			return nil
		}
	}
}

func (c *census) upload(u meta.UploadRef) {
	if n := c.uploads[u.ID]; n != u.Refs {
		c.fault("upload %s counts %d references, %d versions name it", u.ID, u.Refs, n)
	}
	delete(c.uploads, u.ID)
	if (u.State == meta.UploadCompleted) != (u.Refs > 0) {
		c.fault("upload %s is in state %d with %d references", u.ID, u.State, u.Refs)
	}
}

func (c *census) partsOf(ctx context.Context, s meta.Store, upload meta.ID) error {
	for after := 0; ; {
		page, err := s.ScanParts(ctx, upload, after, meta.MaxPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			for _, id := range p.Blobs {
				c.blobs[id]++
			}
			after = p.Number
		}
	}
}

// ledger compares the counts with the ledger's rows, which come in the order of
// ids.
func (c *census) ledger(ctx context.Context, s meta.Store) error {
	bs, err := s.ListBackends(ctx)
	if err != nil {
		return err
	}
	for _, b := range bs {
		c.serving[b.ID] = b.State != meta.BackendRetired
	}
	var after meta.BlobPosition
	var last meta.Blob
	for {
		page, err := s.ScanBlobs(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, b := range page {
			c.blob(b, last)
			after, last = meta.BlobPosition{ID: b.ID, Backend: b.Backend}, b
		}
		if len(page) == 0 {
			break
		}
	}
	for id, n := range c.blobs {
		c.fault("%d name blob %x, which the ledger does not know live", n, id)
	}
	return nil
}

// blob checks a row after the one before it. At most one row of a blob is reserved
// or live; every other row is a dead copy.
func (c *census) blob(b, last meta.Blob) {
	if b.ID == last.ID && b.Backend <= last.Backend {
		c.fault("blob %x at backend %d comes after backend %d", b.ID, b.Backend, last.Backend)
	}
	if b.ID != last.ID {
		c.placed = false
	}
	if b.State == meta.BlobDead {
		if b.Refs != 0 {
			c.fault("blob %x is dead at backend %d with %d references", b.ID, b.Backend, b.Refs)
		}
		return
	}
	if b.State == meta.BlobCopy {
		if b.Refs != 0 || b.Holder.IsZero() || !c.serving[b.Backend] {
			c.fault("the copy of blob %x at backend %d has %d references and holder %s", b.ID, b.Backend, b.Refs, b.Holder)
		}
		return
	}
	if c.placed {
		c.fault("blob %x is reserved or live twice, at backend %d too", b.ID, b.Backend)
	}
	c.placed = true
	if !c.serving[b.Backend] {
		c.fault("blob %x is in state %d at backend %d, which serves nothing", b.ID, b.State, b.Backend)
	}
	want := c.blobs[b.ID]
	delete(c.blobs, b.ID)
	if b.Refs != want || (b.State == meta.BlobLive) != (want > 0) {
		c.fault("blob %x is in state %d with %d references, %d name it", b.ID, b.State, b.Refs, want)
	}
}
