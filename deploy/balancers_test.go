//go:build linux && clients

package deploy

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/internal/topology"
)

// rounds of refused uploads: a connection that one of them breaks shows in the next.
const rounds = 40

// An upload that is refused before its body leaves the client's connection usable,
// or ends it; the next request gets its own answer. The client's address is seen.
func TestRefusedUploads(t *testing.T) {
	top, nginx := balanced(t)
	limited := limitedTenant(t, top)
	for _, way := range []struct{ name, url string }{
		{"direct", top.Gateways[0].URL},
		{"haproxy", top.Balancer.URL},
		{"nginx", nginx.URL},
	} {
		t.Run(way.name, func(t *testing.T) {
			bucket := "refused-" + way.name
			makeBucket(t, top, way.url, bucket)
			script, err := filepath.Abs("testdata/refused_uploads.py")
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", script, bucket, strconv.Itoa(rounds))
			cmd.Env = append(limited, "ENDPOINT="+way.url, "AWS_ACCESS_KEY_ID="+top.AccessKey, "AWS_SECRET_ACCESS_KEY="+top.SecretKey,
				"AWS_DEFAULT_REGION="+topology.Region, "HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "passed\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A gateway that ends costs clients retries at most, behind either balancer, and
// each acknowledged byte is there.
func TestGatewayAwayBehindBalancers(t *testing.T) {
	top, nginx := balanced(t)
	for _, url := range []string{top.Balancer.URL, nginx.URL} {
		makeBucket(t, top, url, "away-"+strings.TrimPrefix(url, "http://127.0.0.1:"))
	}
	exchange := func(round string) {
		for _, url := range []string{top.Balancer.URL, nginx.URL} {
			c, bucket := client(t, top, url), "away-"+strings.TrimPrefix(url, "http://127.0.0.1:")
			for i := range 20 {
				key, body := round+strconv.Itoa(i), rand.Text()
				if _, err := c.PutObject(t.Context(), bucket, key, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
					t.Fatalf("%s, %s: %v", round, url, err)
				}
				o, err := c.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(o); err != nil || string(got) != body {
					t.Fatalf("%s, %s: %q instead of %q: %v", round, url, got, body, err)
				}
			}
		}
	}
	exchange("all there")
	top.Gateways[2].Kill()
	exchange("one killed")
	if err := top.Gateways[2].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, g := range top.Gateways {
		if err := errors.Join(g.Stop(), g.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
		exchange("rolled to " + strings.TrimPrefix(g.URL, "http://"))
	}
}

// balanced starts three gateways behind HAProxy, and nginx before the same.
func balanced(t *testing.T) (top *topology.Topology, nginx *servers.Nginx) {
	t.Helper()
	top, err := topology.Start(t.Context(), topology.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := top.Close(); err != nil {
			t.Error(err)
		}
	})
	var gateways []string
	for _, g := range top.Gateways {
		gateways = append(gateways, strings.TrimPrefix(g.URL, "http://"))
	}
	nginx, err = servers.StartNginx(t.Context(), t.TempDir(), gateways)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nginx.Stop(); err != nil {
			t.Error(err)
		}
	})
	return top, nginx
}

// limitedTenant makes a tenant of two requests a second, and returns its credential
// as the script wants it.
func limitedTenant(t *testing.T, top *topology.Topology) []string {
	t.Helper()
	access, secret := "LIMITED"+rand.Text()[:13], rand.Text()
	for _, args := range [][]string{
		{"tenant", "create", "limited", "--access-key", access, "--secret-key", secret},
		{"limits", "set", "tenant", "limited", "--requests", "2"},
	} {
		cmd := exec.CommandContext(t.Context(), top.Binary, append(args, "--admin-url", top.Gateways[0].AdminURL)...)
		cmd.Env = append(os.Environ(), top.Env()...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args[:2], err, out)
		}
	}
	return []string{"LIMITED_ACCESS_KEY=" + access, "LIMITED_SECRET_KEY=" + secret}
}

func client(t *testing.T, top *topology.Topology, url string) *minio.Client {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(url, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(top.AccessKey, top.SecretKey, ""), Region: topology.Region})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func makeBucket(t *testing.T, top *topology.Topology, url, bucket string) {
	t.Helper()
	if err := client(t, top, url).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: topology.Region}); err != nil {
		t.Fatal(err)
	}
}
