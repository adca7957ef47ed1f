//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"debug/buildinfo"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// What the gateway is measured against.
const (
	rivalPath    = "github.com/versity/versitygw/cmd/versitygw"
	rivalVersion = "v1.8.0"
)

// Names of the servers, which are the columns of the table.
const (
	ours  = "gateway"
	rival = "versitygw"
)

const region = "us-east-1"

// bench is a run.
type bench struct {
	options
	dir            string // temporary
	gateway, rival string // the programs
}

// programs builds the gateway, and the rival unless bin holds this version of it.
func (b *bench) programs(ctx context.Context, root, bin string) error {
	b.gateway, b.rival = filepath.Join(b.dir, ours), filepath.Join(bin, rival)
	progress("building the gateway")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=auto", "-o", b.gateway, "./cmd/gateway")
	build.Dir, build.Stdout, build.Stderr = root, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the gateway: %w", err)
	}
	if info, err := buildinfo.ReadFile(b.rival); err == nil && info.Main.Version == rivalVersion {
		return nil
	}
	progress("installing %s@%s into %s", rivalPath, rivalVersion, bin)
	install := exec.CommandContext(ctx, "go", "install", rivalPath+"@"+rivalVersion)
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	install.Stdout, install.Stderr = os.Stderr, os.Stderr
	if err := install.Run(); err != nil {
		return fmt.Errorf("install %s: %w", rivalPath, err)
	}
	return nil
}

// server is a running process and a client of it.
type server struct {
	*process
	*client
}

func (s *server) close() error {
	s.http.CloseIdleConnections()
	return s.stop()
}

// credentials are new for every server.
func credentials() (access, secret string) {
	return "BENCH" + rand.Text()[:15], rand.Text() + rand.Text()
}

// startGateway serves the data folder, which may be new.
func (b *bench) startGateway(ctx context.Context, data string) (*server, error) {
	addr, err := freeAddresses(3)
	if err != nil {
		return nil, err
	}
	access, secret := credentials()
	env := []string{"SANCTUM_ACCESS_KEY=" + access, "SANCTUM_SECRET_KEY=" + secret}
	p, err := startProcess(ours, data+".log", env, b.gateway,
		"serve", "--data", data, "--s3", addr[0], "--admin", addr[1], "--metrics", addr[2])
	if err != nil {
		return nil, err
	}
	return connect(ctx, &server{p, newClient("http://"+addr[0], access, secret)})
}

// startRival serves the folder, which must exist. Connections are kept open as
// the gateway keeps them; all else is as versitygw comes.
func (b *bench) startRival(ctx context.Context, data string) (*server, error) {
	addr, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	access, secret := credentials()
	env := []string{"ROOT_ACCESS_KEY=" + access, "ROOT_SECRET_KEY=" + secret}
	p, err := startProcess(rival, data+".log", env, b.rival,
		"--port", addr[0], "--region", region, "--keep-alive", "posix", data)
	if err != nil {
		return nil, err
	}
	return connect(ctx, &server{p, newClient("http://"+addr[0], access, secret)})
}

// connect waits until the server answers a signed request.
func connect(ctx context.Context, s *server) (*server, error) {
	err := s.ready(ctx, func(ctx context.Context) error {
		_, err := s.list(ctx, "/")
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// startPair starts both servers over new folders with the name, after fill, if
// any, has put something into them.
func (b *bench) startPair(ctx context.Context, name string, fill func(gateway, rival string) error) (pair []*server, err error) {
	folders := []string{filepath.Join(b.dir, name+"-"+ours), filepath.Join(b.dir, name+"-"+rival)}
	if err := os.Mkdir(folders[1], 0o755); err != nil {
		return nil, err
	}
	if fill != nil {
		if err := fill(folders[0], folders[1]); err != nil {
			return nil, err
		}
	}
	for i, start := range []func(context.Context, string) (*server, error){b.startGateway, b.startRival} {
		s, err := start(ctx, folders[i])
		if err != nil {
			return nil, errors.Join(err, closeAll(pair))
		}
		pair = append(pair, s)
	}
	return pair, nil
}

func closeAll(servers []*server) error {
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// freeAddresses are loopback addresses that nobody listens on at the moment.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
