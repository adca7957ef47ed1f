package suites

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"github.com/go-kit/log"
	"github.com/thanos-io/objstore"
	"github.com/thanos-io/objstore/providers/s3"
)

// TestObjstore is the acceptance test of the library by which Thanos, Cortex and
// Mimir keep their blocks, for each way it may be told to use S3.
func TestObjstore(t *testing.T) {
	for name, set := range map[string]func(*s3.Config){
		"default": func(*s3.Config) {},
		"other": func(c *s3.Config) {
			c.ListObjectsVersion, c.DisableMultipart, c.SendContentMd5, c.SSEConfig.Type = "v1", true, false, s3.SSES3
		},
	} {
		t.Run(name, func(t *testing.T) { testObjstore(t, name, set) })
	}
}

func testObjstore(t *testing.T, name string, set func(*s3.Config)) {
	g := fromEnvironment()
	c := s3.DefaultConfig
	c.Bucket, c.Endpoint, c.Region = g.newBucket(t, "-"+name), g.address(), g.region
	c.AccessKey, c.SecretKey, c.Insecure, c.MaxRetries = g.accessKey, g.secretKey, true, 1
	set(&c)
	var b objstore.Bucket
	b, err := s3.NewBucketWithConfig(log.NewNopLogger(), c, "suites", nil)
	if err != nil {
		t.Fatal(err)
	}
	if name == "default" {
		b = objstore.NewPrefixedBucket(b, "of a/prefix")
	}
	objstore.AcceptanceTest(t, b)
	sameBlock(t, b)
	objstore.EmptyBucket(t, t.Context(), b)
}

// sameBlock stores what takes several parts and reads it back, which the
// acceptance test does not.
func sameBlock(t *testing.T, b objstore.Bucket) {
	t.Helper()
	block := make([]byte, s3.DefaultConfig.PartSize+1<<20)
	rand.Read(block)
	const name = "01J0/chunks/000001"
	if err := b.Upload(t.Context(), name, bytes.NewReader(block)); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ from, size int64 }{{0, int64(len(block))}, {int64(s3.DefaultConfig.PartSize) - 1000, 2000}} {
		body, err := b.GetRange(t.Context(), name, r.from, r.size)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, block[r.from:r.from+r.size]) {
			t.Errorf("%d bytes from %d on are others, of %d", r.size, r.from, len(got))
		}
		body.Close()
	}
}
