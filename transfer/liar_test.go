//go:build linux

package transfer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/liar"
	"github.com/sanctum-storage/gateway/outbound"
)

// patience bounds the wait for a liar.
const patience = 200 * time.Millisecond

// at is an endpoint whose signatures nobody checks.
func at(t testing.TB, url string) *server {
	t.Helper()
	transport := outbound.NewTransport(outbound.Sockets{Connect: 5 * time.Second, Header: patience, Idle: patience, Kept: 8, KeptFor: time.Minute})
	t.Cleanup(transport.CloseIdleConnections)
	return &server{Endpoint: Endpoint{URL: url, Region: "us-east-1", Transport: transport,
		Credentials: func(context.Context) (Credential, error) { return Credential{AccessKey: "a", SecretKey: "b"}, nil }}}
}

// impatient is quick with small time limits for the target's answers.
func impatient(t testing.TB, o Options) *Copier {
	t.Helper()
	c := quick(t, o)
	c.stall = 5 * time.Second
	c.to.http.Transport = outbound.Bound(o.To.Transport, outbound.Budget{Idle: patience, Answer: patience})
	return c
}

// stored is the object that a liar has under a key when it is honest.
func stored(t testing.TB, s *liar.Server, key string) []byte {
	t.Helper()
	resp, err := http.Get(s.URL + "/" + liar.Bucket + "/" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	return data
}

// An export to a server that lies about one call ends, with bounded memory.
// Objects that it reports as exact are there, and its journal is valid for the
// next run.
func TestExportToALiar(t *testing.T) {
	body := random(20_000)
	told := 0
	for _, call := range []string{liar.Put, liar.Get, liar.Stat, liar.List} {
		for _, l := range liar.Lies() {
			if !l.About(call) {
				continue
			}
			told++
			t.Run(call+"/"+l.Name, func(t *testing.T) {
				source, target := liar.Start(t), liar.Start(t)
				req, err := http.NewRequest(http.MethodPut, source.URL+"/"+liar.Bucket+"/key", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
					t.Fatal(resp, err)
				}
				o := between(at(t, source.URL), liar.Bucket, at(t, target.URL), liar.Bucket)
				o.Verify, o.Survey, o.Jobs = VerifyRead, false, 1
				o.Journal = filepath.Join(t.TempDir(), "journal")
				target.Tell(call, l)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r, err := impatient(t, o).Run(t.Context())
				runtime.ReadMemStats(&after)
				target.Tell("", liar.Lie{})
				if used := after.TotalAlloc - before.TotalAlloc; used > 512<<20 {
					t.Errorf("%d bytes were allocated", used)
				}
				if err == nil && r.Exact() && r.Copied.Objects+r.Skipped.Objects > 0 && !bytes.Equal(stored(t, target, "key"), body) && !l.Loses {
					t.Errorf("called exact, and it is not there: %+v", r)
				}
				if target.Cookies.Load() > 0 || target.Stolen.Load() > 0 {
					t.Errorf("%d cookies came back, %d redirects were followed", target.Cookies.Load(), target.Stolen.Load())
				}
				// With an honest target the same journal is sufficient to
				// finish.
				if r, err := impatient(t, o).Run(t.Context()); err != nil || !r.Exact() && r.Conflicts == 0 {
					t.Errorf("run again with an honest target: %+v, %v", r, err)
				}
			})
		}
	}
	if told < 130 {
		t.Errorf("%d pairs of call and lie, at least 130 are wanted", told)
	}
}

// answering is a server with one bucket whose answers come from the test.
func answering(t testing.TB, answer func(w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(front.Close)
	return at(t, front.URL)
}

// page is a listing with one page.
func page(entries ...string) string {
	return "<ListBucketResult>" + strings.Join(entries, "") + "</ListBucketResult>"
}

func line(key, etag string, size int) string {
	return fmt.Sprintf("<Contents><Key>%s</Key><ETag>%s</ETag><Size>%d</Size></Contents>", key, etag, size)
}

// An object without a key is neither read nor written, because the request
// would be for the bucket. A listing of only such objects ends.
func TestNoKey(t *testing.T) {
	var writes []string
	pages := 0 // of the endless listing, which ends for the sake of the test
	target := func() *server {
		return answering(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				writes = append(writes, r.URL.Path)
			}
			if r.Method == http.MethodGet {
				io.WriteString(w, page())
			}
		})
	}
	source := func(key string, truncated bool) *server {
		return answering(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Query().Has("list-type") {
				text := page(line(key, "0123", 0))
				if pages++; truncated && pages < 20 {
					text = strings.Replace(text, "<Contents>", "<IsTruncated>true</IsTruncated><Contents>", 1)
				}
				io.WriteString(w, text)
				return
			}
			w.Header().Set("ETag", `"0123"`)
		})
	}
	if r, err := quick(t, between(source("", true), "from", target(), "to")).Run(t.Context()); err == nil || pages > 1 {
		t.Errorf("a listing of no keys for ever: %+v, %v, %d pages", r, err, pages)
	}
	o := between(source("photos/", false), "from", target(), "to")
	o.From.Prefix, o.StripPrefix, o.Survey = "photos/", true, false
	if r, err := quick(t, o).Run(t.Context()); err != nil || r.Failed != 1 || !strings.Contains(r.Failures[0].Reason, "its key at the target would be empty") {
		t.Errorf("a key that is its prefix: %+v, %v", r, err)
	}
	if len(writes) > 0 {
		t.Errorf("written: %q", writes)
	}
}

