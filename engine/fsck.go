package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

const (
	// fsckBlobs is how many blobs are held in memory at once, about 100 bytes
	// each. A larger ledger is checked in several rounds over ranges of ids.
	fsckBlobs = 2_000_000
	// MaxFindings are kept in a report; the rest is counted.
	MaxFindings = 10_000
)

// Severities of a finding.
const (
	SeverityLost = "lost" // an object or part cannot be served whole
	SeverityLeak = "leak" // bytes or rows that nothing needs
	// SeverityDoubt is of blobs that a process left between writing and committing
	// them: nothing in this store needs them, and a later state of it may. No fault.
	SeverityDoubt = "doubt"
)

// Finding is one contradiction between the store and a backend.
type Finding struct {
	Kind     string `json:"kind"`
	Severity string `json:"severity"`
	Backend  string `json:"backend,omitempty"` // name
	Blob     string `json:"blob,omitempty"`
	Bucket   string `json:"bucket,omitempty"` // id
	// BucketName is its name; empty where the bucket is no more.
	BucketName string `json:"bucket_name,omitempty"`
	Key        string `json:"key,omitempty"`
	Version    string `json:"version,omitempty"`
	Upload     string `json:"upload,omitempty"`
	Row        string `json:"row,omitempty"` // of what is no object: its kind and id
	Detail     string `json:"detail"`
}

// FsckOptions choose what Fsck does.
type FsckOptions struct {
	// Deep reads every byte and authenticates it.
	Deep bool
	// Progress, if set, is called now and then.
	Progress func(FsckReport)
}

// FsckReport is what Fsck saw. Pending is what Collect has yet to remove, which
// is no fault.
type FsckReport struct {
	Objects      int64 `json:"objects"` // versions that are no delete markers
	Uploads      int64 `json:"uploads"`
	Parts        int64 `json:"parts"`
	Blobs        int64 `json:"blobs"`
	Bytes        int64 `json:"bytes"` // plaintext bytes of the objects
	ReservedBlob int64 `json:"reserved_blobs"`
	DoubtfulBlob int64 `json:"doubtful_blobs"` // kept until they are discarded
	PendingBlobs int64 `json:"pending_blobs"`
	BackendBlobs int64 `json:"backend_blobs"`
	// Customer counts the objects of SSE-C. Without their customers' keys neither
	// their manifests nor their bytes are checked, however deep.
	Customer int64 `json:"customer_objects"`
	Deep     bool  `json:"deep"`
	// Sealing is how much of the store's rows is sealed.
	Sealing  meta.Sealing `json:"sealing"`
	Lost     int64        `json:"lost"`
	Leaked   int64        `json:"leaked"`
	Findings []Finding    `json:"findings"`
}

// Clean reports whether nothing was found.
func (r *FsckReport) Clean() bool { return r.Lost == 0 && r.Leaked == 0 }

// Fsck holds the store against the backends: every version and part opens and its
// blobs are live and there, every blob is counted right, and no backend has
// others. Every backend that is not retired must be configured. It changes nothing and may run beside a working gateway: what looks
// wrong is looked at again, and only what was wrong twice is a finding.
func (e *Engine) Fsck(ctx context.Context, o FsckOptions) (FsckReport, error) {
	first, err := e.fsckOnce(ctx, o)
	if err != nil || first.Clean() {
		return first.FsckReport, err // what is in doubt is of no bucket
	}
	second, err := e.fsckOnce(ctx, o)
	if err != nil {
		return second.FsckReport, err
	}
	both := second.FsckReport
	both.Findings, both.Lost, both.Leaked = nil, 0, 0
	for _, f := range second.Findings {
		if first.has(f) || len(first.Findings) == MaxFindings {
			both.add(f)
		}
	}
	if len(second.Findings) == MaxFindings { // too many to compare: all count
		both.Lost, both.Leaked = second.Lost, second.Leaked
	}
	both.mergeMissing()
	return both, errors.Join(e.nameFindings(ctx, both.Findings), e.nameBuckets(ctx, both.Findings))
}

