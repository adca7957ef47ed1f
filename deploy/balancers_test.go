//go:build linux && clients

package deploy

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/internal/topology"
)

// Clients come from another address of loopback than the balancers.
const clientAddress = "127.0.0.2"

// The two configurations of balancers that come with the product, before the same
// gateways.
func TestBalancers(t *testing.T) {
	t.Parallel()
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
	nginx, err := servers.StartNginx(t.Context(), t.TempDir(), gateways)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nginx.Stop(); err != nil {
			t.Error(err)
		}
	})
	d := &deployment{access: top.AccessKey, secret: top.SecretKey, storage: top.S3}
	for _, r := range []struct{ name, url string }{{"direct", top.Gateways[0].URL}, {"haproxy", top.Balancer.URL}, {"nginx", nginx.URL}} {
		d.roads = append(d.roads, road{name: r.name, host: strings.TrimPrefix(r.url, "http://"), address: clientAddress})
	}
	d.cli = func(ctx context.Context, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, top.Binary, append(args, "--admin-url", top.Gateways[0].AdminURL)...)
		cmd.Env = append(os.Environ(), top.Env()...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	third := top.Gateways[2]
	d.kill = func() error { third.Kill(); return nil }
	d.heal = func() error { return third.Restart(t.Context()) }
	d.roll = func() error {
		for _, g := range top.Gateways {
			if err := errors.Join(g.Stop(), g.Restart(t.Context())); err != nil {
				return err
			}
		}
		return nil
	}
	d.pass(t)
}
