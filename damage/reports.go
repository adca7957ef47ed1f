package damage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// clientText is all that a client learns. It does not ask to try again.
const clientText = "The stored data is damaged, and the operator has been told. To send the request again does not help."

const (
	// repeatAfter is how long the same damage is not logged again; it is counted.
	repeatAfter = time.Minute
	// lookUp bounds the search for the name of the bucket.
	lookUp = time.Second
)

// Config is what Reports work with.
type Config struct {
	Store interface {
		BucketSettings(ctx context.Context, id meta.ID) (meta.BucketSettings, error)
		Blob(ctx context.Context, id meta.BlobID) (meta.Blob, error)
	}
	Blobs    func() *blobs.Blobs // which are made after Reports
	NameKey  []byte              // of KeyHash
	Log      *slog.Logger
	ReadOnly bool // nothing is counted or logged: a check of the whole store has a report of its own
}

// Reports of the damage that a gateway meets. They serve any number of goroutines at once.
type Reports struct {
	c      Config
	on     atomic.Pointer[func(*Damage)]
	hashes sync.Pool // of hash.Hash, keyed by NameKey
	remembered
}

// New returns the reports of a deployment.
// Nothing is read or logged yet.
func New(c Config) *Reports { return &Reports{c: c, remembered: newRemembered()} }

// OnDamage has f called whenever damage is met, by many at once.
func (r *Reports) OnDamage(f func(*Damage)) { r.on.Store(&f) }

// damaged reports damage and returns it as the error that a client is told.
func (r *Reports) damaged(d *Damage) error {
	r.report(d)
	return &s3err.Error{Code: s3err.InternalError, Message: clientText, Cause: d}
}

// report counts damage and logs it, once in a while for each place. A check of the whole
// store has a report of its own.
// The context is its own: the request may have ended, and the damage is logged all the same.
func (r *Reports) report(d *Damage) {
	if r.c.ReadOnly {
		return
	}
	if f := r.on.Load(); f != nil {
		(*f)(d)
	}
	place := fmt.Sprintf("%s\x00%s\x00%x\x00%s\x00%x", d.Kind, d.Backend, d.Blob, d.BucketID, d.Version)
	if _, logged := r.logged.Get(place); logged {
		return
	}
	r.logged.Put(place, struct{}{})
	ctx, cancel := context.WithTimeout(context.Background(), lookUp)
	defer cancel()
	attrs := []slog.Attr{slog.String("kind", d.Kind)}
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	if !d.BucketID.IsZero() {
		if rows, err := r.c.Store.BucketSettings(ctx, d.BucketID); d.Bucket == "" && err == nil {
			d.Bucket = rows.Bucket.Name
		}
		add("bucket", d.Bucket)
		add("bucket_id", d.BucketID.String())
	}
	if d.Key != "" {
		add("key_hash", r.KeyHash(d.BucketID, d.Key))
		add("version_id", d.Version.String())
	}
	add("blob", d.BlobName())
	add("backend", d.Backend)
	add("error", d.cause.Error())
	r.c.Log.LogAttrs(ctx, slog.LevelError, "damage", attrs...)
}

func isDamage(err error) bool {
	_, ok := errors.AsType[*Damage](err)
	return ok
}

// Unlike reports whether an error says that a row is damaged or was edited.
// A wrong key is among them, because a row that was moved to another name does not open.
func Unlike(err error) bool {
	for _, e := range []error{records.ErrEdited, ErrUnlike, encrypt.ErrCorrupt, encrypt.ErrWrongKey} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Row is err, reported as damage if that is what it says of a version's rows.
// An error that was reported already is returned as it is, so that damage counts once.
func (r *Reports) Row(v *meta.Version, err error) error {
	if err == nil || !Unlike(err) || isDamage(err) {
		return err
	}
	return r.damaged(&Damage{Kind: Row, BucketID: v.Bucket, Key: v.Key, Version: v.ID, cause: err})
}

// Notice reports an error that says that a row was edited, if nobody has: those of
// tenants, credentials and buckets end requests wherever they are met.
func (r *Reports) Notice(err error) {
	if IsUnreported(err) {
		r.report(&Damage{Kind: Row, cause: err})
	}
}

// IsUnreported reports whether an error says that a row was edited, and none was reported
// for it.
func IsUnreported(err error) bool { return errors.Is(err, records.ErrEdited) && !isDamage(err) }

// Blob is err, reported as damage if that is what it says of a version's blob.
// The ledger is asked whether one that is not there ought to be: a reader may be slower
// than the deletion of what it reads.
// io.EOF is the end of the bytes and no damage. After ctx has ended, errors say nothing of the
// backend.
func (r *Reports) Blob(ctx context.Context, v *meta.Version, blob meta.BlobID, at blobs.Place, err error) error {
	if err == nil || err == io.EOF || ctx.Err() != nil || isDamage(err) {
		return err
	}
	d := &Damage{BucketID: v.Bucket, Key: v.Key, Version: v.ID, Blob: blob, Backend: at.Name(), cause: err}
	switch {
	case errors.Is(err, encrypt.ErrCorrupt), errors.Is(err, backends.ErrCorrupt), errors.Is(err, io.ErrUnexpectedEOF):
		d.Kind = Bytes
	case errors.Is(err, backends.ErrNotFound) && r.isLive(ctx, blob):
		d.Kind = Missing
		r.lose(v, blob)
	default:
		return at.Fail(err)
	}
	return r.damaged(d)
}

// Settings reports that settings of a bucket are damaged, unless it is the keys that
// are not known.
func (r *Reports) Settings(b meta.Bucket, why error) {
	if Unlike(why) {
		r.report(&Damage{Kind: Row, Bucket: b.Name, BucketID: b.ID, cause: why})
	}
}

func (r *Reports) isLive(ctx context.Context, blob meta.BlobID) bool {
	row, err := r.c.Store.Blob(ctx, blob)
	return err == nil && row.State == meta.BlobLive
}

// Move reports what a move of a blob met, and returns it as the error that the
// move ends with.
func (r *Reports) Move(of blobs.Damage) error {
	d := &Damage{Kind: of.Kind, Blob: of.Blob, Backend: of.Backend, cause: of.Cause}
	if v := of.Of; v != nil {
		d.BucketID, d.Key, d.Version = v.Bucket, v.Key, v.ID
		if d.Kind == Missing {
			r.lose(v, of.Blob)
		}
	}
	return r.damaged(d)
}
