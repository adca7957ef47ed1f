//go:build linux

// Package containers runs programs as a container engine would, but without one:
// each with its own network, the names of the others, its own root, and a user
// without privileges. Tests use it to run the setups in deploy/. It has no images,
// memory limits, process id namespaces or system call filters. It needs root and
// the command ip. It leaves nothing behind on the machine, even when the test is
// killed: everything is in namespaces, which end with their processes.
package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// holdFor is the longest life of a namespace, in seconds, as a last bound.
const holdFor = "3600"

// Host is a machine that containers run on: a network namespace with a bridge for each
// network. Methods are for one goroutine, those of containers for one each.
type Host struct {
	dir string
	namespace

	mu         sync.Mutex
	networks   map[string]*network
	containers map[string]*Container // by name
	links      int
}

type network struct {
	bridge string
	prefix netip.Prefix
	last   netip.Addr // given to a container
}

// NewHost makes a machine without networks. Logs and folders are in dir, which exists.
// The caller closes it.
func NewHost(ctx context.Context, dir string) (*Host, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("containers: network namespaces need root: run the tests as root, or in a container that may make them")
	}
	h := &Host{dir: dir, networks: make(map[string]*network), containers: make(map[string]*Container)}
	var err error
	h.namespace, err = newNamespace(ctx, filepath.Join(dir, "host.log"))
	return h, err
}

// Close ends all containers, by force where they still run.
func (h *Host) Close() {
	for _, c := range h.containers {
		c.remove()
	}
	h.holder.Kill()
}

// AddNetwork makes a network. The machine itself has its first address.
func (h *Host) AddNetwork(ctx context.Context, name string, prefix netip.Prefix) error {
	first := prefix.Addr().Next()
	n := &network{bridge: "br" + strconv.Itoa(len(h.networks)), prefix: prefix, last: first}
	h.networks[name] = n
	return h.ip(ctx,
		"link add "+n.bridge+" type bridge",
		"addr add "+netip.PrefixFrom(first, prefix.Bits()).String()+" dev "+n.bridge,
		"link set "+n.bridge+" up")
}

// namespace is a network namespace. It is there for as long as its holder.
type namespace struct{ holder *servers.Process }

func newNamespace(ctx context.Context, log string) (namespace, error) {
	holder, err := servers.Start(servers.Spec{Name: "namespace", Program: "unshare", Args: []string{"--net", "--", "sleep", holdFor}, Log: log})
	if err != nil {
		return namespace{}, err
	}
	n := namespace{holder}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return n, err
	}
	err = holder.Ready(ctx, func(context.Context) error {
		other, err := os.Readlink(n.path())
		if err == nil && other == own {
			err = errors.New("the namespace is not there yet")
		}
		return err
	})
	if err != nil {
		holder.Kill()
		return n, err
	}
	return n, n.ip(ctx, "link set lo up")
}

func (n namespace) path() string { return fmt.Sprintf("/proc/%d/ns/net", n.holder.PID()) }

// Command is a program of the machine in the namespace.
func (n namespace) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + n.path(), "--", program}, args...)...)
}

// ip runs lines of the command ip.
func (n namespace) ip(ctx context.Context, lines ...string) error {
	cmd := n.Command(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s\n%s", err, lines, out)
	}
	return nil
}

// DialContext connects from the namespace to an address in numbers.
func (n namespace) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = errors.Join(err, n.within(func() (err error) { c, err = (&net.Dialer{}).DialContext(ctx, network, address); return err }))
	return c, err
}

// Listen listens in the namespace, at an address in numbers.
func (n namespace) Listen(ctx context.Context, address string) (l net.Listener, err error) {
	err = n.within(func() (err error) { l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); return err })
	return l, err
}

// within runs do while its thread is in the namespace. The thread must return: if
// it ended, programs that it had started would end too.
func (n namespace) within(do func() error) error {
	there, err := os.Open(n.path())
	if err != nil {
		return err
	}
	defer there.Close()
	runtime.LockOSThread()
	back, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return err
	}
	defer back.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = do()
	if err := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(err) // this thread must not serve others
	}
	runtime.UnlockOSThread()
	return err
}
