package clienttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// parts is what a gateway is put together from: each client meets every
// combination that this run has.
type parts struct {
	store   string // sqlite, postgres
	backend string // fs, s3
}

func (p parts) String() string { return p.store + "+" + p.backend }

// shared is the gateway that all clients use at once, each in buckets of its own.
type shared struct {
	once sync.Once
	g    *gateway
	err  error
}

var sharedGateways = func() map[parts]*shared {
	m := make(map[parts]*shared)
	for _, p := range combinations {
		m[p] = new(shared)
	}
	return m
}()

// onEach runs a client's test against the shared gateway of each combination,
// which is started when it is first needed.
func onEach(t *testing.T, test func(*testing.T, *gateway)) {
	t.Helper()
	onSome(t, combinations, test)
}

func onSome(t *testing.T, combinations []parts, test func(*testing.T, *gateway)) {
	t.Helper()
	for _, p := range combinations {
		t.Run(p.String(), func(t *testing.T) {
			s := sharedGateways[p]
			s.once.Do(func() { s.g, s.err = p.launch("shared-" + p.String()) })
			if s.err != nil {
				t.Fatal(s.err)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(s.g.tail())
				}
			})
			test(t, s.g)
		})
	}
}

// launch starts a gateway of these parts, whose data has the name. extra are further
// environment variables.
func (p parts) launch(name string, extra ...string) (*gateway, error) {
	env := extra
	if p.store == "postgres" {
		url, err := newDatabase(name)
		if err != nil {
			return nil, err
		}
		env = append(env, "SANCTUM_STORE_URL="+url)
	}
	if p.backend == "s3" {
		more, err := newProviderBucket(name)
		if err != nil {
			return nil, err
		}
		env = append(env, more...)
	}
	return launch(filepath.Join(work, name), filepath.Join(work, name+".log"), env...)
}

// running are the servers that gateways of this run stand on.
var running struct {
	mu   sync.Mutex
	stop []func() error
}

func stopAtEnd(stop func() error) {
	running.mu.Lock()
	defer running.mu.Unlock()
	running.stop = append(running.stop, stop)
}

func stopServers() (err error) {
	running.mu.Lock()
	defer running.mu.Unlock()
	for _, stop := range running.stop {
		err = errors.Join(err, stop())
	}
	return err
}

// database is the PostgreSQL server of all gateways of this run.
var database = sync.OnceValues(func() (*servers.Postgres, error) {
	dir := filepath.Join(work, "postgres")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := servers.StartPostgres(servers.Postgres15, dir, servers.PostgresOptions{})
	if err == nil {
		stopAtEnd(p.Stop)
	}
	return p, err
})

// newDatabase makes a database and returns its URL.
func newDatabase(name string) (string, error) {
	p, err := database()
	if err != nil {
		return "", err
	}
	if err := p.Exec(context.Background(), "postgres", fmt.Sprintf("CREATE DATABASE %q", name)); err != nil {
		return "", err
	}
	return p.URL(name), nil
}

// provider is the S3 server that keeps the blobs of all gateways of this run.
var provider = sync.OnceValues(func() (*servers.S3Server, error) {
	dir := filepath.Join(work, "provider")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	s, err := servers.StartVersitygw(context.Background(), dir, dir+".log")
	if err == nil {
		stopAtEnd(s.Stop)
	}
	return s, err
})

// newProviderBucket makes a bucket and returns the settings of a backend in it.
func newProviderBucket(name string) (env []string, err error) {
	s, err := provider()
	if err != nil {
		return nil, err
	}
	bucket := strings.ReplaceAll(name, "+", "-")
	if err := s.MakeBucket(context.Background(), bucket); err != nil {
		return nil, err
	}
	prefix := "SANCTUM_BACKENDS_PROVIDER_"
	return []string{prefix + "TYPE=s3", prefix + "ENDPOINT=" + s.Endpoint, prefix + "BUCKET=" + bucket,
		prefix + "ACCESS_KEY=" + s.AccessKey, prefix + "SECRET_KEY=" + s.SecretKey}, nil
}
