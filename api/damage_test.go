package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// damageRig is a gateway over a backend that can be made to lie.
type damageRig struct {
	*gatewaytest.Gateway
	t    *testing.T
	evil *faults.Evil
	log  *lines
	mu   sync.Mutex
	met  []*damage.Damage
	seen []api.Observation
}

// damagedKey is so long that it appears in no log by chance.
const damagedKey = "a-key-that-no-log-may-have/größe"

const damagedPath = "/bkt/a-key-that-no-log-may-have/gr%C3%B6%C3%9Fe"

func newDamageRig(t *testing.T) *damageRig {
	t.Helper()
	d := &damageRig{t: t, evil: faults.NewEvil(mem.New(), 1), log: &lines{}}
	d.Gateway = gatewaytest.Start(t, gatewaytest.Options{
		Backend: d.evil, Log: slog.New(slog.NewJSONHandler(d.log, nil)),
		Observe: func(o api.Observation) { d.mu.Lock(); defer d.mu.Unlock(); d.seen = append(d.seen, o) },
	})
	d.Engine.Damage().OnDamage(func(found *damage.Damage) { d.mu.Lock(); defer d.mu.Unlock(); d.met = append(d.met, found) })
	d.Must(t, 200, "PUT", "/bkt", nil)
	return d
}

// take returns the damage and the observations since the last call.
func (d *damageRig) take() (met []*damage.Damage, seen []api.Observation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	met, seen, d.met, d.seen = d.met, d.seen, nil, nil
	return met, seen
}

// roads are the requests that read the bytes of an object.
var damageRoads = []struct {
	name, method, path string
	headers            []string
}{
	{"GET", "GET", damagedPath, nil},
	{"a range", "GET", damagedPath, []string{"Range", "bytes=10-299999"}},
	{"a copy with another checksum", "PUT", "/bkt/copy", []string{"X-Amz-Copy-Source", damagedPath, "X-Amz-Checksum-Algorithm", "SHA256"}},
}

// A backend sends false bytes of every kind, to every request that reads an
// object. The client gets an InternalError that does not ask to try again. The
// operator gets one line with everything but the key, from which the object can
// be found.
func TestDamageIsFound(t *testing.T) {
	body := bytesOf(300_000)
	for _, mode := range faults.ReadModes() {
		if mode == faults.Extend {
			continue // what follows a blob's end is never asked for
		}
		d := newDamageRig(t)
		d.Must(t, 200, "PUT", "/bkt/older", bytesOf(300_001)[:len(body)])
		d.Must(t, 200, "PUT", damagedPath, body)
		version, blob := d.version(damagedKey)
		upload := newUpload(t, d.Gateway, "/bkt/parts")
		roads := append(slices.Clone(damageRoads), damageRoads[0])
		roads[len(roads)-1].name, roads[len(roads)-1].method = "a part's copy", "PUT"
		roads[len(roads)-1].path, roads[len(roads)-1].headers = "/bkt/parts?partNumber=1&uploadId="+upload, []string{"X-Amz-Copy-Source", damagedPath,
			"X-Amz-Copy-Source-Range", "bytes=1-299999"}
		for _, road := range roads {
			what := fmt.Sprintf("%v, %s", mode, road.name)
			at := int64(faults.HeaderLen + faults.SegmentLen + 100)
			d.evil.Set(mode, at)
			d.take()
			before := d.evil.Tampered()
			res := d.Do(t, d.Root, road.method, road.path, nil, road.headers...)
			d.evil.Set(faults.Honest, -1)
			d.settle()
			met, seen := d.take()
			if d.evil.Tampered() == before {
				t.Fatalf("%s: nothing was changed", what)
			}
			if res.Status != 500 || res.Code() != "InternalError" || res.Header.Get("Retry-After") != "" ||
				strings.Contains(string(res.Body), "ry again") || strings.Contains(string(res.Body), "blob") {
				t.Errorf("%s: %d %s, Retry-After %q", what, res.Status, res.Body, res.Header.Get("Retry-After"))
			}
			if len(met) != 1 || met[0].Kind != damage.Bytes || met[0].Key != damagedKey || met[0].Version != version.ID ||
				met[0].BucketID != version.Bucket || met[0].Blob != blob || met[0].Backend != gatewaytest.BackendName {
				t.Errorf("%s: %+v", what, met)
			}
			if len(seen) != 1 || seen[0].Status != 500 || seen[0].Cut {
				t.Errorf("%s: observed as %+v", what, seen)
			}
		}
		d.wantLine(version, blob, damage.Bytes)
	}
}

