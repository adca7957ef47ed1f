package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// surplus completes an upload of the parts 1 to 3 with the first and the last.
func (r *rowRig) surplus(key string, customer *CustomerKey) (Upload, []byte) {
	r.t.Helper()
	ctx := r.t.Context()
	create := CreateUpload{Bucket: r.b, Key: key, Owner: r.b.Owner}
	if customer != nil {
		create.Encryption, create.Customer = meta.EncryptionCustomer, customer
	}
	u, err := r.e.CreateUpload(ctx, create)
	r.ok(err)
	var whole []byte
	var parts []CompletedPart
	for n := 1; n <= 3; n++ {
		data := bytes.Repeat([]byte{byte(n)}, 100+(3-n)*MinPartSize)
		p, err := r.e.UploadPart(ctx, UploadPart{Bucket: r.b, Key: key, Upload: u.ID, Number: n, Customer: customer,
			Body: Body{Reader: bytes.NewReader(data), Size: int64(len(data))}})
		r.ok(err)
		if n != 2 {
			whole = append(whole, data...)
			parts = append(parts, CompletedPart{Number: n, ETag: p.ETag})
		}
	}
	_, err = r.e.CompleteUpload(ctx, CompleteUpload{Bucket: r.b, Key: key, Upload: u.ID, Parts: parts, Size: -1, Customer: customer})
	r.ok(err)
	return u, whole
}

// wantWhole fails unless the object can be read.
func (r *rowRig) wantWhole(key string, customer *CustomerKey, want []byte) {
	r.t.Helper()
	got, err := func() ([]byte, error) {
		o, err := r.e.GetObject(r.t.Context(), GetObject{Bucket: r.b, Key: key, Customer: customer})
		if err != nil {
			return nil, err
		}
		defer o.Close()
		return io.ReadAll(o)
	}()
	if err != nil || !bytes.Equal(got, want) {
		r.t.Errorf("%s is of %d bytes, %v; want %d", key, len(got), err, len(want))
	}
}

// parts counts the rows of an upload's parts.
func (r *rowRig) parts(u Upload) (n int) {
	r.t.Helper()
	r.ok(r.db.QueryRow("SELECT COUNT(*) FROM parts WHERE upload_id = ?", u.ID[:]).Scan(&n))
	return n
}

// collectTwice collects until what was condemned is deleted, and returns the errors of
// the first time. The second has none.
func (r *rowRig) collectTwice() error {
	r.t.Helper()
	_, err := r.e.Blobs().Collect(context.Background())
	_, again := r.e.Blobs().Collect(context.Background())
	r.ok(again)
	return err
}

// foundEdited reports whether fsck names an upload that was edited.
func (r *rowRig) foundEdited() bool {
	r.t.Helper()
	return slices.ContainsFunc(r.findings(), func(f Finding) bool { return f.Kind == "upload-edited" && f.Upload != "" })
}

// An edit of which parts a completed upload chose removes none, whatever it says, and
// is noticed. Uploads that were not edited are trimmed meanwhile.
func TestEditedChoiceTrimsNothing(t *testing.T) {
	for name, customer := range map[string]*CustomerKey{"plain": nil, "SSE-C": {1, 2, 3}} {
		for edit, chosen := range map[string][]byte{
			"fewer": {1, 1}, "others": {2, 2}, "all": {1, 3}, "none": nil, "damaged": {1}, "the same in another way": {1, 1, 3, 1, 4, 1},
		} {
			t.Run(name+" "+edit, func(t *testing.T) {
				r := newRowRig(t)
				u, whole := r.surplus("k", customer)
				r.edit("UPDATE uploads SET chosen = ? WHERE id = ?", chosen, u.ID[:])
				other, _ := r.surplus("other", nil)
				var noticed *damage.Damage
				r.e.Damage().OnDamage(func(d *damage.Damage) { noticed = d })
				if !r.foundEdited() {
					t.Error("fsck finds nothing before the collection")
				}
				if err := r.collectTwice(); !errors.Is(err, records.ErrEdited) || noticed == nil || noticed.Key != "k" {
					t.Errorf("the collection says %v and reports %v", err, noticed)
				}
				if r.parts(u) != 3 || r.parts(other) != 2 {
					t.Errorf("%d parts are left of the one that was edited and %d of the other", r.parts(u), r.parts(other))
				}
				r.wantWhole("k", customer, whole)
				if !r.foundEdited() {
					t.Error("fsck finds nothing after the collection")
				}
			})
		}
	}
}

// Surplus parts go, whoever has the key, and fsck finds nothing.
func TestSurplusPartsAreTrimmed(t *testing.T) {
	for name, customer := range map[string]*CustomerKey{"plain": nil, "SSE-C": {1, 2, 3}} {
		t.Run(name, func(t *testing.T) {
			r := newRowRig(t)
			u, whole := r.surplus("k", customer)
			r.ok(r.collectTwice())
			if n := r.parts(u); n != 2 {
				t.Errorf("%d parts are left", n)
			}
			r.wantWhole("k", customer, whole)
			if fs := r.findings(); len(fs) > 0 {
				t.Errorf("fsck: %+v", fs)
			}
		})
	}
}

