package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	blobfs "github.com/sanctum-storage/gateway/backends/fs"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
)

// paddedWorld is a gateway over a folder, with one bucket that pads and one that does not.
type paddedWorld struct {
	*gatewaytest.Gateway
	t *testing.T
}

func newPaddedWorld(t *testing.T) *paddedWorld {
	t.Helper()
	folder, err := blobfs.Open(filepath.Join(t.TempDir(), "blobs"), blobfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	w := &paddedWorld{gatewaytest.Start(t, gatewaytest.Options{Grace: -1, Backend: folder}), t}
	w.Must(t, 200, "PUT", "/plain", nil)
	w.Must(t, 200, "PUT", "/padded", nil)
	w.pad("padded", buckets.PaddingPadme)
	return w
}

func (w *paddedWorld) pad(bucket string, p buckets.Padding) {
	w.t.Helper()
	if err := w.Engine.Buckets().SetPadding(w.t.Context(), w.bucket(bucket), p); err != nil {
		w.t.Fatal(err)
	}
}

func (w *paddedWorld) bucket(name string) meta.Bucket {
	w.t.Helper()
	b, err := w.Engine.Buckets().Get(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// lengths are those of the blobs in the folder; markers have none.
func (w *paddedWorld) lengths() map[backends.BlobID]int64 {
	w.t.Helper()
	all := map[backends.BlobID]int64{}
	for info, err := range w.Backend.List(w.t.Context(), backends.BlobID{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if info.Size > 0 {
			all[info.ID] = info.Size
		}
	}
	return all
}

// made are the lengths of the blobs that do adds.
func (w *paddedWorld) made(do func()) (lengths []int64) {
	w.t.Helper()
	before := w.lengths()
	do()
	for id, n := range w.lengths() {
		if _, ok := before[id]; !ok {
			lengths = append(lengths, n)
		}
	}
	return lengths
}

// wantObject demands what a client sees of an object of these bytes.
func (w *paddedWorld) wantObject(target string, body []byte) {
	w.t.Helper()
	size := fmt.Sprint(len(body))
	if got := w.Must(w.t, 200, "GET", target, nil); !bytes.Equal(got.Body, body) {
		w.t.Errorf("GET %s: %d bytes, not the %d that were sent", target, len(got.Body), len(body))
	}
	expectHeaders(w.t, target, w.Must(w.t, 200, "HEAD", target, nil), "Content-Length", size)
	for _, r := range [][2]int{{0, 0}, {4095, 4096}, {65535, 65536}, {len(body) - 2, len(body) - 1}, {len(body) - 1, len(body) + 100_000}} {
		first, last := r[0], min(r[1], len(body)-1)
		if first < 0 || first > last {
			continue
		}
		got := w.Must(w.t, 206, "GET", target, nil, "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
		expectHeaders(w.t, target, got, "Content-Range", fmt.Sprintf("bytes %d-%d/%s", first, last, size))
		if !bytes.Equal(got.Body, body[first:last+1]) {
			w.t.Errorf("GET %s, bytes %d to %d: other bytes", target, first, last)
		}
	}
	if res := w.Do(w.t, w.Root, "GET", target, nil, "Range", "bytes="+size+"-"); res.Status != http.StatusRequestedRangeNotSatisfiable {
		w.t.Errorf("GET %s behind the end: %d, %d bytes", target, res.Status, len(res.Body))
	}
}

// wantSound demands that the deep check finds nothing.
func (w *paddedWorld) wantSound() {
	w.t.Helper()
	report, err := fsck.Run(w.t.Context(), w.Engine, fsck.Options{Deep: true})
	if err != nil || !report.Clean() {
		w.t.Errorf("fsck: %+v, %v", report.Findings, err)
	}
}

// paddedRoads are ways to write an object, with what has to be there before, and whether they may
// share the blob of that.
var paddedRoads = map[string]struct {
	before func(w *paddedWorld, body []byte)
	write  func(w *paddedWorld, key string, body []byte)
	shares bool
}{
	"PUT": {nil, func(w *paddedWorld, key string, body []byte) { w.Must(w.t, 200, "PUT", "/padded/"+key, body) }, false},
	"chunks": {nil, func(w *paddedWorld, key string, body []byte) {
		expect(w.t, key, sendChunked(w.t, w.Gateway, sigv4.StreamingSigned, "/padded/"+key, body, nil), 200, "")
	}, false},
	"form": {nil, func(w *paddedWorld, key string, body []byte) {
		form := good(w.Gateway, body, "key", key)
		form.bucket = "padded"
		expect(w.t, key, form.post(w.t, w.Gateway, "/padded"), 204, "")
	}, false},
	"part": {nil, func(w *paddedWorld, key string, body []byte) {
		id := newUpload(w.t, w.Gateway, "/padded/"+key)
		w.complete(key, id, sendPart(w.t, w.Gateway, "/padded/"+key, id, 1, body))
	}, false},
	"part that is copied": {wholeSource, func(w *paddedWorld, key string, _ []byte) { w.copyPart(key) }, true},
	"part of a range": {
		func(w *paddedWorld, body []byte) {
			w.Must(w.t, 200, "PUT", "/plain/source", slices.Concat([]byte("before"), body, []byte("behind")))
		},
		func(w *paddedWorld, key string, body []byte) {
			w.copyPart(key, "x-amz-copy-source-range", fmt.Sprintf("bytes=6-%d", 5+len(body)))
		},
		false,
	},
	"copy": {wholeSource, func(w *paddedWorld, key string, _ []byte) {
		w.Must(w.t, 200, "PUT", "/padded/"+key, nil, "x-amz-copy-source", "/plain/source")
	}, true},
	"copy of parts": {
		func(w *paddedWorld, body []byte) {
			id := newUpload(w.t, w.Gateway, "/plain/source")
			etag := sendPart(w.t, w.Gateway, "/plain/source", id, 1, body)
			w.Must(w.t, 200, "POST", "/plain/source?uploadId="+id, completeDocument(part(1, etag)))
		},
		func(w *paddedWorld, key string, _ []byte) {
			w.Must(w.t, 200, "PUT", "/padded/"+key, nil, "x-amz-copy-source", "/plain/source")
		},
		true,
	},
}

func wholeSource(w *paddedWorld, body []byte) { w.Must(w.t, 200, "PUT", "/plain/source", body) }

func (w *paddedWorld) copyPart(key string, headers ...string) {
	w.t.Helper()
	id := newUpload(w.t, w.Gateway, "/padded/"+key)
	res := w.Must(w.t, 200, "PUT", "/padded/"+key+"?partNumber=1&uploadId="+id, nil, append(headers, "x-amz-copy-source", "/plain/source")...)
	w.complete(key, id, res.Element("ETag"))
}

func (w *paddedWorld) complete(key, id, etag string) {
	w.t.Helper()
	w.Must(w.t, 200, "POST", "/padded/"+key+"?uploadId="+id, completeDocument(part(1, etag)))
}
