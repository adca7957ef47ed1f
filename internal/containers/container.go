//go:build linux

package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// Container is a place on a Host in which a program runs. Its fields are not changed
// after AddContainer but by the caller, before Start.
type Container struct {
	Name string
	Root Root // Folder is the container's own
	// StopSignal ends the program in order, zero: SIGTERM; and Grace is how long it may
	// take before it is killed.
	StopSignal syscall.Signal
	Grace      time.Duration
	Log        string // path; restarts continue it

	namespace
	host      *Host
	networks  []string
	addresses map[string]netip.Addr // by network
	names     net.PacketConn
	process   *servers.Process
	up        atomic.Bool // its name is known to the others
}

// AddContainer makes a container with an address on each of the networks. Its program
// is not started.
func (h *Host) AddContainer(ctx context.Context, name string, networks ...string) (*Container, error) {
	c := &Container{Name: name, host: h, networks: networks, Log: filepath.Join(h.dir, name+".log")}
	c.Root.Folder = filepath.Join(h.dir, name+".root")
	if err := os.Mkdir(c.Root.Folder, 0o755); err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.containers[name] = c
	h.mu.Unlock()
	return c, c.connect(ctx)
}

// connect gives the container its network: other addresses each time.
func (c *Container) connect(ctx context.Context) (err error) {
	if c.namespace, err = newNamespace(ctx, c.Log); err != nil {
		return err
	}
	if c.names, err = c.serveNames(); err != nil {
		return err
	}
	addresses := make(map[string]netip.Addr)
	for i, name := range c.networks {
		n := c.host.networks[name]
		if n == nil {
			return fmt.Errorf("containers: %s is to be on %s, which there is not", c.Name, name)
		}
		n.last = n.last.Next()
		addresses[name] = n.last
		c.host.links++
		link, eth := "veth"+strconv.Itoa(c.host.links), "eth"+strconv.Itoa(i)
		err := errors.Join(
			c.host.ip(ctx,
				fmt.Sprintf("link add %s type veth peer name %s netns %d", link, eth, c.holder.PID()),
				"link set "+link+" master "+n.bridge+" up"),
			c.ip(ctx,
				"addr add "+netip.PrefixFrom(n.last, n.prefix.Bits()).String()+" dev "+eth,
				"link set "+eth+" up"))
		if err != nil {
			return err
		}
	}
	c.host.mu.Lock()
	c.addresses = addresses
	c.host.mu.Unlock()
	return nil
}

// Address is the container's on a network.
func (c *Container) Address(network string) netip.Addr {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	return c.addresses[network]
}

// Start starts the program. It does not wait for it.
func (c *Container) Start() (err error) {
	c.process, err = c.start(c.Root, c.Log)
	c.up.Store(err == nil)
	return err
}

func (c *Container) start(r Root, log string) (*servers.Process, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return servers.Start(servers.Spec{Name: c.Name, Program: "nsenter", Log: log, Env: []string{variable + "=" + string(text)},
		Args: []string{"--net=" + c.path(), "--", "unshare", "--mount", "--propagation", "private", "--", self}})
}

// Exec runs another program in the container, with its root, user and environment, and
// returns what it writes.
func (c *Container) Exec(ctx context.Context, args ...string) (string, error) {
	r := c.Root
	r.Args = args
	out, err := os.CreateTemp(c.host.dir, "exec-")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	p, err := c.start(r, out.Name())
	if err != nil {
		return "", err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
	}
	text, err := os.ReadFile(out.Name())
	return string(text), errors.Join(err, p.Err())
}

// Ready waits until a probe succeeds, or the program has ended.
func (c *Container) Ready(ctx context.Context, probe func(context.Context) error) error {
	return c.process.Ready(ctx, probe)
}

// Stop ends the program in order. It is an error if that takes longer than Grace, or if
// the program ends in another way than by status 0.
func (c *Container) Stop() error {
	end := c.StopSignal
	if end == 0 {
		end = syscall.SIGTERM
	}
	if err := c.process.Signal(end); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	defer c.up.Store(false)
	select {
	case <-c.process.Done():
		if err := c.process.Err(); err != nil {
			return fmt.Errorf("%s ended: %w; its log ends: %s", c.Name, err, c.process.Tail())
		}
		return nil
	case <-time.After(c.Grace):
		c.process.Kill()
		return fmt.Errorf("%s was still there %s after %v; its log ends: %s", c.Name, c.Grace, end, c.process.Tail())
	}
}

// Kill is kill -9.
func (c *Container) Kill() {
	c.process.Kill()
	c.up.Store(false)
}

// Signal sends a signal to the program.
func (c *Container) Signal(s syscall.Signal) error { return c.process.Signal(s) }

// Tail is the end of the program's log.
func (c *Container) Tail() string { return c.process.Tail() }

// Replace makes the container anew, as for another image, with other addresses. Its
// program has ended; it is not started.
func (c *Container) Replace(ctx context.Context) error {
	c.disconnect()
	return c.connect(ctx)
}

func (c *Container) disconnect() {
	if c.names != nil {
		c.names.Close()
	}
	if c.holder != nil {
		c.holder.Kill()
	}
}

func (c *Container) remove() {
	if c.process != nil {
		c.process.Kill()
	}
	c.disconnect()
}
