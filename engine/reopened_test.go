package engine

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
)

// uploadEdits are edits of the row of a completed upload alone, after which nothing in it
// says that objects are made of its parts.
var uploadEdits = map[string]string{
	"dying long since":     "UPDATE uploads SET refs = 0, state = 3, since = 0",
	"dying as if aborted":  "UPDATE uploads SET refs = 0, state = 3, since = NULL, version_id = NULL, chosen = NULL",
	"open":                 "UPDATE uploads SET refs = 0, state = 1, since = 0, version_id = NULL",
	"open, of another key": "UPDATE uploads SET refs = 0, state = 1, since = 0, version_id = NULL, key = owner",
	"open, of no bucket":   "UPDATE uploads SET refs = 0, state = 1, since = 0, version_id = NULL, bucket_id = owner",
	"counted too low":      "UPDATE uploads SET refs = 1",
}

// renamings are the roads by which objects get other names than that of the upload of whose
// parts they are made, which is of the key "k". Each returns where such an object is.
var renamings = map[string]func(r *rowRig, off meta.Bucket) (meta.Bucket, string){
	"its own": func(r *rowRig, off meta.Bucket) (meta.Bucket, string) {
		r.copyOf(off, "k", off, "copy")
		return off, "k"
	},
	"renamed": func(r *rowRig, off meta.Bucket) (meta.Bucket, string) {
		r.copyOf(off, "k", off, "copy")
		r.ok(r.e.RenameObject(r.t.Context(), RenameObject{Bucket: off, Source: "k", Key: "elsewhere"}))
		return off, "elsewhere"
	},
	"an older version of a copy": func(r *rowRig, off meta.Bucket) (meta.Bucket, string) {
		r.copyOf(off, "k", r.b, "older")
		r.ok(r.e.RenameObject(r.t.Context(), RenameObject{Bucket: off, Source: "k", Key: "copy"}))
		return r.b, "older"
	},
}

func (r *rowRig) copyOf(from meta.Bucket, source string, to meta.Bucket, key string) {
	r.t.Helper()
	_, err := r.e.CopyObject(r.t.Context(), CopyObject{SourceBucket: from, SourceKey: source, Bucket: to, Key: key, Owner: to.Owner})
	r.ok(err)
}

// An edit of the row of a completed upload takes no part of an object away, whatever name
// the object has since, and whoever goes by the row.
func TestEditedUploadsKeepTheirParts(t *testing.T) {
	for edit, sql := range uploadEdits {
		for name, renamed := range renamings {
			t.Run(edit+", "+name, func(t *testing.T) {
				r := newRowRig(t)
				ctx, off := t.Context(), r.bucket("never-versioned")
				want := r.multipart(off, "k")
				b, key := renamed(r, off)
				var id meta.ID
				r.ok(r.db.QueryRow("SELECT id FROM uploads").Scan((*rawID)(&id)))
				restore := r.saved("uploads")
				r.edit(sql)
				part := UploadPart{Bucket: off, Key: "k", Upload: id, Number: 1, Body: Body{Reader: strings.NewReader("anew"), Size: 4}}
				if _, err := r.e.UploadPart(ctx, part); err == nil {
					t.Error("it takes a part")
				}
				_, err := r.e.DeleteObject(ctx, off, DeleteObject{Key: "copy", Owner: off.Owner})
				r.ok(err)
				for range 4 {
					_, _ = r.e.Blobs().Collect(ctx) // which tells of the edit, or not
				}
				restore()
				o, err := r.e.GetObject(ctx, GetObject{Bucket: b, Key: key})
				if err != nil {
					t.Fatal(err)
				}
				defer o.Close()
				if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, want) {
					t.Errorf("it has %d bytes, %v; want %d", len(got), err, len(want))
				}
			})
		}
	}
}

// Once the last object is gone that was made of the parts of an edited upload, they go.
func TestEditedUploadsGoWithTheirLastObject(t *testing.T) {
	r := newRowRig(t)
	off := r.bucket("never-versioned")
	r.multipart(off, "k")
	r.ok(r.e.RenameObject(t.Context(), RenameObject{Bucket: off, Source: "k", Key: "elsewhere"}))
	r.edit(uploadEdits["dying long since"])
	r.collectAll()
	_, err := r.e.DeleteObject(t.Context(), off, DeleteObject{Key: "elsewhere", Owner: off.Owner})
	r.ok(err)
	r.collectAll()
	if n := r.count("uploads") + r.count("parts") + r.count("blobs"); n > 0 {
		t.Errorf("%d rows are left", n)
	}
}

// rawID reads an id from a row.
type rawID meta.ID

func (id *rawID) Scan(src any) error {
	copy(id[:], src.([]byte))
	return nil
}
