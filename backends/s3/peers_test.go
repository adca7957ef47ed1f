//go:build linux && peers

package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/backendtest"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// MinIO, which takes minutes to build.
func TestMinIO(t *testing.T) {
	cert, err := servers.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*servers.Certificate{"http": nil, "https": &cert} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			s, err := servers.StartMinIO(t.Context(), data, filepath.Join(t.TempDir(), "log"), c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Kill)
			if err := s.MakeBucket(t.Context(), bucket); err != nil {
				t.Fatal(err)
			}
			testMinIO(t, s)
		})
	}
}

func testMinIO(t *testing.T, s *servers.S3Server) {
	o := optionsFor(s)
	o.Dialect = DialectAuto
	got, want := mustOpen(t, o, nil).Dialect(), dialectNamed("minio")
	if got.Conditional != want.Conditional || got.CRC32C != want.CRC32C || got.BulkDelete != want.BulkDelete ||
		got.MD5ETag != want.MD5ETag || got.Trailers != (want.Trailers && s.CAFile != "") {
		t.Errorf("probed %+v, the table says %+v", got, want)
	}
	o.Dialect, o.SingleLimit, o.PartSize = "minio", 6<<20, 5<<20
	b := mustOpen(t, o, nil)
	for _, size := range []int64{12 << 20, -1} {
		id, data := backends.NewBlobID(), random(12<<20)
		for _, want := range []error{nil, backends.ErrExists} {
			if err := b.Put(t.Context(), id, bytes.NewReader(data), size); !errors.Is(err, want) {
				t.Errorf("Put in parts of size %d: %v, want %v", size, err, want)
			}
		}
		wantBody(t, b, id, data)
	}
	wantNoUploads(t, b)
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		o := optionsFor(s)
		o.Dialect = "minio"
		b := mustOpen(t, o, nil)
		if strings.HasSuffix(t.Name(), "/InvisibleUntilDone") {
			return gathering{b}
		}
		return b
	})
}

// MinIO locks a key from the first byte of a conditional PUT to its end, and a
// GET of the key waits for that, up to half a minute. A test that reads a blob
// from within the body of its Put would wait for itself; nothing in the gateway
// does that, since nobody knows of a blob before it is written. A gathering
// backend reads the body before the PUT begins.
type gathering struct{ *Backend }

func (g gathering) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return g.Backend.Put(ctx, id, bytes.NewReader(data), size)
}
