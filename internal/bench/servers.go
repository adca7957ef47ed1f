//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// Names of the servers, which are the columns of the tables.
const (
	ours       = "gateway"
	rival      = "versitygw"
	onPostgres = "gateway on PostgreSQL"
	onSQLite   = "gateway on SQLite"
	overS3     = "gateway over S3"
	directS3   = "S3 direct"
	overTLS    = "gateway over S3 over TLS"
	directTLS  = "S3 over TLS direct"
)

const region = "us-east-1"

// bench is a run.
type bench struct {
	options
	dir     string // temporary
	gateway string // the program
}

// programs builds the gateway, and sees that its rival is there.
func (b *bench) programs(ctx context.Context, root string) error {
	b.gateway = filepath.Join(b.dir, ours)
	progress("building the gateway")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=auto", "-o", b.gateway, "./cmd/gateway")
	build.Dir, build.Stdout, build.Stderr = root, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the gateway: %w", err)
	}
	progress("installing %s %s, unless it is there", rival, servers.Versitygw.Version)
	_, err := servers.Versitygw.Path(ctx)
	return err
}

// server is a running process and a client of it.
type server struct {
	name string
	*servers.Process
	*client
	admin   *client      // of the admin API; nil where there is none
	metrics string       // URL
	below   func() error // ends what it runs on; may be nil
}

func (s *server) close() error {
	s.http.CloseIdleConnections()
	if s.admin != nil {
		s.admin.http.CloseIdleConnections()
	}
	err := s.Stop()
	if s.below != nil {
		err = errors.Join(err, s.below())
	}
	return err
}

// startGateway serves the data folder, which may be new, with settings in the
// form of environment variables. Like its rival it logs no requests.
func (b *bench) startGateway(ctx context.Context, name, data string, settings ...string) (*server, error) {
	addr, err := servers.FreeAddresses(3)
	if err != nil {
		return nil, err
	}
	access, secret := "BENCH"+rand.Text()[:15], rand.Text()+rand.Text()
	p, err := servers.Start(servers.Spec{
		Name:    name,
		Program: b.gateway,
		Args:    []string{"serve", "--data", data, "--s3", addr[0], "--admin", addr[1], "--metrics", addr[2]},
		Env: append([]string{
			"SANCTUM_ACCESS_KEY=" + access, "SANCTUM_SECRET_KEY=" + secret, "SANCTUM_LOG_LEVEL=warn",
		}, settings...),
		Log: data + ".log",
	})
	if err != nil {
		return nil, err
	}
	s := &server{name: name, Process: p, client: newClient("http://"+addr[0], access, secret, nil)}
	s.metrics, s.admin = "http://"+addr[2]+"/metrics", newClient("http://"+addr[1], access, secret, nil)
	s.admin.named = admin.Service
	err = s.Ready(ctx, func(ctx context.Context) error {
		_, err := s.list(ctx, "/")
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// startRival serves the folder, which must exist, by versitygw. Connections are
// kept open as the gateway keeps them, and it logs no requests.
func startRival(ctx context.Context, name, folder string) (*server, error) {
	s, err := servers.StartVersitygw(ctx, folder, folder+".log")
	if err != nil {
		return nil, err
	}
	return &server{name: name, Process: s.Process, client: newClient(s.Endpoint, s.AccessKey, s.SecretKey, nil)}, nil
}

// startRivalTLS is startRival over TLS, with a certificate that it makes in dir.
func startRivalTLS(ctx context.Context, name, folder, dir string) (_ *server, caFile string, err error) {
	cert, err := servers.NewCertificate(dir)
	if err != nil {
		return nil, "", err
	}
	s, err := servers.StartVersitygwTLS(ctx, folder, folder+".log", cert)
	if err != nil {
		return nil, "", err
	}
	t, err := s.Transport()
	if err != nil {
		return nil, "", errors.Join(err, s.Stop())
	}
	c := newClient(s.Endpoint, s.AccessKey, s.SecretKey, t.TLSClientConfig)
	return &server{name: name, Process: s.Process, client: c}, s.CAFile, nil
}

// startPair starts the gateway and its rival over new folders in dir, after
// fill, if any, has put something into them.
func (b *bench) startPair(ctx context.Context, dir string, fill func(gateway, rival string) error) (_ []*server, err error) {
	data, folder := filepath.Join(dir, ours), filepath.Join(dir, rival)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	if fill != nil {
		if err := fill(data, folder); err != nil {
			return nil, err
		}
	}
	g, err := b.startGateway(ctx, ours, data)
	if err != nil {
		return nil, err
	}
	r, err := startRival(ctx, rival, folder)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	return []*server{g, r}, nil
}

// closeAll ends servers in their order: those that use others come first.
func closeAll(list []*server) error {
	var errs []error
	for _, s := range list {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