// mergeMissing leaves out blobs that are missing where each object that cannot be read
// for it is a finding too: a deep check meets both.
func (r *FsckReport) mergeMissing() {
	unreadable := make(map[string]bool) // by blob
	for _, f := range r.Findings {
		if f.Kind == "object-unreadable" && f.Blob != "" {
			unreadable[f.Blob] = true
		}
	}
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		merged := f.Kind == "blob-missing" && unreadable[f.Blob]
		if merged {
			r.Lost--
		}
		return merged
	})
}

// nameBuckets adds the names of buckets, which people know them by.
func (e *Engine) nameBuckets(ctx context.Context, fs []Finding) error {
	of := make(map[string][]*Finding)
	for i := range fs {
		if id := fs[i].Bucket; id != "" {
			of[id] = append(of[id], &fs[i])
		}
	}
	for q := (meta.BucketQuery{Limit: meta.MaxPage}); len(of) > 0; {
		page, err := e.store.ListBuckets(ctx, q)
		if err != nil {
			return err
		}
		for _, b := range page {
			q.After = b.Name
			for _, f := range of[b.ID.String()] {
				f.BucketName = b.Name
			}
		}
		if len(page) < meta.MaxPage {
			return nil
		}
	}
	return nil
}

func (r *FsckReport) add(f Finding) {
	switch f.Severity {
	case SeverityLost:
		r.Lost++
	case SeverityLeak:
		r.Leaked++
	}
	if len(r.Findings) < MaxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// nameFindings adds the object, or the open upload, to findings that know only
// their blob. Of several objects that share a blob it names one.
func (e *Engine) nameFindings(ctx context.Context, fs []Finding) error {
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
	err := e.scanUploads(ctx, func(u meta.UploadRef) error {
		return e.scanParts(ctx, u.ID, func(p meta.Part) {
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
	return e.scanObjects(ctx, func(r meta.Version) error {
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

// scanObjects calls f for every version.
func (e *Engine) scanObjects(ctx context.Context, f func(meta.Version) error) error {
	var after meta.ObjectPosition
	for {
		refs, err := e.store.ScanObjects(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, r := range refs {
			after = meta.ObjectPosition{Bucket: r.Bucket, Key: r.Key, Version: r.ID}
			if err := f(r); err != nil {
				return err
			}
		}
		if len(refs) < meta.MaxPage {
			return nil
		}
	}
}

// scanUploads calls f for every upload, open or completed.
func (e *Engine) scanUploads(ctx context.Context, f func(meta.UploadRef) error) error {
	var after meta.ID
	for {
		refs, err := e.store.ScanUploads(ctx, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, r := range refs {
			after = r.ID
			if err := f(r); err != nil {
				return err
			}
		}
		if len(refs) < meta.MaxPage {
			return nil
		}
	}
}

// scanParts calls f for every part of an upload.
func (e *Engine) scanParts(ctx context.Context, upload meta.ID, f func(meta.Part)) error {
	for after := 0; ; {
		parts, err := e.store.ScanParts(ctx, upload, after, meta.MaxPage)
		if err != nil {
			return err
		}
		for _, p := range parts {
			after = p.Number
			f(p)
		}
		if len(parts) < meta.MaxPage {
			return nil
		}
	}
}

// check is one pass of Fsck.
type check struct {
	FsckReport
	e     *Engine
	o     FsckOptions
	s     *places
	found map[Finding]bool // without Detail
	// The blobs of the present round, with ids in [low, high].
	low, high meta.BlobID
	first     bool // round
	blobs     map[meta.BlobID]*blobCheck
	uploads   map[meta.ID]int64 // refs by versions, of uploads with ids in the same range
}

// blobCheck is a blob by its row that is reserved or live, or else dead.
type blobCheck struct {
	refs    int64 // by versions and parts
	size    int64 // plaintext, as a manifest says; -1: no manifest was opened
	at      meta.BackendID
	state   meta.BlobState
	counted int64            // refs in the ledger
	dead    []meta.BackendID // where else a copy may be, a dead one or one that is made
	present bool
}

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

func (e *Engine) fsckOnce(ctx context.Context, o FsckOptions) (*check, error) {
	c := &check{e: e, o: o, found: make(map[Finding]bool), FsckReport: FsckReport{Deep: o.Deep, Findings: []Finding{}}}
	var err error
	if c.s, err = e.refresh(ctx); err != nil {
		return c, err
	}
	if err := c.epochs(ctx); err != nil {
		return c, err
	}
	c.first = true
	for done := false; !done; c.first = false {
		if done, err = c.round(ctx); err != nil {
			return c, err
		}
		if o.Progress != nil {
			o.Progress(c.FsckReport)
		}
	}
	return c, nil
}

// round checks the blobs from c.low on, as many as fit, and moves c.low on.
func (c *check) round(ctx context.Context) (done bool, err error) {
	c.blobs, c.uploads = make(map[meta.BlobID]*blobCheck), make(map[meta.ID]int64)
	if done, err = c.readLedger(ctx); err != nil {
		return false, err
	}
	if c.first {
		if err := c.records(ctx); err != nil {
			return false, err
		}
		if err := c.settings(ctx); err != nil {
			return false, err
		}
	}
	if err := c.e.scanObjects(ctx, func(r meta.Version) error { return c.object(ctx, r) }); err != nil {
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
func (c *check) readLedger(ctx context.Context) (done bool, err error) {
	c.high = c.low
	for rows, err := range c.e.ledger(ctx, c.low) {
		if err != nil {
			return false, err
		}
		b := &blobCheck{size: -1}
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
		if len(c.blobs) >= fsckBlobs {
			return false, nil
		}
	}
	for i := range c.high {
		c.high[i] = 0xff
	}
	return true, nil
}

// reserved counts a reservation or the place of a copy.
func (c *check) reserved(row meta.Blob) {
	if row.Holder != c.e.doubtHolder() {
		c.ReservedBlob++
		return
	}
	c.DoubtfulBlob++
	c.report(Finding{Kind: "blob-in-doubt", Severity: SeverityDoubt, Backend: c.s.states[row.Backend].Name, Blob: backends.BlobID(row.ID).String(),
		Detail: "a process ended between writing it and committing it, or the store is older than it is"})
}

func (c *check) inRound(id meta.BlobID) bool {
	return bytes.Compare(id[:], c.low[:]) > 0 && bytes.Compare(id[:], c.high[:]) <= 0
}

// refer counts a reference to a blob. size is the plaintext length, -1 where it
// is not known.
func (c *check) refer(id meta.BlobID, size int64, at Finding) {
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
	if size >= 0 {
		b.size = size
	}
}

func (c *check) object(ctx context.Context, r meta.Version) error {
	if r.Marker {
		return c.marker(ctx, r)
	}
	if r.Body.Kind == meta.BodyUpload && c.countedNow(r.Body.Upload) {
		c.uploads[r.Body.Upload]++
	}
	if c.first {
		c.Objects++
		c.Bytes += r.Size
	} else if r.Body.Kind != meta.BodyBlob || !c.inRound(r.Body.Blob) {
		return nil
	}
	at := Finding{Bucket: r.Bucket.String(), Key: r.Key, Version: r.Ref().String()}
	size := int64(-1)
	if c.first || c.inRound(r.Body.Blob) {
		var err error
		if size, err = c.openObject(ctx, r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.report(at.of("object-unreadable", versionEdited, err))
			size = -1
		}
	}
	if r.Body.Kind == meta.BodyBlob {
		c.refer(r.Body.Blob, size, at)
	}
	return nil
}

// openObject proves that a version's row is what was sealed, that its manifest opens
// and agrees with it, and when deep that its bytes do. It returns the plaintext length
// of its blob.
func (c *check) openObject(ctx context.Context, r meta.Version) (blobSize int64, err error) {
	v, err := c.e.versionByID(ctx, r.Bucket, r.Key, r.ID)
	if errors.Is(err, meta.ErrNotFound) {
		return -1, c.gone(ctx, r)
	} else if err != nil {
		return -1, err
	}
	if _, err := c.e.openMarks(ctx, v); err != nil {
		return -1, err
	}
	if v.Encryption == meta.EncryptionCustomer {
		return c.customerObject(ctx, v)
	}
	m, err := c.e.openVersion(ctx, v, nil)
	if err != nil {
		return -1, err
	}
	blobSize = -1
	switch {
	case r.Body.Kind == meta.BodyBlob && len(m.Extents) == 1 && meta.BlobID(m.Extents[0].Blob) == r.Body.Blob:
		blobSize = m.Extents[0].BlobSize
	case r.Body.Kind == meta.BodyUpload && m.Parts != nil && meta.ID(m.Parts.Upload) == r.Body.Upload:
		if !c.first {
			return -1, nil
		}
		for group := range m.Parts.Groups {
			if err := c.partGroup(ctx, m.Parts, group); err != nil {
				return -1, err
			}
		}
	case r.Body.Kind == meta.BodyInline && m.Parts == nil && len(m.Extents) == 0:
	default:
		return -1, errors.New("the body in an object's row is not that of its sealed manifest")
	}
	if c.o.Deep && c.first {
		return blobSize, c.readAll(ctx, m, v)
	}
	return blobSize, nil
}

// customerObject checks what can be of an SSE-C object without its customer's key, of
// which the row was checked: by the size in it, that its blob is whole.
// That its manifest opens and that every byte is authentic cannot be; it is counted.
func (c *check) customerObject(ctx context.Context, v meta.Version) (blobSize int64, err error) {
	if c.first {
		c.Customer++
	}
	if v.Body.Kind == meta.BodyBlob {
		return v.Size, nil
	}
	return -1, nil
}

func (c *check) readAll(ctx context.Context, m *encrypt.Manifest, v meta.Version) error {
	src := c.e.newSource(ctx, &v, m, 0, m.Size)
	defer src.Close()
	n, err := io.Copy(io.Discard, src)
	if err == nil && n != m.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = c.readHeaders(ctx, &v, m)
	}
	if err != nil {
		if _, again := c.e.versionByID(ctx, v.Bucket, v.Key, v.ID); again != nil {
			return nil // removed while it was read
		}
	}
	return err
}

// readHeaders checks what reading passes over, because the manifest has it too:
// the header of each of an object's blobs.
func (c *check) readHeaders(ctx context.Context, v *meta.Version, m *encrypt.Manifest) error {
	next := c.e.newSource(ctx, v, m, 0, m.Size).next
	for {
		p, err := next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if at, err := c.readHeader(ctx, p.extent); err != nil {
			return c.e.damagedBlob(ctx, v, p.extent.Blob, at, err)
		}
	}
}

func (c *check) readHeader(ctx context.Context, x *encrypt.Extent) (*place, error) {
	opener, err := encrypt.NewOpener(x.Key, encrypt.BlobAAD(c.e.deployment, x.Blob), x.Seal, x.BlobSize)
	if err != nil {
		return nil, err
	}
	r, at, err := c.e.read(ctx, x.Blob, 0, encrypt.HeaderSize)
	if err != nil {
		return at, err
	}
	var h [encrypt.HeaderSize]byte
	_, err = io.ReadFull(r, h[:])
	if err := errors.Join(err, r.Close()); err != nil {
		return at, backendError(err)
	}
	return at, opener.CheckHeader(h[:])
}

func (c *check) readUploads(ctx context.Context) error {
	return c.e.scanUploads(ctx, func(u meta.UploadRef) error {
		if c.countedNow(u.ID) {
			c.countUpload(u)
		}
		if c.first {
			c.Uploads++
			if err := c.upload(ctx, u); err != nil {
				return err
			}
		}
		return c.e.scanParts(ctx, u.ID, func(p meta.Part) {
			if c.first {
				c.Parts++
			}
			size := int64(-1)
			if len(p.Blobs) == 1 {
				size = p.Size
			}
			for _, id := range p.Blobs {
				c.refer(id, size, Finding{Bucket: u.Bucket.String(), Key: u.Key, Upload: u.ID.String()})
			}
		})
	})
}
