package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
	"github.com/sanctum-storage/gateway/s3err"
)

// Kinds of damage.
const (
	// DamageBytes: a backend has, or sends, other bytes than were written, or fewer.
	DamageBytes = blobs.DamageBytes
	// DamageMissing: a backend does not have a blob that the ledger says is there.
	DamageMissing = blobs.DamageMissing
	// DamageCopy: a copy of a blob is not what it was made of.
	DamageCopy = blobs.DamageCopy
	// DamageRow: a row of the store is not what was sealed of it.
	DamageRow = "row"
)

// Damage is what was met of stored data that is not what was written. It is in the chain
// of the error that a request or step ends with, which is an InternalError: to try again
// does not help. Its text has no key, which no log may have.
type Damage struct {
	Kind     string
	Bucket   string      // name, as far as it is known; empty: of no bucket
	BucketID meta.ID     // zero: of no bucket
	Key      string      // empty: the object is not known, or it is none
	Version  meta.ID     // zero: as Key
	Blob     meta.BlobID // zero: it is a row
	Backend  string      // name; empty: the store
	cause    error
}

// Error describes the damage for a log.
func (d *Damage) Error() string {
	words := []string{"damage (" + d.Kind + ")"}
	if blob := d.BlobName(); blob != "" {
		words = append(words, "blob "+blob)
	}
	if d.Backend != "" {
		words = append(words, "at backend "+d.Backend)
	}
	if !d.BucketID.IsZero() {
		words = append(words, "of bucket "+d.BucketID.String())
	}
	if !d.Version.IsZero() {
		words = append(words, "version "+d.Version.String())
	}
	return strings.Join(words, " ") + ": " + d.cause.Error()
}

// BlobName is the name of the blob at the backend; empty: it is a row.
func (d *Damage) BlobName() string {
	if d.Blob == (meta.BlobID{}) {
		return ""
	}
	return backends.BlobID(d.Blob).String()
}

// Unwrap is what was seen.
func (d *Damage) Unwrap() error { return d.cause }

// errUnlike: a row and what was sealed of it disagree.
var errUnlike = errors.New("a row is not what was sealed of it")

// damagedText is all that a client learns. It does not ask to try again.
const damagedText = "The stored data is damaged, and the operator has been told. To send the request again does not help."

const (
	// repeatDamage is how long the same damage is not logged again; it is counted.
	repeatDamage = time.Minute
	// damageLookUp bounds the search for the name of the bucket.
	damageLookUp = time.Second
)

// OnDamage has f called whenever damage is met, by many at once.
func (e *Engine) OnDamage(f func(*Damage)) { e.onDamage.Store(&f) }

// damaged reports damage and returns it as the error that a client is told.
func (e *Engine) damaged(d *Damage) error {
	e.report(d)
	return &s3err.Error{Code: s3err.InternalError, Message: damagedText, Cause: d}
}

// report counts damage and logs it, once in a while for each place. A check of the whole
// store has a report of its own.
func (e *Engine) report(d *Damage) {
	if e.readOnly {
		return
	}
	if f := e.onDamage.Load(); f != nil {
		(*f)(d)
	}
	place := fmt.Sprintf("%s\x00%s\x00%x\x00%s\x00%x", d.Kind, d.Backend, d.Blob, d.BucketID, d.Version)
	if _, logged := e.loggedDamage.Get(place); logged {
		return
	}
	e.loggedDamage.Put(place, struct{}{})
	ctx, cancel := context.WithTimeout(context.Background(), damageLookUp)
	defer cancel()
	attrs := []slog.Attr{slog.String("kind", d.Kind)}
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	if !d.BucketID.IsZero() {
		if rows, err := e.store.BucketSettings(ctx, d.BucketID); d.Bucket == "" && err == nil {
			d.Bucket = rows.Bucket.Name
		}
		add("bucket", d.Bucket)
		add("bucket_id", d.BucketID.String())
	}
	if d.Key != "" {
		add("key_hash", e.KeyHash(d.BucketID, d.Key))
		add("version_id", d.Version.String())
	}
	add("blob", d.BlobName())
	add("backend", d.Backend)
	add("error", d.cause.Error())
	e.log.LogAttrs(ctx, slog.LevelError, "damage", attrs...)
}

