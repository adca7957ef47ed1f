//go:build linux

package topology

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// limit ends a test that hangs before go test does, so that everything is ended
// in order and the logs are shown.
const limit = 4 * time.Minute

// start starts a topology for one test.
func start(t *testing.T, ctx context.Context) *Topology {
	t.Helper()
	dir := t.TempDir()
	top, err := Start(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := top.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, g := range top.Gateways {
				t.Logf("%s:\n%s", g.spec.Name, g.process.Tail())
			}
			t.Logf("haproxy:\n%s", top.Balancer.Tail())
		}
	})
	return top
}

func newSeed(t *testing.T) uint64 {
	t.Helper()
	var b [8]byte
	rand.Read(b[:])
	seed := binary.LittleEndian.Uint64(b[:])
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return seed
}

// Three gateways are one endpoint: what one acknowledged, the others serve; the
// death and the replacement of gateways cost nothing but retries.
func TestThreeGateways(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	top := start(t, ctx)
	c := connect(t, top, top.URL)
	if err := c.MakeBucket(ctx, "shared", minio.MakeBucketOptions{Region: Region}); err != nil {
		t.Fatal(err)
	}
	t.Run("one endpoint", func(t *testing.T) { testOneEndpoint(t, ctx, top, c) })
	t.Run("kill", func(t *testing.T) {
		disturbed(t, ctx, top, "killed", func(l *load) error {
			g := top.Gateways[0]
			l.pass(stepsAtLeast)
			g.Kill()
			l.pass(2 * workers)
			return errors.Join(g.Restart(ctx), awaitBalancer(ctx, top, 0, true))
		})
	})
	t.Run("rolling restart", func(t *testing.T) {
		disturbed(t, ctx, top, "rolled", func(l *load) error {
			for i, g := range top.Gateways {
				l.pass(workers)
				if err := errors.Join(g.Stop(), g.Restart(ctx), awaitBalancer(ctx, top, i, true)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	t.Run("pause", func(t *testing.T) {
		disturbed(t, ctx, top, "paused", func(l *load) error {
			g := top.Gateways[1]
			l.pass(workers)
			if err := g.Pause(); err != nil {
				return err
			}
			// Requests that it holds hang; the balancer gives it no others.
			noticed := awaitBalancer(ctx, top, 1, false)
			return errors.Join(noticed, g.Resume(), awaitBalancer(ctx, top, 1, true))
		})
	})
	t.Run("fsck", func(t *testing.T) {
		for _, g := range top.Gateways {
			if err := g.Stop(); err != nil {
				t.Error(err)
			}
		}
		cmd := exec.CommandContext(ctx, top.Binary, "fsck", "--deep")
		cmd.Env = append(top.Env(), "SANCTUM_DATA="+filepath.Join(t.TempDir(), "data"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("fsck: %v\n%s", err, out)
		}
	})
}

// testOneEndpoint writes in all ways through the balancer and reads on each
// gateway by itself.
func testOneEndpoint(t *testing.T, ctx context.Context, top *Topology, c *minio.Client) {
	bodies := map[string][]byte{
		"empty":               {},
		"small":               []byte("a body"),
		"a//b/../c/./%2F+ ü?": bytes.Repeat([]byte("key"), 1000),
		"multipart":           bytes.Repeat([]byte("0123456789abcdef"), (2*partSize+partSize/2)/16),
	}
	for key, body := range bodies {
		if _, err := put(ctx, c, "shared", key, body); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	for i, g := range top.Gateways {
		direct := connect(t, top, g.URL)
		seen := 0
		for o := range direct.ListObjects(ctx, "shared", minio.ListObjectsOptions{Recursive: true}) {
			body, ok := bodies[o.Key]
			if o.Err != nil || !ok || o.Size != int64(len(body)) {
				t.Fatalf("gateway %d lists %+v", i+1, o)
			}
			got, err := digest(ctx, direct, "shared", o.Key)
			if err != nil || got != sha256.Sum256(body) {
				t.Errorf("gateway %d, %s: another body (%v)", i+1, o.Key, err)
			}
			seen++
		}
		if seen != len(bodies) {
			t.Errorf("gateway %d lists %d objects of %d", i+1, seen, len(bodies))
		}
	}
}

// disturbed puts load on the balancer, does something to the gateways, and
// compares what each of them has afterwards with what was acknowledged.
func disturbed(t *testing.T, ctx context.Context, top *Topology, bucket string, disturb func(*load) error) {
	c := connect(t, top, top.URL)
	if err := c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: Region}); err != nil {
		t.Fatal(err)
	}
	l := startLoad(ctx, c, bucket, newSeed(t))
	disturbance := disturb(l)
	want, err := l.end()
	if err != nil || disturbance != nil {
		t.Fatalf("under load: %v; gateways: %v", err, disturbance)
	}
	for i, g := range top.Gateways {
		if err := verify(ctx, connect(t, top, g.URL), bucket, want); err != nil {
			t.Errorf("gateway %d: %v", i+1, err)
		}
	}
}

// awaitBalancer waits until the balancer uses a gateway, or no longer does.
func awaitBalancer(ctx context.Context, top *Topology, place int, up bool) error {
	return top.Balancer.Ready(ctx, func(ctx context.Context) error {
		is, err := top.Balancer.Up(ctx, place)
		if err == nil && is != up {
			err = fmt.Errorf("gateway %d: up is %v for the balancer", place+1, is)
		}
		return err
	})
}

func TestTooManyGateways(t *testing.T) {
	if _, err := Start(t.Context(), Options{Dir: t.TempDir(), Gateways: servers.MaxBalanced + 1}); err == nil {
		t.Error("started")
	}
}
