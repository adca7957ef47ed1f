package engine_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

// putOpen stores what the reader yields, of which only the most is known.
func (r *rig) putOpen(key string, from io.Reader, most int) (engine.Object, error) {
	return r.e.PutObject(r.t.Context(), engine.PutObject{
		Bucket: r.b, Key: key, Owner: r.b.Owner,
		Body: engine.Body{Reader: from, Size: int64(most), Open: true, ChecksumAlgorithm: engine.CRC64NVME},
	})
}

// A body whose length is not known before its end is stored with the length and
// the digests that it has, whatever fills up its blob.
func TestOpenBodies(t *testing.T) {
	r := newRig(t)
	blobs := 0
	for i, n := range edges {
		data := body(uint64(i), n)
		sum := weakhash.MD5(data)
		for _, more := range []int{0, 1, 100, 65536, 70000} {
			key := fmt.Sprintf("%d of %d", n, n+more)
			for _, from := range []io.Reader{bytes.NewReader(data), iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(data)))} {
				o, err := r.putOpen(key, from, n+more)
				if err != nil || o.Size != int64(n) || o.ETag != hex.EncodeToString(sum[:]) {
					t.Fatalf("%s: %d bytes with ETag %s, %v", key, o.Size, o.ETag, err)
				}
				r.wantBody(key, data)
			}
			if n > 0 {
				blobs++
			}
		}
	}
	if got, err := r.get("3145745 of 3145845", &engine.Range{Suffix: 5}); err != nil || !bytes.Equal(got, body(14, 3145745)[3145740:]) {
		t.Errorf("the end: %x, %v", got, err)
	}
	r.wantClean(blobs)
}

// A body that was refused at its end, or does not end in time, leaves nothing behind.
func TestOpenBodiesRefused(t *testing.T) {
	r := newRig(t)
	refusal := s3err.AccessDenied
	for _, n := range edges {
		if _, err := r.putOpen("refused", &failingReader{data: body(1, n), err: refusal}, n+100); !errors.Is(err, refusal) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if _, err := r.putOpen("refused", bytes.NewReader(body(1, n+1)), n); !errors.Is(err, s3err.IncompleteBody) {
			t.Errorf("%d bytes and one more: %v", n, err)
		}
	}
	r.wantAbsent("refused")
	r.wantClean(0)
}