// completedBefore has an upload's settings say nothing of its parts, as those that the
// release before left.
func (r *rowRig) completedBefore(u Upload) {
	r.t.Helper()
	row, err := r.e.store.Upload(r.t.Context(), u.ID)
	r.ok(err)
	open, err := r.e.openUpload(r.t.Context(), row)
	r.ok(err)
	if len(open.promised.Chosen) == 0 {
		r.t.Fatal("the settings do not say which parts were chosen")
	}
	open.promised.Chosen = nil
	settings, err := r.e.sealSettings(open, open.promised)
	r.ok(err)
	r.ok(r.e.store.ResealUpload(r.t.Context(), u.ID, row.Settings, settings))
}

// Of an upload that the release before completed the version's manifest says which parts
// it chose. Where it cannot be read, all parts stay and no other upload waits for it.
func TestTrimAfterUpgrade(t *testing.T) {
	key := &CustomerKey{1, 2, 3}
	for _, c := range []struct {
		name     string
		customer *CustomerKey
		edit     func(r *rowRig, u Upload)
		parts    int
		edited   bool
	}{
		{"as it was", nil, func(*rowRig, Upload) {}, 2, false},
		{"SSE-C", key, func(*rowRig, Upload) {}, 3, false},
		{"renamed", nil, func(r *rowRig, _ Upload) {
			r.edit("UPDATE objects SET key = ? WHERE key = ?", []byte("elsewhere"), []byte("k"))
		}, 3, false},
		{"edited", nil, func(r *rowRig, u Upload) {
			r.edit("UPDATE uploads SET chosen = ? WHERE id = ?", []byte{3, 1}, u.ID[:])
		}, 3, true},
		{"another version", nil, func(r *rowRig, u Upload) {
			o := r.put(r.b, "k", "of one blob", Marks{})
			r.edit("UPDATE uploads SET version_id = ? WHERE id = ?", o.ID[:], u.ID[:])
		}, 3, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRowRig(t)
			u, _ := r.surplus("k", c.customer)
			r.completedBefore(u)
			c.edit(r, u)
			if err := r.collectTwice(); errors.Is(err, records.ErrEdited) != c.edited || !c.edited && err != nil {
				t.Errorf("the collection says %v", err)
			}
			if n := r.parts(u); n != c.parts {
				t.Errorf("%d parts are left, want %d", n, c.parts)
			}
			if r.foundEdited() != c.edited {
				t.Errorf("fsck finds an edit: %t", !c.edited)
			}
		})
	}
}

// awayKeys does not unwrap the seeds of one bucket.
type awayKeys struct {
	encrypt.Provider
	bucket meta.ID // zero: unwraps all
}

func (k *awayKeys) Unwrap(ctx context.Context, c encrypt.Context, wrapped []byte) ([]byte, error) {
	if !k.bucket.IsZero() && c.ID == k.bucket {
		return nil, errors.New("the key provider is away")
	}
	return k.Provider.Unwrap(ctx, c, wrapped)
}

// Uploads whose choice cannot be known now keep their parts until it can be, and more of
// them than one pass looks at do not hold up another, whatever an edit says of their age.
func TestTrimGoesOnWhileKeysAreAway(t *testing.T) {
	for name, since := range map[string]string{"as it was": "created", "all of one age": "7", "of the future": "created + 1000000000000"} {
		t.Run(name, func(t *testing.T) { trimWhileKeysAreAway(t, since) })
	}
}

func trimWhileKeysAreAway(t *testing.T, since string) {
	r := newRowRig(t)
	keys := &awayKeys{Provider: r.e.provider}
	r.e.buckets.Provider = keys
	elsewhere := r.bucket("elsewhere")
	chosen := func(b meta.Bucket, key string) Upload {
		t.Helper()
		u, err := r.e.CreateUpload(t.Context(), CreateUpload{Bucket: b, Key: key, Owner: b.Owner})
		r.ok(err)
		var parts []CompletedPart
		for n := 1; n <= 2; n++ {
			p, err := r.e.UploadPart(t.Context(), UploadPart{Bucket: b, Key: key, Upload: u.ID, Number: n, Body: Body{Reader: strings.NewReader("a part"), Size: 6}})
			r.ok(err)
			parts = append(parts, CompletedPart{Number: n, ETag: p.ETag})
		}
		_, err = r.e.CompleteUpload(t.Context(), CompleteUpload{Bucket: b, Key: key, Upload: u.ID, Parts: parts[1:], Size: -1})
		r.ok(err)
		return u
	}
	var stuck []Upload
	for i := range trimUploads + 1 {
		stuck = append(stuck, chosen(r.b, fmt.Sprint("stuck ", i)))
	}
	r.edit("UPDATE uploads SET since = " + since)
	free := chosen(elsewhere, "free")
	r.edit("UPDATE uploads SET since = "+since+" WHERE id = ?", free.ID[:])
	keys.bucket = r.b.ID
	r.e.buckets = buckets.New(r.e.buckets.Config) // which remembers no keys
	for range 3 {
		if _, err := r.e.Blobs().Collect(t.Context()); err == nil || errors.Is(err, records.ErrEdited) {
			t.Errorf("the collection says %v", err)
		}
	}
	if r.parts(stuck[0]) != 2 || r.parts(free) != 1 {
		t.Errorf("%d parts are left of the first that cannot be opened and %d of one that can", r.parts(stuck[0]), r.parts(free))
	}
	keys.bucket = meta.ID{}
	for range 3 {
		_, err := r.e.Blobs().Collect(t.Context())
		r.ok(err)
	}
	for _, u := range stuck {
		if n := r.parts(u); n != 1 {
			t.Fatalf("%d parts are left when all can be opened", n)
		}
	}
}
