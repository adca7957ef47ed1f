//go:build linux && clients

package deploy

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/internal/topology"
)

// rounds of refused uploads: a connection that one of them breaks shows in the next.
const rounds = 40

// deployment is gateways that run, however they were started.
type deployment struct {
	access, secret string
	roads          []road
	// cli runs the gateway's program against the admin API of one of them.
	cli func(ctx context.Context, args ...string) (string, error)
	// The life of its parts. kill ends one gateway without a word, and heal brings it
	// back as the deployment does; roll replaces all, one after the other.
	kill, heal func() error
	roll       func() error
	storage    interface {
		Stop() error
		Restart(context.Context) error
	}
}

// road is one way for clients to the gateways.
type road struct {
	name, host string // host:port
	address    string // of the client, as the gateways should see it
	// command makes a program one of the client's machine; dial connects from there.
	// nil: this machine.
	command func(ctx context.Context, program string, args ...string) *exec.Cmd
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// client tries as often as SDKs do by themselves.
func (d *deployment) client(t *testing.T, r road) *minio.Client {
	t.Helper()
	c, err := minio.New(r.host, &minio.Options{Creds: credentials.NewStaticV4(d.access, d.secret, ""), Region: topology.Region,
		BucketLookup: minio.BucketLookupPath, Transport: &http.Transport{DialContext: r.dial, MaxIdleConnsPerHost: 16}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (d *deployment) makeBucket(t *testing.T, r road, bucket string) {
	t.Helper()
	if err := d.client(t, r).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: topology.Region}); err != nil {
		t.Fatal(err)
	}
}

// pass lets clients of every road meet what happens to a deployment.
func (d *deployment) pass(t *testing.T) {
	limited := d.limitedTenant(t)
	for _, r := range d.roads {
		t.Run(r.name, func(t *testing.T) { d.refusedUploads(t, r, limited) })
	}
	t.Run("a backend away", d.backendAway)
	t.Run("a gateway away", d.gatewayAway)
	t.Run("a rolling restart", d.rolled)
}

// refusedUploads: an upload that is refused before its body leaves the client's
// connection usable, or ends it; the next request gets its own answer. The client's
// address is seen.
func (d *deployment) refusedUploads(t *testing.T, r road, limited []string) {
	bucket := "refused-" + r.name
	d.makeBucket(t, r, bucket)
	script, err := filepath.Abs("testdata/refused_uploads.py")
	if err != nil {
		t.Fatal(err)
	}
	command := r.command
	if command == nil {
		command = exec.CommandContext
	}
	cmd := command(t.Context(), "/usr/bin/python3", script, bucket, strconv.Itoa(rounds))
	cmd.Env = append(limited, "ENDPOINT=http://"+r.host, "ADDRESS="+r.address, "AWS_ACCESS_KEY_ID="+d.access, "AWS_SECRET_ACCESS_KEY="+d.secret,
		"AWS_DEFAULT_REGION="+topology.Region, "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "passed\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// limitedTenant makes a tenant of two requests a second, and returns its credential
// as the script wants it.
func (d *deployment) limitedTenant(t *testing.T) []string {
	t.Helper()
	access, secret := "LIMITED"+rand.Text()[:13], rand.Text()
	for _, args := range [][]string{
		{"tenant", "create", "limited", "--access-key", access, "--secret-key", secret},
		{"limits", "set", "tenant", "limited", "--requests", "2"},
	} {
		if out, err := d.cli(t.Context(), args...); err != nil {
			t.Fatalf("%v: %v\n%s", args[:2], err, out)
		}
	}
	return []string{"LIMITED_ACCESS_KEY=" + access, "LIMITED_SECRET_KEY=" + secret}
}

// clients write and read back on every road until they are stopped.
type clients struct {
	stop chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
	done int           // exchanges
	slow time.Duration // the slowest
}

func (d *deployment) startClients(t *testing.T, bucket string) *clients {
	t.Helper()
	c := &clients{stop: make(chan struct{})}
	d.makeBucket(t, d.roads[0], bucket)
	for i, r := range d.roads {
		for j := range 2 {
			s3 := d.client(t, r)
			c.wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-c.stop:
						return
					case <-time.After(20 * time.Millisecond):
					}
					began := time.Now()
					err := exchange(t.Context(), s3, bucket, fmt.Sprintf("%d/%d/%d", i, j, n), []byte(rand.Text()))
					c.mu.Lock()
					c.slow = max(c.slow, time.Since(began))
					if c.done++; err != nil {
						c.errs = append(c.errs, fmt.Errorf("%s, %d: %w", r.name, n, err))
					}
					c.mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
	}
	return c
}

// end stops the clients, none of which may have failed.
func (c *clients) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.wg.Wait()
	if err := errors.Join(c.errs...); err != nil || c.done == 0 {
		t.Errorf("%d exchanges: %v", c.done, err)
	}
	t.Logf("%d exchanges without a failure, the slowest took %v", c.done, c.slow.Round(time.Millisecond))
}

// exchange writes an object and reads it back.
func exchange(ctx context.Context, c *minio.Client, bucket, key string, body []byte) error {
	if _, err := c.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	o, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if err == nil && !bytes.Equal(got, body) {
		err = fmt.Errorf("%d other bytes than were put", len(got))
	}
	return err
}

// gatewayAway: a gateway that dies costs clients retries at most.
func (d *deployment) gatewayAway(t *testing.T) {
	c := d.startClients(t, "gateway-away")
	if err := d.kill(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // the others serve on
	if err := d.heal(); err != nil {
		t.Error(err)
	}
	c.end(t)
}

// rolled: nor does the replacement of each.
func (d *deployment) rolled(t *testing.T) {
	c := d.startClients(t, "rolled")
	if err := d.roll(); err != nil {
		t.Error(err)
	}
	c.end(t)
}

// backendAway: objects of a backend that is away are refused within bounds, all else is
// served, no gateway is taken away for it, and its return is noticed.
func (d *deployment) backendAway(t *testing.T) {
	const bucket = "backend-away"
	d.makeBucket(t, d.roads[0], bucket)
	body := bytes.Repeat([]byte("in the backend "), 10_000)
	for _, r := range d.roads {
		if err := exchange(t.Context(), d.client(t, r), bucket, r.name, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.storage.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, r := range d.roads {
		c := d.client(t, r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for range 20 {
			// As many as it takes for a probe to fail that looks at the backend.
			if _, err := c.StatObject(ctx, bucket, r.name, minio.StatObjectOptions{}); err != nil {
				t.Errorf("%s: HEAD: %v", r.name, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		core := minio.Core{Client: c}
		if _, err := core.ListObjects(bucket, "", "", "", 10); err != nil {
			t.Errorf("%s: LIST: %v", r.name, err)
		}
		var answer minio.ErrorResponse
		if err := exchange(ctx, c, bucket, r.name+"/new", body); !errors.As(err, &answer) || answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %v, instead of 503", r.name, err)
		}
		cancel()
	}
	if err := d.storage.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range d.roads {
		c := d.client(t, r)
		began := time.Now()
		back := began.Add(time.Minute)
		for {
			err := exchange(t.Context(), c, bucket, r.name+"/again", body)
			if err == nil {
				t.Logf("%s: served again %v after the backend came back", r.name, time.Since(began).Round(time.Millisecond))
				break
			}
			if time.Now().After(back) {
				t.Fatalf("%s: a minute after the backend came back: %v", r.name, err)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}
