//go:build clients

package clienttest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	// crowd is how many wait for the frozen backend: more than there are places.
	crowd = 1100
	// crowdPause is between the requests of one of them, at least.
	crowdPause = 2 * time.Second
	// healthyWorkers work at the other backend meanwhile, and have so much to do.
	healthyWorkers = 16
	healthyRounds  = 40
	// answerLimit is for one answer while something is frozen, on a busy machine.
	answerLimit = 25 * time.Second
	// thawLimit is for all to work again.
	thawLimit = 60 * time.Second
)

// asker sends single requests, of which none is tried again.
type asker struct {
	*gateway
	client http.Client
}

func newAsker(g *gateway) *asker {
	return &asker{g, http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowd + healthyWorkers}, Timeout: 3 * answerLimit}}
}

func (a *asker) ask(method, path string, body []byte) (status int, answer []byte, took time.Duration, err error) {
	r, err := http.NewRequest(method, a.s3+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, 0, err
	}
	if err := sigv4.Sign(r, accessKey, secretKey, region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		return 0, nil, 0, err
	}
	began := time.Now()
	resp, err := a.client.Do(r)
	if err != nil {
		return 0, nil, time.Since(began), err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, time.Since(began), err
}

// want asks and demands a status.
func (a *asker) want(t *testing.T, method, path string, body []byte, status int) {
	t.Helper()
	got, answer, took, err := a.ask(method, path, body)
	if err != nil || got != status || took > answerLimit {
		t.Errorf("%s %s: %d after %v, %v, want %d: %.300s", method, path, got, took, err, status, answer)
	}
}

// becomes asks until the status comes.
func (a *asker) becomes(t *testing.T, method, path string, body []byte, status int) {
	t.Helper()
	var got int
	for end := time.Now().Add(thawLimit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if got, _, _, _ = a.ask(method, path, body); got == status {
			return
		}
	}
	t.Fatalf("%s %s: still %d after %v, want %d", method, path, got, thawLimit, status)
}

// operator asks the operator's listener.
func (a *asker) operator(path string) (int, string) {
	resp, err := http.Get(a.metrics + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// shows waits until an operator's page has a line.
func (a *asker) shows(t *testing.T, path, line string) {
	t.Helper()
	var text string
	for end := time.Now().Add(thawLimit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if _, text = a.operator(path); strings.Contains(text, line+"\n") {
			return
		}
	}
	t.Errorf("%s never says %q:\n%.2000s", path, line, text)
}

// work reads, writes and lists in a bucket, and returns what did not succeed.
func (a *asker) work(bucket string) (failed []string, took time.Duration) {
	var mu sync.Mutex
	var at sync.WaitGroup
	began := time.Now()
	for w := range healthyWorkers {
		at.Go(func() {
			for i := range healthyRounds {
				key := fmt.Sprintf("/%s/%d-%d", bucket, w, i)
				for _, step := range []struct {
					method, path string
					body         []byte
				}{{"PUT", key, bytes.Repeat([]byte{'x'}, 10_000)}, {"GET", key, nil}, {"HEAD", key, nil}, {"GET", "/" + bucket + "?list-type=2&max-keys=5", nil}} {
					if status, answer, _, err := a.ask(step.method, step.path, step.body); err != nil || status != 200 {
						mu.Lock()
						failed = append(failed, fmt.Sprintf("%s %s: %d %v %.200s", step.method, step.path, status, err, answer))
						mu.Unlock()
					}
				}
			}
		})
	}
	at.Wait()
	return failed, time.Since(began)
}

// far is a gateway with a folder and a real S3 server behind it, and a bucket at each.
type far struct {
	storage *servers.S3Server
	env     []string
}

func newFar(t *testing.T) *far {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "storage"), 0o700))
	storage, err := servers.StartVersitygw(t.Context(), filepath.Join(dir, "storage"), filepath.Join(dir, "storage.log"))
	must(t, err)
	f := &far{storage: storage}
	t.Cleanup(func() { f.storage.Kill() })
	must(t, storage.MakeBucket(t.Context(), "sealed"))
	f.env = []string{
		"SANCTUM_BACKENDS_LOCAL_TYPE=fs", "SANCTUM_PLACEMENT_DEFAULT=local", "SANCTUM_BACKENDS_FAR_TYPE=s3", "SANCTUM_BACKENDS_FAR_BUCKET=sealed",
		"SANCTUM_BACKENDS_FAR_ENDPOINT=" + storage.Endpoint, "SANCTUM_BACKENDS_FAR_REGION=" + storage.Region,
		"SANCTUM_BACKENDS_FAR_ACCESS_KEY=" + storage.AccessKey, "SANCTUM_BACKENDS_FAR_SECRET_KEY=" + storage.SecretKey,
	}
	return f
}

