//go:build linux

package topology

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// Gateway is one gateway of a topology. Its addresses stay the same over
// restarts. The methods other than Ready are for one goroutine at a time.
type Gateway struct {
	URL      string // of its own S3 endpoint
	AdminURL string
	Metrics  string // URL of its metrics listener, without a path
	Log      string // path; restarts continue it

	s3, admin, metrics string // host:port
	data               string
	spec               servers.Spec
	process            *servers.Process
	killed             bool
}

func newGateway(name, dir string, addresses []string) *Gateway {
	g := &Gateway{s3: addresses[0], admin: addresses[1], metrics: addresses[2],
		data: filepath.Join(dir, name), Log: filepath.Join(dir, name+".log")}
	g.URL, g.AdminURL, g.Metrics = "http://"+g.s3, "http://"+g.admin, "http://"+g.metrics
	g.spec = servers.Spec{Name: name, Args: []string{"serve"}, Log: g.Log}
	return g
}

// env are the settings of this gateway alone.
func (g *Gateway) env() []string {
	return []string{
		"SANCTUM_DATA=" + g.data,
		"SANCTUM_S3_ADDRESS=" + g.s3,
		"SANCTUM_ADMIN_ADDRESS=" + g.admin,
		"SANCTUM_METRICS_ADDRESS=" + g.metrics,
	}
}

func (g *Gateway) start() (err error) {
	g.killed = false
	g.process, err = servers.Start(g.spec)
	return err
}

func (g *Gateway) awaitReady(ctx context.Context) error { return g.process.Ready(ctx, g.Ready) }

// Ready asks /readyz once.
func (g *Gateway) Ready(ctx context.Context) error {
	return servers.AnswersOK(g.Metrics + "/readyz")(ctx)
}

// Kill is kill -9. It returns when the process is gone.
func (g *Gateway) Kill() {
	g.killed = true
	g.process.Kill()
}

// Stop ends the gateway as a service manager does, within its shutdown.timeout.
// An exit status other than 0 is an error, unless it was killed. Stopping what
// has ended tells how it ended.
func (g *Gateway) Stop() error {
	if g.process == nil {
		return nil
	}
	if err := g.process.Stop(); err != nil {
		return err
	}
	if err := g.process.Err(); err != nil && !g.killed {
		return fmt.Errorf("%s ended: %w; its log ends: %s", g.spec.Name, err, g.process.Tail())
	}
	return nil
}

// Restart starts the gateway after Stop or Kill and returns when it is ready.
func (g *Gateway) Restart(ctx context.Context) error {
	if err := g.start(); err != nil {
		return err
	}
	return g.awaitReady(ctx)
}

// Pause freezes the process where it is, as a machine does that is suspended;
// Resume lets it go on. A process that has ended is left alone.
func (g *Gateway) Pause() error { return g.signal(syscall.SIGSTOP) }

// Resume ends a Pause. Resuming what was not paused changes nothing.
func (g *Gateway) Resume() error { return g.signal(syscall.SIGCONT) }

func (g *Gateway) signal(s syscall.Signal) error {
	if g.process == nil {
		return nil
	}
	select {
	case <-g.process.Done():
		return nil
	default:
		return g.process.Signal(s)
	}
}