// An answer that was cut is not logged or counted as 200.
func TestDamageCutsAnswer(t *testing.T) {
	d := newDamageRig(t)
	d.Must(t, 200, "PUT", damagedPath, bytesOf(4<<20))
	version, blob := d.version(damagedKey)
	d.take()
	d.evil.Set(faults.FlipByte, 3<<20)
	r := d.Request(t, "GET", damagedPath, nil)
	d.Sign(t, r, d.Root, nil)
	res, err := d.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	n, err := res.Body.Read(make([]byte, 1)) // it began well
	for err == nil {
		var m int
		m, err = res.Body.Read(make([]byte, 1<<20))
		n += m
	}
	res.Body.Close()
	d.settle()
	met, seen := d.take()
	if res.StatusCode != 200 || n >= 3<<20 || len(met) != 1 {
		t.Fatalf("%d with %d bytes, %+v", res.StatusCode, n, met)
	}
	if o := seen[0]; o.Status != 500 || !o.Cut || o.Code != "InternalError" || o.BytesOut == 0 {
		t.Errorf("observed as %+v", o)
	}
	d.wantLine(version, blob, damage.Bytes)
	if line := d.line("request", "s3:GetObject"); line["status"] != 500.0 || line["cut"] != true || line["level"] != "ERROR" || line["damage"] != "bytes" {
		t.Errorf("logged as %v", line)
	}
}

// A blob that is gone counts as missing, unless its object was deleted under
// the reader.
func TestDamageMissing(t *testing.T) {
	d := newDamageRig(t)
	d.Must(t, 200, "PUT", damagedPath, bytesOf(70_000))
	version, blob := d.version(damagedKey)
	if err := d.Backend.Delete(t.Context(), backends.BlobID(blob)); err != nil {
		t.Fatal(err)
	}
	d.take()
	expect(t, "missing", d.Do(t, d.Root, "GET", damagedPath, nil), 500, "InternalError")
	d.settle()
	if met, _ := d.take(); len(met) != 1 || met[0].Kind != damage.Missing {
		t.Errorf("%+v", met)
	}
	d.wantLine(version, blob, damage.Missing)
}

// No request copies a body that is known to be missing, until it is back. HEAD
// and listings work, because the store has the object.
func TestMissingIsNotCopied(t *testing.T) {
	d := newDamageRig(t)
	d.Must(t, 200, "PUT", "/other", nil)
	d.Must(t, 200, "PUT", damagedPath, bytesOf(70_000))
	parts := newUpload(t, d.Gateway, "/bkt/in-parts")
	res := d.Must(t, 200, "PUT", "/bkt/in-parts?partNumber=1&uploadId="+parts, bytesOf(70_000))
	d.Must(t, 200, "POST", "/bkt/in-parts?uploadId="+parts,
		[]byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+res.Header.Get("ETag")+"</ETag></Part></CompleteMultipartUpload>"))
	target := "/other/parts?partNumber=1&uploadId=" + newUpload(t, d.Gateway, "/other/parts")
	for _, source := range []string{damagedPath, "/bkt/in-parts"} {
		roads := map[string]func() gatewaytest.Response{
			"beside": func() gatewaytest.Response {
				return d.Do(t, d.Root, "PUT", "/bkt/copy", nil, "X-Amz-Copy-Source", source)
			},
			"onto itself": func() gatewaytest.Response {
				return d.Do(t, d.Root, "PUT", source, nil, "X-Amz-Copy-Source", source, "X-Amz-Metadata-Directive", "REPLACE")
			},
			"elsewhere": func() gatewaytest.Response {
				return d.Do(t, d.Root, "PUT", "/other/copy", nil, "X-Amz-Copy-Source", source)
			},
			"as a part": func() gatewaytest.Response {
				return d.Do(t, d.Root, "PUT", target, nil, "X-Amz-Copy-Source", source)
			},
		}
		var stored []backends.BlobID
		var bytes []string
		for b, err := range d.Backend.List(t.Context(), backends.BlobID{}) {
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, b.ID)
			bytes = append(bytes, d.blob(b.ID))
		}
		for _, id := range stored {
			if err := d.Backend.Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, "known", d.Do(t, d.Root, "GET", source, nil), 500, "InternalError")
		for name, copied := range roads {
			expect(t, source+" "+name, copied(), 500, "InternalError")
		}
		d.Must(t, 200, "HEAD", source, nil)
		for i, id := range stored {
			if err := d.Backend.Put(t.Context(), id, strings.NewReader(bytes[i]), int64(len(bytes[i]))); err != nil {
				t.Fatal(err)
			}
		}
		for name, copied := range roads {
			if res := copied(); res.Status != 200 {
				t.Errorf("%s, %s, after it came back: %d %s", source, name, res.Status, res.Body)
			}
		}
	}
}