// fill makes a bucket at each backend with an object in it.
func (f *far) fill(t *testing.T, a *asker) {
	t.Helper()
	a.want(t, "PUT", "/near", nil, 200)
	a.want(t, "PUT", "/away", []byte(`<CreateBucketConfiguration><LocationConstraint>far</LocationConstraint></CreateBucketConfiguration>`), 200)
	for _, bucket := range []string{"near", "away"} {
		a.want(t, "PUT", "/"+bucket+"/kept", []byte("kept"), 200)
	}
}

// One of two backends freezes under more readers than there are places. Whatever needs
// the other backend, or the store alone, never fails; what needs the frozen one fails in
// time; operators are told; and it is used again when it thaws.
func TestFrozenBackend(t *testing.T) {
	f := newFar(t)
	a := newAsker(start(t, f.env...))
	f.fill(t, a)
	failed, alone := a.work("near")
	if len(failed) > 0 {
		t.Fatalf("with all at work: %s", failed[0])
	}
	must(t, f.storage.Signal(syscall.SIGSTOP))
	defer f.storage.Signal(syscall.SIGCONT)

	stop := make(chan struct{})
	var readers sync.WaitGroup
	var asked, slowest, odd atomic.Int64
	for range crowd {
		readers.Go(func() {
			// More than there are places in the same millisecond would be refused before it
			// is known what they ask for, and others among them.
			time.Sleep(rand.N(crowdPause))
			for {
				status, _, took, err := a.ask("GET", "/away/kept", nil)
				asked.Add(1)
				if err != nil || status != 503 {
					odd.Add(1)
				}
				for old := slowest.Load(); int64(took) > old && !slowest.CompareAndSwap(old, int64(took)); old = slowest.Load() {
				}
				select {
				case <-stop:
					return
				case <-time.After(crowdPause + rand.N(crowdPause)): // as a client that was told to slow down
				}
			}
		})
	}
	for range 2 {
		failed, beside := a.work("near")
		for _, what := range failed[:min(len(failed), 5)] {
			t.Errorf("beside a frozen backend: %s", what)
		}
		t.Logf("%d failures beside %d readers of a frozen backend; time of a run without them: %v, with: %v, ratio %.2f", len(failed), crowd, alone, beside, float64(beside)/float64(alone))
		if code, text := a.operator("/readyz"); code != 200 {
			t.Errorf("/readyz: %d %s", code, text)
		}
	}
	a.want(t, "HEAD", "/away/kept", nil, 200)
	a.want(t, "GET", "/away?list-type=2", nil, 200)
	a.want(t, "PUT", "/away/small", []byte("small"), 503)
	a.want(t, "PUT", "/away/large", bytes.Repeat([]byte{'x'}, 20*mib), 503)
	a.want(t, "PUT", "/near/kept", []byte("kept"), 200)
	a.shows(t, "/readyz?verbose", "backend far away")
	a.shows(t, "/readyz?verbose", "backend local ok")
	a.shows(t, "/metrics", `sanctum_backend_up{backend="far"} 0`)
	close(stop)
	readers.Wait()
	t.Logf("%d reads of the frozen backend, the slowest answered after %v", asked.Load(), time.Duration(slowest.Load()))
	if n, limit := odd.Load(), int64(answerLimit); n > 0 || slowest.Load() > limit {
		t.Errorf("%d reads of a frozen backend ended otherwise than with 503; the slowest took %v", n, time.Duration(slowest.Load()))
	}

	must(t, f.storage.Signal(syscall.SIGCONT))
	a.becomes(t, "GET", "/away/kept", nil, 200)
	a.becomes(t, "PUT", "/away/new", []byte("new"), 200)
	a.shows(t, "/readyz?verbose", "backend far ok")
	a.shows(t, "/metrics", `sanctum_backend_up{backend="far"} 1`)
	report, err := a.fsck("--deep")
	if must(t, err); !report.Clean {
		t.Errorf("fsck: %+v", report)
	}
}

