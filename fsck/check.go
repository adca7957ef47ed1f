package fsck

import (
	"bytes"
	"context"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
)

// roundBlobs is how many blobs are held in memory at once, about 100 bytes
// each. A larger ledger is checked in several rounds over ranges of ids.
const roundBlobs = 2_000_000

// check is one pass of Run.
type check struct {
	Report
	e        *engine.Engine
	in       *engine.Inspection
	rows     engine.Rows
	o        Options
	found    map[Finding]bool          // without Detail
	backends map[meta.BackendID]string // names
	// The blobs of the present round, with ids in [low, high].
	low, high meta.BlobID
	first     bool                    // round
	united    map[meta.BackendID]bool // those that have what is written to another, and the other
	blobs     map[meta.BlobID]*blobCheck
	uploads   map[meta.ID]int64 // refs by versions, of uploads with ids in the same range
	// unlisted has the backends whose list breaks off, with the last blob before.
	unlisted map[meta.BackendID]meta.BlobID
}

// blobCheck is a blob by its row that is reserved or live, or else dead.
type blobCheck struct {
	refs    int64  // by versions and parts
	version length // by the versions that refer to it
	part    length // by the part
	at      meta.BackendID
	state   meta.BlobState
	counted int64            // refs in the ledger
	dead    []meta.BackendID // where else a copy may be, a dead one or one that is made
	present bool
}

// Details have counts, which may differ between two passes over the same damage.
func (c *check) has(f Finding) bool {
	f.Detail = ""
	return c.found[f]
}

func (c *check) report(f Finding) {
	c.add(f)
	f.Detail = ""
	if len(c.found) < MaxFindings {
		c.found[f] = true
	}
}

// An error is of the store or of a backend's markers, and ends the pass. Damage is a finding.
func pass(ctx context.Context, e *engine.Engine, o Options) (*check, error) {
	c := &check{e: e, o: o, found: make(map[Finding]bool), united: make(map[meta.BackendID]bool), backends: make(map[meta.BackendID]string), Report: Report{Deep: o.Deep, Findings: []Finding{}}}
	var err error
	if c.in, err = e.Inspect(ctx); err != nil {
		return c, err
	}
	c.rows = c.in.Rows()
	for _, row := range c.in.Backends() {
		c.backends[row.ID] = row.Name
	}
	if err := c.storages(ctx); err != nil {
		return c, err
	}
	c.first = true
	for done := false; !done; c.first = false {
		if done, err = c.round(ctx); err != nil {
			return c, err
		}
		if o.Progress != nil {
			o.Progress(c.Report)
		}
	}
	return c, nil
}

// round checks the blobs from c.low on, as many as fit, and moves c.low on.
func (c *check) round(ctx context.Context) (done bool, err error) {
	c.blobs, c.uploads = make(map[meta.BlobID]*blobCheck), make(map[meta.ID]int64)
	c.unlisted = make(map[meta.BackendID]meta.BlobID)
	// The order matters while gateways work: ledger, then versions and uploads, then backends.
	// A blob is reserved before anything refers to it or a backend has it, so what is met later
	// and was not in the ledger is newer: stored asks for it again, and the second pass clears
	// the rest.
	if done, err = c.readLedger(ctx); err != nil {
		return false, err
	}
	if c.first {
		if err := c.records(ctx); err != nil {
			return false, err
		}
		if err := c.buckets(ctx); err != nil {
			return false, err
		}
	}
	if err := scanObjects(ctx, c.rows, func(r meta.ScannedVersion) error { return c.scanned(ctx, r) }); err != nil {
		return false, err
	}
	if err := c.readUploads(ctx); err != nil {
		return false, err
	}
	if err := c.readBackends(ctx); err != nil {
		return false, err
	}
	c.judge()
	c.low = c.high
	return done, nil
}

// readLedger takes the next blobs of the ledger into the round and sets c.high.
// A blob has one row in the ledger for each backend. The one that is reserved or live is kept as
// the blob, and the others as places where bytes may be.
func (c *check) readLedger(ctx context.Context) (done bool, err error) {
	c.high = c.low
	for rows, err := range c.in.Ledger(ctx, c.low) {
		if err != nil {
			return false, err
		}
		b := &blobCheck{}
		for _, row := range rows {
			switch row.State {
			case meta.BlobReserved, meta.BlobCopy:
				c.reserved(row)
			case meta.BlobDead:
				c.PendingBlobs++
			default:
				c.Blobs++
			}
			if row.State == meta.BlobCopy {
				b.dead = append(b.dead, row.Backend)
				continue
			}
			if row.State == meta.BlobDead && (b.at != 0 && b.state != meta.BlobDead) {
				b.dead = append(b.dead, row.Backend)
				continue
			}
			if b.at != 0 {
				b.dead = append(b.dead, b.at)
			}
			b.at, b.state, b.counted = row.Backend, row.State, row.Refs
		}
		c.high = rows[0].ID
		c.blobs[c.high] = b
		if len(c.blobs) >= roundBlobs {
			return false, nil
		}
	}
	// The last round ends above every id, so that blobs without a row in the ledger belong to
	// it.
	for i := range c.high {
		c.high[i] = 0xff
	}
	return true, nil
}

// reserved counts a reservation or the place of a copy.
func (c *check) reserved(row meta.Blob) {
	if !c.in.IsInDoubt(row) {
		c.ReservedBlob++
		return
	}
	c.DoubtfulBlob++
	c.report(Finding{Kind: "blob-in-doubt", Severity: SeverityDoubt, Backend: c.backends[row.Backend], Blob: backends.BlobID(row.ID).String(),
		Detail: "a process ended between writing it and committing it, or the store is older than it is"})
}

// The first id is exclusive, as in readLedger, where the round before has ended with it.
func (c *check) inRound(id meta.BlobID) bool {
	return bytes.Compare(id[:], c.low[:]) > 0 && bytes.Compare(id[:], c.high[:]) <= 0
}

// refer counts a reference to a blob.
func (c *check) refer(id meta.BlobID, l length, at Finding) {
	if !c.inRound(id) {
		return
	}
	b := c.blobs[id]
	if b == nil {
		at.Kind, at.Severity, at.Blob = "blob-not-in-ledger", SeverityLost, backends.BlobID(id).String()
		at.Detail = "the ledger does not know a blob that is referred to"
		c.report(at)
		return
	}
	b.refs++
	if l.how == padded {
		b.part = l
	} else if l.how >= b.version.how {
		b.version = l
	}
}
