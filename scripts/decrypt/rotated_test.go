package decrypt_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/rotate"
)

// rotate gives a bucket a new generation of its keys. With whole, everything comes under it,
// and the former one is destroyed.
func (d *data) rotate(name string, whole bool) {
	d.t.Helper()
	ctx, now := d.t.Context(), time.Now()
	b, err := d.e.Buckets().Get(ctx, name)
	d.must(err)
	_, err = rotate.Bucket(ctx, d.e, b, now)
	d.must(err)
	if !whole {
		d.must(rotate.Stop(ctx, d.e, now))
		return
	}
	steps := rotate.New(rotate.Config{Engine: d.e})
	for state := jobs.Running; state == jobs.Running; {
		r, err := steps.Step(ctx)
		d.must(err)
		state = r.State
	}
	d.must(rotate.Destroy(ctx, d.e, b, b.Generation))
}

// Objects of every generation of a bucket's keys open, also where the first one is gone.
func TestRotatedBuckets(t *testing.T) {
	d := start(t, "")
	rotated, between := d.bucket("rotated"), d.bucket("between")
	for _, b := range []meta.Bucket{rotated, between} {
		d.put(b, "old", pattern(100))
		d.multipart(b, "old parts", []int{1, 2}, [][]byte{pattern(minPart), pattern(10)})
	}
	d.rotate("between", false)
	d.put(between, "new", pattern(101))
	d.rotate("rotated", true)
	d.put(rotated, "new", pattern(102))
	d.close()
	for name, plain := range d.bodies {
		bucket, key, _ := strings.Cut(name, "/")
		if got := d.works(nil, "get", bucket, key); !bytes.Equal(got, plain) {
			t.Errorf("get %q: %d bytes that differ from %d", name, len(got), len(plain))
		}
	}
}
