//go:build linux

// Package topology runs what docker-compose.yml runs, as plain processes on
// loopback: several gateways on one PostgreSQL in front of one S3 server, and
// HAProxy with the same configuration file before them. Tests use it to end,
// pause and replace gateways under load; internal/topology/run is for people. The
// product never imports it, and nothing in it outlives Close.
package topology

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sanctum-storage/gateway/internal/servers"
)

const (
	// DefaultGateways is how many gateways there are when Options names no number,
	// and in docker-compose.yml.
	DefaultGateways = 3
	// Region is what clients sign for.
	Region = "us-east-1"

	database = "sanctum" // in PostgreSQL
	bucket   = "sanctum" // in the S3 server
)

// Options of a topology. Dir must be given.
type Options struct {
	// Dir is an existing folder that takes all data and logs. The caller removes
	// it, after Close.
	Dir string
	// Gateways is how many there are, at most servers.MaxBalanced; zero:
	// DefaultGateways.
	Gateways int
	// Binary is the gateway to run; empty: it is built into Dir.
	Binary string
	// Postgres is the version, one of those that servers.StartPostgres knows;
	// empty: servers.Postgres15.
	Postgres string
	// Durable keeps PostgreSQL's fsync on, for measuring; a killed process loses
	// nothing without it.
	Durable bool
	// Redis starts one as well. No gateway is told of it.
	Redis bool
	// Env are further environment variables of every gateway, NAME=value; they
	// take precedence over those that are set here.
	Env []string
}

// Topology is a running one. Its fields are not changed after Start. Methods are
// for one goroutine, those of Gateway for one goroutine per gateway.
type Topology struct {
	URL       string // of the S3 endpoint, through the balancer
	AccessKey string // the operator's, the same on all gateways
	SecretKey string
	Keyring   string // path of the key file that the gateways share
	Binary    string // of the gateway

	Gateways []*Gateway
	Balancer *servers.HAProxy
	Postgres *servers.Postgres
	S3       *servers.S3Server
	Redis    *servers.Redis // nil unless asked for
}

// StoreURL is the store.url of the gateways.
func (t *Topology) StoreURL() string { return t.Postgres.URL(database) }

// Start starts everything and returns when every gateway is ready.
// Processes that it started before an error are ended again. The caller
// closes the topology.
func Start(ctx context.Context, o Options) (_ *Topology, err error) {
	if o.Gateways == 0 {
		o.Gateways = DefaultGateways
	}
	if o.Gateways < 1 || o.Gateways > servers.MaxBalanced {
		return nil, fmt.Errorf("topology: %d gateways; want 1 to %d", o.Gateways, servers.MaxBalanced)
	}
	if o.Postgres == "" {
		o.Postgres = servers.Postgres15
	}
	t := &Topology{
		AccessKey: "TEST" + rand.Text()[:16],
		SecretKey: rand.Text() + rand.Text()[:14],
		Keyring:   filepath.Join(o.Dir, "keyring"),
		Binary:    o.Binary,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	built := make(chan error, 1)
	if t.Binary == "" {
		t.Binary = filepath.Join(o.Dir, "gateway")
		go func() { built <- Build(ctx, t.Binary) }()
	} else {
		built <- nil
	}
	if err := errors.Join(t.startBelow(ctx, o), <-built); err != nil {
		return nil, err
	}
	create := exec.CommandContext(ctx, t.Binary, "keyring", "create", "--keyring-path", t.Keyring)
	create.Env = []string{}
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("key file: %w\n%s", err, out)
	}
	if err := t.startGateways(ctx, o); err != nil {
		return nil, err
	}
	return t, t.startBalancer(ctx, o.Dir)
}

// startBelow starts what the gateways stand on.
func (t *Topology) startBelow(ctx context.Context, o Options) (err error) {
	postgres, objects := filepath.Join(o.Dir, "postgres"), filepath.Join(o.Dir, "objects")
	if err := errors.Join(os.Mkdir(postgres, 0o700), os.Mkdir(objects, 0o700)); err != nil {
		return err
	}
	if t.Postgres, err = servers.StartPostgres(o.Postgres, postgres, servers.PostgresOptions{Durable: o.Durable}); err != nil {
		return err
	}
	if err := t.Postgres.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if t.S3, err = servers.StartVersitygw(ctx, objects, filepath.Join(o.Dir, "s3.log")); err != nil {
		return err
	}
	if err := t.S3.MakeBucket(ctx, bucket); err != nil {
		return err
	}
	if o.Redis {
		t.Redis, err = servers.StartRedis(ctx, o.Dir)
	}
	return err
}

// startGateways starts all at once, as a container engine does, and waits for
// each.
func (t *Topology) startGateways(ctx context.Context, o Options) error {
	addresses, err := servers.FreeAddresses(3 * o.Gateways)
	if err != nil {
		return err
	}
	for i := range o.Gateways {
		g := newGateway(fmt.Sprintf("gateway%d", i+1), o.Dir, addresses[3*i:3*i+3])
		g.spec.Program = t.Binary
		g.spec.Env = append(append(t.Env(), g.env()...), o.Env...)
		t.Gateways = append(t.Gateways, g)
		if err := g.start(); err != nil {
			return err
		}
	}
	for _, g := range t.Gateways {
		if err := g.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Env are the settings that all gateways share, for another command over the
// same deployment.
func (t *Topology) Env() []string {
	return []string{
		"SANCTUM_ACCESS_KEY=" + t.AccessKey,
		"SANCTUM_SECRET_KEY=" + t.SecretKey,
		"SANCTUM_STORE_URL=" + t.StoreURL(),
		"SANCTUM_KEYRING_PATH=" + t.Keyring,
		"SANCTUM_SHUTDOWN_DELAY=1s",
		"SANCTUM_S3_PROXIES=127.0.0.1", // the balancer
		"SANCTUM_BACKENDS_MAIN_TYPE=s3",
		"SANCTUM_BACKENDS_MAIN_ENDPOINT=" + t.S3.Endpoint,
		"SANCTUM_BACKENDS_MAIN_BUCKET=" + bucket,
		"SANCTUM_BACKENDS_MAIN_REGION=" + t.S3.Region,
		"SANCTUM_BACKENDS_MAIN_ADDRESSING=path",
		"SANCTUM_BACKENDS_MAIN_ACCESS_KEY=" + t.S3.AccessKey,
		"SANCTUM_BACKENDS_MAIN_SECRET_KEY=" + t.S3.SecretKey,
	}
}

func (t *Topology) startBalancer(ctx context.Context, dir string) (err error) {
	var behind []servers.Balanced
	for _, g := range t.Gateways {
		behind = append(behind, servers.Balanced{S3: g.s3, Metrics: g.metrics})
	}
	if t.Balancer, err = servers.StartHAProxy(ctx, dir, behind); err != nil {
		return err
	}
	t.URL = t.Balancer.URL
	return nil
}

// Close ends everything, from the clients' side down. The error tells of a
// gateway that failed while it ran or ended badly, unless it was killed here.
func (t *Topology) Close() error {
	var errs []error
	if t.Balancer != nil {
		errs = append(errs, t.Balancer.Stop())
	}
	for _, g := range t.Gateways {
		errs = append(errs, g.Resume(), g.Stop())
	}
	if t.Redis != nil {
		errs = append(errs, t.Redis.Stop())
	}
	if t.S3 != nil {
		errs = append(errs, t.S3.Stop())
	}
	if t.Postgres != nil {
		errs = append(errs, t.Postgres.Stop())
	}
	return errors.Join(errs...)
}