// A gateway starts while a backend is away, serves the rest, and uses the backend when
// it comes, without being told. It refuses wrong settings.
func TestStartsWithoutABackend(t *testing.T) {
	f := newFar(t)
	g := start(t, f.env...)
	f.fill(t, newAsker(g))
	must(t, g.stop())
	f.storage.Kill()

	g = restart(t, g.dir, g.log, f.env...)
	a := newAsker(g)
	a.want(t, "GET", "/near/kept", nil, 200)
	a.want(t, "PUT", "/near/new", []byte("new"), 200)
	a.want(t, "HEAD", "/away/kept", nil, 200)
	a.want(t, "GET", "/away/kept", nil, 503)
	a.want(t, "PUT", "/away/new", []byte("new"), 503)
	a.shows(t, "/readyz?verbose", "backend far away")
	if text, err := os.ReadFile(g.log); err != nil || !bytes.Contains(text, []byte("a backend cannot be reached; it is tried again, and all else is served")) {
		t.Errorf("the log does not say that it started without a backend: %v", err)
	}
	must(t, f.storage.Restart(context.Background()))
	a.becomes(t, "GET", "/away/kept", nil, 200)
	a.becomes(t, "PUT", "/away/new", []byte("new"), 200)
	a.shows(t, "/readyz?verbose", "backend far ok")
	must(t, g.stop())

	for _, wrong := range []string{"SANCTUM_BACKENDS_FAR_BUCKET=another", "SANCTUM_BACKENDS_FAR_SECRET_KEY=another-secret-key"} {
		if g, err := launch(g.dir, g.log, append(f.env, wrong)...); err == nil {
			t.Errorf("it starts with %s", wrong)
			g.kill()
		}
	}
	must(t, f.storage.MakeBucket(t.Context(), "another"))
	if g, err := launch(g.dir, g.log, append(f.env, "SANCTUM_BACKENDS_FAR_BUCKET=another")...); err == nil {
		t.Error("it starts with another, empty bucket")
		g.kill()
	}
	// A name that leads to another storage is found when that comes, and refused alone.
	f.storage.Kill()
	a = newAsker(restart(t, g.dir, g.log, append(f.env, "SANCTUM_BACKENDS_FAR_BUCKET=another")...))
	must(t, f.storage.Restart(context.Background()))
	a.shows(t, "/readyz?verbose", "backend far disagrees with the store")
	a.want(t, "GET", "/away/kept", nil, 503)
	a.want(t, "PUT", "/away/new", []byte("new"), 503)
	a.want(t, "GET", "/near/kept", nil, 200)
}

// The way to the database freezes: each request is told so in seconds, many at once no
// later than one, and all goes on when it thaws.
func TestFrozenStore(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"pooler", "postgres"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	db, err := servers.StartPostgres(servers.Postgres15, filepath.Join(dir, "postgres"), servers.PostgresOptions{})
	must(t, err)
	t.Cleanup(func() { db.Stop() })
	pooler, err := servers.StartPgBouncer(filepath.Join(dir, "pooler"), db)
	must(t, err)
	t.Cleanup(func() { pooler.Stop() })
	a := newAsker(start(t, "SANCTUM_STORE_URL="+pooler.URL("postgres"), "SANCTUM_STORE_EXEC_MODE=exec"))
	a.want(t, "PUT", "/near", nil, 200)
	a.want(t, "PUT", "/near/kept", []byte("kept"), 200)
	must(t, pooler.Signal(syscall.SIGSTOP))
	defer pooler.Signal(syscall.SIGCONT)
	time.Sleep(3 * time.Second) // what was remembered of credentials is too old
	var at sync.WaitGroup
	for i := range 300 {
		at.Go(func() {
			step := [][2]string{{"GET", "/near/kept"}, {"PUT", "/near/new"}, {"HEAD", "/near/kept"}, {"GET", "/near?list-type=2"}, {"DELETE", "/near/gone"}, {"GET", "/"}}[i%6]
			a.want(t, step[0], step[1], nil, 503)
		})
	}
	began := time.Now()
	code, text := a.operator("/readyz?verbose")
	if took := time.Since(began); code != 503 || !strings.HasPrefix(text, "store failed\nkeys ok\n") || took > answerLimit {
		t.Errorf("/readyz: %d after %v: %s", code, took, text)
	}
	at.Wait()
	t.Logf("300 requests at once were refused within %v", time.Since(began))
	must(t, pooler.Signal(syscall.SIGCONT))
	a.becomes(t, "GET", "/near/kept", nil, 200)
	a.becomes(t, "PUT", "/near/new", []byte("new"), 200)
}
