//go:build linux

package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// childEnv contains the options of a copy that this test binary runs as another
// process, so that it can be killed.
const childEnv = "TRANSFER_TEST_CHILD"

// childCopy are the options of a child.
type childCopy struct {
	From, To         string // URLs
	Bucket, Journal  string
	FromKeys, ToKeys Credential
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		os.Exit(child(text))
	}
	os.Exit(m.Run())
}

func child(text string) int {
	var in childCopy
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		panic(err)
	}
	side := func(url, bucket string, keys Credential) Side {
		return Side{Bucket: bucket, Endpoint: Endpoint{URL: url, Region: "us-east-1", Transport: NewTransport(64, nil), Checksums: true,
			Credentials: func(context.Context) (Credential, error) { return keys, nil }}}
	}
	c, err := New(Options{From: side(in.From, in.Bucket, in.FromKeys), To: side(in.To, in.Bucket, in.ToKeys), Journal: in.Journal})
	if err != nil {
		panic(err)
	}
	if _, err := c.Run(context.Background()); err != nil {
		panic(err)
	}
	return 0
}

// startGateway runs a gateway in this process.
func startGateway(t testing.TB) *server {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{Log: slog.New(slog.DiscardHandler)})
	u, err := url.Parse(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	return newServer(t, g.URL, u.Host, g.Root.AccessKey, g.Root.SecretKey)
}

// An import that is cancelled once and killed once ends exact when it is run
// again. An export returns everything.
func TestImportInterruptedAndExport(t *testing.T) {
	provider, gateway := startVersitygw(t), startGateway(t)
	provider.fill(t, "photos", importObjects, oddKeys)
	provider.put(t, "photos", "tagged", random(10), minio.PutObjectOptions{UserTags: map[string]string{"k": "v"}})
	journal := filepath.Join(t.TempDir(), "journal")
	o := between(provider, "photos", gateway, "photos")
	o.Journal = journal

	// One orderly interruption.
	ctx, cancel := context.WithCancel(t.Context())
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer cancel()
		for c.Progress().Copied.Objects < importObjects/4 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}()
	first, err := c.Run(ctx)
	if err != ErrInterrupted || !first.Interrupted || first.Exact() || first.Failed != 0 || first.Copied.Objects < importObjects/4 {
		t.Fatalf("interrupted: %v, %+v", err, first)
	}

	// One kill.
	killAt(t, provider, gateway, "photos", journal, importObjects/2)

	r := must(t, o)
	if r.Skipped.Objects < first.Copied.Objects || r.Copied.Objects == 0 || r.Conflicts != 0 || r.Extra != 0 {
		t.Errorf("the last run: %+v", r)
	}
	if r.Left == nil || r.Left.Current != r.Listed || r.NotCarried.ETag != 0 || r.NotCarried.Unproven != 0 {
		t.Errorf("the last run: %+v, left %+v", r, r.Left)
	}
	want := provider.states(t, "photos")
	sameStates(t, want, gateway.states(t, "photos"))
	if r := must(t, o); r.Copied.Objects != 0 || r.Skipped.Objects != int64(len(want)) {
		t.Errorf("run once more: %+v", r)
	}

	back := between(gateway, "photos", provider, "photos-again")
	back.Verify = VerifyRead
	must(t, back)
	sameStates(t, want, provider.states(t, "photos-again"))
	if n, err := (place{client: mustClient(t, gateway), bucket: "photos"}).uploads(t.Context()); err != nil || n != 0 {
		t.Errorf("%d uploads are left open, %v", n, err)
	}
}

func mustClient(t testing.TB, s *server) *client {
	t.Helper()
	c, err := newClient("target", s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// killAt runs the copy as another process, and kills it when the target has
// that many objects.
func killAt(t testing.TB, from, to *server, bucket, journal string, objects int) {
	t.Helper()
	in := childCopy{From: from.URL, To: to.URL, Bucket: bucket, Journal: journal}
	var err error
	if in.FromKeys, err = from.Credentials(t.Context()); err != nil {
		t.Fatal(err)
	}
	if in.ToKeys, err = to.Credentials(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	target := place{client: mustClient(t, to), bucket: bucket}
	for n := 0; n < objects; time.Sleep(10 * time.Millisecond) {
		n = 0
		for _, err := range target.objects(t.Context()) {
			if err != nil {
				t.Error(err)
				break
			}
			n++
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the copy ended before it was killed")
	}
}

// Keys that path-like servers cannot store are copied between gateways.
func TestKeysBetweenGateways(t *testing.T) {
	a, b := startGateway(t), startGateway(t)
	a.bucket(t, "keys")
	client := place{client: mustClient(t, a), bucket: "keys"}
	for i, key := range append(append([]string{}, oddKeys...), nonPathKeys...) {
		body := random(i)
		in := client.call("PUT", key)
		in.document = body
		in.header.Set("x-amz-meta-name", "gr\u00fc\u00dfe")
		in.header.Set("Expires", "not a date")
		if _, err := client.put(t.Context(), in); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
	}
	o := between(a, "keys", b, "keys")
	o.Verify = VerifyRead
	r := must(t, o)
	if n := int64(len(oddKeys) + len(nonPathKeys)); r.Copied.Objects != n {
		t.Errorf("%+v, want %d", r, n)
	}
	got := place{client: mustClient(t, b), bucket: "keys"}
	for e, err := range client.objects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := client.head(t.Context(), e.key, e.etag, 0)
		if err != nil {
			t.Fatal(err)
		}
		d, err := got.head(t.Context(), e.key, e.etag, 0)
		if err != nil || d.size != e.size || fmt.Sprint(d.attributes) != fmt.Sprint(s.attributes) || len(s.attributes) < 3 {
			t.Errorf("%q: %+v, want %+v; %v", e.key, d, s, err)
		}
	}
}