// Entity tags that are invalid are not kept: neither in memory, for each part,
// nor in the journal, whose lines the next run must read.
func TestLongETags(t *testing.T) {
	long, data := strings.Repeat("e", 20_000), []byte("data")
	sums := digestOf(data)
	serve := func(listed, answered string, there bool) *server {
		return answering(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Query().Has("list-type") && there:
				io.WriteString(w, page(line("key", listed, len(data))))
			case r.URL.Query().Has("list-type"):
				io.WriteString(w, page())
			default:
				if r.Method == http.MethodPut {
					io.Copy(io.Discard, r.Body)
				}
				w.Header().Set("ETag", `"`+answered+`"`)
				w.Header().Set("X-Amz-Server-Side-Encryption", "aws:kms")
				if r.Method == http.MethodGet {
					w.Write(data)
				} else if r.Method == http.MethodHead {
					w.Header().Set("Content-Length", fmt.Sprint(len(data)))
				}
			}
		})
	}
	for name, c := range map[string]struct{ from, to *server }{
		"listed at the source":   {serve(long, long, true), serve("", sums, false)},
		"answered by the source": {serve("", long, true), serve("", sums, false)},
		"listed at the target":   {serve(sums, sums, true), serve(long, long, true)},
		"answered by the target": {serve(sums, sums, true), serve("", long, false)},
	} {
		t.Run(name, func(t *testing.T) {
			o := between(c.from, "from", c.to, "to")
			o.Survey, o.Journal = false, filepath.Join(t.TempDir(), "journal")
			for range 2 {
				r, err := quick(t, o).Run(t.Context())
				if err != nil || r.Failed != 1 || len(r.Failures[0].Reason) > 2*maxWords {
					t.Errorf("%+v, %v", r, err)
				}
			}
			if text, err := os.ReadFile(o.Journal); err != nil || len(text) > maxLine {
				t.Errorf("the journal has %d bytes, %v", len(text), err)
			}
		})
	}
}

func digestOf(data []byte) string {
	d := newDigests("", false)
	d.Write(data)
	return d.etag()
}

// An object with another length is not read for comparison.
func TestLongerThanWritten(t *testing.T) {
	data, sent := random(1000), int64(0)
	etag := digestOf(data)
	serve := func(there bool, length int) *server {
		return answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"`+etag+`"`)
			switch {
			case r.URL.Query().Has("list-type") && there:
				io.WriteString(w, page(line("key", etag, len(data))))
			case r.URL.Query().Has("list-type"):
				io.WriteString(w, page())
			case r.Method == http.MethodGet:
				w.Header().Set("Content-Length", fmt.Sprint(length))
				for left := length; left > 0; left -= len(data) {
					n, err := w.Write(data)
					if err != nil {
						return
					}
					if length != len(data) {
						sent += int64(n)
					}
				}
			}
		})
	}
	for _, there := range []bool{false, true} {
		o := between(serve(true, len(data)), "from", serve(there, 1<<30), "to")
		o.Survey, o.Verify, o.Jobs = false, VerifyRead, 1
		if r, err := quick(t, o).Run(t.Context()); err != nil || r.Exact() {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if sent > 256<<20 {
		t.Errorf("%d bytes were read of an object of %d", sent, len(data))
	}
}