// KeyHash is how logs name an object, whose key they must not have: whoever has the
// deployment's keys finds the object by it, and nobody guesses a key from it. It is the
// same on every gateway of the deployment.
func (e *Engine) KeyHash(bucket meta.ID, key string) string {
	h, made := e.nameHashes.Get().(hash.Hash)
	if !made {
		h = hmac.New(sha256.New, e.nameKey)
	}
	defer e.nameHashes.Put(h)
	h.Reset()
	h.Write(bucket[:])
	h.Write([]byte(key))
	var sum [sha256.Size]byte
	return hex.EncodeToString(h.Sum(sum[:0])[:keyHashBytes])
}

// keyHashBytes are enough to tell the keys of a bucket apart.
const keyHashBytes = 12

func isDamage(err error) bool {
	_, ok := errors.AsType[*Damage](err)
	return ok
}

// unlike reports whether an error says that a row is damaged or was edited.
func unlike(err error) bool {
	for _, e := range []error{records.ErrEdited, errUnlike, encrypt.ErrCorrupt, encrypt.ErrWrongKey} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// damagedRow is err, reported as damage if that is what it says of a version's rows.
func (e *Engine) damagedRow(v *meta.Version, err error) error {
	if err == nil || !unlike(err) || isDamage(err) {
		return err
	}
	return e.damaged(&Damage{Kind: DamageRow, BucketID: v.Bucket, Key: v.Key, Version: v.ID, cause: err})
}

// Notice reports an error that says that a row was edited, if nobody has: those of
// tenants, credentials and buckets end requests wherever they are met.
func (e *Engine) Notice(err error) {
	if IsUnreported(err) {
		e.report(&Damage{Kind: DamageRow, cause: err})
	}
}

// IsUnreported reports whether an error says that a row was edited, and none was reported
// for it.
func IsUnreported(err error) bool { return errors.Is(err, records.ErrEdited) && !isDamage(err) }

// damagedBlob is err, reported as damage if that is what it says of a version's blob.
// The ledger is asked whether one that is not there ought to be: a reader may be slower
// than the deletion of what it reads.
func (e *Engine) damagedBlob(ctx context.Context, v *meta.Version, blob meta.BlobID, at blobs.Place, err error) error {
	if err == nil || err == io.EOF || ctx.Err() != nil || isDamage(err) {
		return err
	}
	d := &Damage{BucketID: v.Bucket, Key: v.Key, Version: v.ID, Blob: blob, Backend: at.Name(), cause: err}
	switch {
	case errors.Is(err, encrypt.ErrCorrupt), errors.Is(err, backends.ErrCorrupt), errors.Is(err, io.ErrUnexpectedEOF):
		d.Kind = DamageBytes
	case errors.Is(err, backends.ErrNotFound) && e.isLive(ctx, blob):
		d.Kind = DamageMissing
		e.lose(v, blob)
	default:
		return at.Fail(err)
	}
	return e.damaged(d)
}

// damagedSettings reports that settings of a bucket are damaged, unless it is the keys that
// are not known.
func (e *Engine) damagedSettings(b meta.Bucket, why error) {
	if unlike(why) {
		e.report(&Damage{Kind: DamageRow, Bucket: b.Name, BucketID: b.ID, cause: why})
	}
}

func (e *Engine) isLive(ctx context.Context, blob meta.BlobID) bool {
	row, err := e.store.Blob(ctx, blob)
	return err == nil && row.State == meta.BlobLive
}

// damagedMove reports what a move of a blob met, and returns it as the error that the
// move ends with.
func (e *Engine) damagedMove(of blobs.Damage) error {
	d := &Damage{Kind: of.Kind, Blob: of.Blob, Backend: of.Backend, cause: of.Cause}
	if v := of.Of; v != nil {
		d.BucketID, d.Key, d.Version = v.Bucket, v.Key, v.ID
		if d.Kind == DamageMissing {
			e.lose(v, of.Blob)
		}
	}
	return e.damaged(d)
}