// blob is what the backend has under an id.
func (d *damageRig) blob(id backends.BlobID) string {
	d.t.Helper()
	r, err := d.Backend.Get(d.t.Context(), id, 0, -1)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// An edited row is damage of the store, and is reported the same way for every
// kind of request.
func TestDamageOfRows(t *testing.T) {
	for column, edit := range map[string]string{
		"size": "size = size + 1", "record": "list_record = zeroblob(60)", "manifest": "manifest = zeroblob(200)", "key": "wrapped_key = zeroblob(60)",
	} {
		d := newDamageRig(t)
		d.Must(t, 200, "PUT", damagedPath, bytesOf(70_000))
		version, _ := d.version(damagedKey)
		d.EditStore(t, "UPDATE objects SET "+edit)
		for _, road := range []struct{ method, path string }{{"GET", damagedPath}, {"HEAD", damagedPath}, {"PUT", "/bkt/copy"},
			{"GET", damagedPath + "?tagging"}, {"GET", "/bkt?list-type=2"}} {
			d.take()
			var headers []string
			if road.method == "PUT" {
				headers = []string{"X-Amz-Copy-Source", damagedPath}
			}
			res := d.Do(t, d.Root, road.method, road.path, nil, headers...)
			d.settle()
			met, _ := d.take()
			shown := column == "manifest" || column == "key" // lists and tags read neither of these
			if res.Status == 200 && shown && strings.Contains(road.path, "?") {
				continue
			}
			if res.Status != 500 || len(met) == 0 || met[0].Kind != damage.Row || met[0].Key != damagedKey ||
				met[0].Version != version.ID || met[0].Backend != "" {
				t.Errorf("%s, %s %s: %d, %+v", column, road.method, road.path, res.Status, met)
			}
		}
		d.wantLine(version, meta.BlobID{}, damage.Row)
	}
}

// settle waits until the last request was observed.
func (d *damageRig) settle() {
	d.t.Helper()
	for {
		d.mu.Lock()
		n := len(d.seen)
		d.mu.Unlock()
		if n > 0 {
			return
		}
	}
}

// version is the row of a key and its blob, if it has one.
func (d *damageRig) version(key string) (meta.Version, meta.BlobID) {
	d.t.Helper()
	b, err := d.Engine.Buckets().Get(d.t.Context(), "bkt")
	if err != nil {
		d.t.Fatal(err)
	}
	v, err := d.Store.Version(d.t.Context(), b.ID, key, meta.VersionRef{})
	if err != nil {
		d.t.Fatal(err)
	}
	return v, v.Body.Blob
}

// line is the last of a message and, if not empty, an action.
func (d *damageRig) line(msg, action string) (last map[string]any) {
	d.t.Helper()
	for text := range strings.Lines(d.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			d.t.Fatal(err)
		}
		if line["msg"] == msg && (action == "" || line["action"] == action) {
			last = line
		}
	}
	return last
}

// wantLine demands exactly one line about the damage, without a key, from which
// the object can be found.
func (d *damageRig) wantLine(v meta.Version, blob meta.BlobID, kind string) {
	t := d.t
	t.Helper()
	if n := strings.Count(d.log.String(), `"msg":"damage"`); n != 1 || strings.Contains(d.log.String(), "no-log-may-have") {
		t.Errorf("%d lines about damage in\n%s", n, d.log.String())
	}
	line := d.line("damage", "")
	if line["level"] != "ERROR" || line["kind"] != kind || line["bucket"] != "bkt" || line["bucket_id"] != v.Bucket.String() ||
		line["version_id"] != v.ID.String() || line["error"] == "" {
		t.Errorf("%v", line)
	}
	if blob != (meta.BlobID{}) && (line["blob"] != backends.BlobID(blob).String() || line["backend"] != gatewaytest.BackendName) {
		t.Errorf("%v", line)
	}
	sought := map[string]fsck.Sought{
		"key_hash":   {Bucket: "bkt", KeyHash: fmt.Sprint(line["key_hash"])},
		"version_id": {Version: fmt.Sprint(line["version_id"])},
		"key":        {Bucket: "bkt", Key: damagedKey},
	}
	if blob != (meta.BlobID{}) {
		sought["blob"] = fsck.Sought{Blob: fmt.Sprint(line["blob"])}
	}
	for by, s := range sought {
		var found []fsck.FoundObject
		err := fsck.Find(context.Background(), d.Engine, s, func(o fsck.FoundObject) error { found = append(found, o); return nil })
		i := slices.IndexFunc(found, func(o fsck.FoundObject) bool {
			return o.Bucket == "bkt" && o.Key == damagedKey && o.ID == v.ID.String() && o.KeyHash == line["key_hash"]
		})
		if err != nil || i < 0 || len(found) != 1 {
			t.Errorf("by %s: %+v, %v", by, found, err)
		}
	}
}
