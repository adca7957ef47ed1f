//go:build linux && clients

package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/containers"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// dynamicUser is one of those that systemd takes for DynamicUser=.
const dynamicUser = 61234

// storageDropIn is what an operator adds to secrets.conf for a backend's secret.
const storageDropIn = `LoadCredential=storage_secret:/etc/sanctum/storage_secret
Environment=SANCTUM_BACKENDS_MAIN_SECRET_KEY_FILE=%d/storage_secret
`

// machine stands in for systemd: it runs the unit, with the drop-in for secrets, on a
// machine of its own.
type machine struct {
	*containers.Container
	notified net.PacketConn
	restart  time.Duration
}

func TestUnitRuns(t *testing.T) {
	t.Parallel()
	_, variables := initialise(t)
	e := &engine{t: t, file: compose(t, variables), images: images(t), up: make(map[string]*containers.Container), checks: make(map[string][]string)}
	var err error
	if e.host, err = containers.NewHost(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.host.Close)
	e.networks()
	e.start("postgres")
	e.start("storage")
	e.healthy("postgres", "storage")
	balancer, err := e.host.AddContainer(t.Context(), "balancer", "front", "gateways")
	if err != nil {
		t.Fatal(err)
	}
	client, err := e.host.AddContainer(t.Context(), "client", "front")
	if err != nil {
		t.Fatal(err)
	}
	etc := sanctumFolder(t, variables, balancer.Address("gateways").String())
	var machines []*machine
	var gateways []string
	for i := range 2 {
		m := newMachine(t, e.host, fmt.Sprintf("machine%d", i+1), etc)
		if err := m.started(t.Context()); err != nil {
			t.Fatal(err)
		}
		machines = append(machines, m)
		gateways = append(gateways, m.Address("gateways").String()+":9000")
	}
	startNginx(t, balancer, gateways)
	d := &deployment{
		access: variables["S3_ACCESS_KEY"], secret: variables["S3_SECRET_KEY"], storage: composed{e, "storage"},
		roads: []road{{name: "nginx", host: balancer.Address("front").String() + ":80", address: client.Address("front").String(), command: client.Command, dial: client.DialContext}},
		cli: func(ctx context.Context, args ...string) (string, error) {
			return machines[0].Exec(ctx, append([]string{program}, args...)...)
		},
		kill: func() error { machines[1].Kill(); return nil },
		heal: func() error {
			time.Sleep(machines[1].restart)
			return machines[1].started(t.Context())
		},
		roll: func() error { // systemctl restart, on one after the other
			for _, m := range machines {
				if err := errors.Join(m.Stop(), m.started(t.Context())); err != nil {
					return err
				}
			}
			return nil
		},
	}
	d.pass(t)
	t.Run("a reload", func(t *testing.T) { // ExecReload=
		c := d.startClients(t, "reloaded")
		for _, m := range machines {
			if err := m.Signal(syscall.SIGHUP); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
		c.end(t)
	})
	for _, m := range machines {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// sanctumFolder is /etc/sanctum as docs/operating/systemd.md makes it.
func sanctumFolder(t *testing.T, variables map[string]string, proxy string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), gateway, "keyring", "create", "--keyring-path", filepath.Join(dir, "keyring")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		"access_key": variables["S3_ACCESS_KEY"], "secret_key": variables["S3_SECRET_KEY"], "storage_secret": variables["STORAGE_SECRET_KEY"],
		"store_url": "postgres://sanctum:" + variables["POSTGRES_PASSWORD"] + "@postgres:5432/sanctum?sslmode=disable",
		"gateway.env": "# Settings of this gateway.\nSANCTUM_S3_ADDRESS=:9000\nSANCTUM_ALLOW_INSECURE_PUBLIC=s3\nSANCTUM_S3_PROXIES=" + proxy + "\n" +
			"SANCTUM_BACKENDS_MAIN_TYPE=s3\nSANCTUM_BACKENDS_MAIN_ENDPOINT=http://storage:7070\nSANCTUM_BACKENDS_MAIN_BUCKET=sanctum\n" +
			"SANCTUM_BACKENDS_MAIN_REGION=us-east-1\nSANCTUM_BACKENDS_MAIN_ADDRESSING=path\nSANCTUM_BACKENDS_MAIN_ACCESS_KEY=" + variables["STORAGE_ACCESS_KEY"] + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newMachine makes ready what the unit asks for.
func newMachine(t *testing.T, host *containers.Host, name, etc string) *machine {
	t.Helper()
	text := read(t, unit) + read(t, dropIn) + storageDropIn
	one := func(key string) string {
		all := assignments(text, key)
		if len(all) != 1 {
			t.Fatalf("%s is there %d times", key, len(all))
		}
		return all[0]
	}
	duration := func(key string) time.Duration {
		d, err := time.ParseDuration(one(key))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	c, err := host.AddContainer(t.Context(), name, "gateways", "behind")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Container: c, restart: duration("RestartSec")}
	for key, value := range map[string]string{"Type": "notify", "DynamicUser": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "CapabilityBoundingSet": "",
		"NoNewPrivileges": "yes", "MemoryDenyWriteExecute": "yes", "UMask": "0077", "StateDirectoryMode": "0700", "Restart": "on-failure", "KillMode": "mixed", "ExecReload": "/bin/kill -HUP $MAINPID"} {
		if got := one(key); got != value {
			t.Fatalf("%s=%s; this test does what %s says", key, got, value)
		}
	}
	c.Grace = duration("TimeoutStopSec")
	r := &c.Root
	r.System, r.ReadOnly, r.Confined, r.NoWriteExecute, r.Umask = true, true, true, true, 0o077
	r.UID, r.GID, r.NoFile = dynamicUser, dynamicUser, uint64(number(t, one("LimitNOFILE")))
	r.Args = strings.Fields(one("ExecStart"))
	state, credentials, run := t.TempDir(), t.TempDir(), t.TempDir()
	const credentialsAt, notifyAt = "/run/credentials/sanctum-gateway.service", "/run/systemd"
	r.Mounts = []containers.Mount{
		{Source: gateway, Target: program, ReadOnly: true},
		{Source: state, Target: "/var/lib/" + one("StateDirectory")},
		{Source: credentials, Target: credentialsAt, ReadOnly: true},
		{Source: run, Target: notifyAt},
	}
	if err := errors.Join(os.Chown(state, dynamicUser, dynamicUser), os.Chmod(state, 0o700), os.Chmod(run, 0o755)); err != nil {
		t.Fatal(err)
	}
	r.Env = []string{systemPath, "CREDENTIALS_DIRECTORY=" + credentialsAt, "NOTIFY_SOCKET=" + notifyAt + "/notify", "STATE_DIRECTORY=/var/lib/" + one("StateDirectory")}
	for _, e := range assignments(text, "Environment") {
		r.Env = append(r.Env, strings.ReplaceAll(e, "%d", credentialsAt))
	}
	// systemd reads the file as root: it is never seen in the unit.
	settings, err := os.ReadFile(filepath.Join(etc, filepath.Base(strings.TrimPrefix(one("EnvironmentFile"), "-"))))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(settings)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			r.Env = append(r.Env, line)
		}
	}
	for _, load := range assignments(text, "LoadCredential") {
		name, from, _ := strings.Cut(load, ":")
		secret, err := os.ReadFile(filepath.Join(etc, filepath.Base(from)))
		path := filepath.Join(credentials, name)
		// systemd gives it by an access list, which looks like a right of the group.
		if err := errors.Join(err, os.WriteFile(path, secret, 0o440), os.Chown(path, 0, dynamicUser)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(credentials, 0o550), os.Chown(credentials, 0, dynamicUser)); err != nil {
		t.Fatal(err)
	}
	if m.notified, err = net.ListenPacket("unixgram", filepath.Join(run, "notify")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.notified.Close() })
	if err := os.Chmod(filepath.Join(run, "notify"), 0o777); err != nil {
		t.Fatal(err)
	}
	return m
}

// started starts the unit and waits until it says that it is ready, as Type=notify does.
func (m *machine) started(ctx context.Context) error {
	if err := m.Start(); err != nil {
		return err
	}
	buf := make([]byte, 1000)
	return m.Ready(ctx, func(context.Context) error {
		if err := m.notified.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return err
		}
		n, _, err := m.notified.ReadFrom(buf)
		if err == nil && !strings.Contains(string(buf[:n]), "READY=1") {
			err = fmt.Errorf("it says %q", buf[:n])
		}
		return err
	})
}

// startNginx starts nginx with the shipped configuration in a container, before gateways
// by host:port.
func startNginx(t *testing.T, c *containers.Container, gateways []string) {
	t.Helper()
	text, err := servers.NginxConfig("/run", "80", gateways)
	file := filepath.Join(t.TempDir(), "nginx.conf")
	if err := errors.Join(err, os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	c.Root.System, c.Root.Env, c.Root.Args = true, []string{systemPath}, []string{"nginx", "-e", "stderr", "-p", "/run", "-c", "/etc/nginx/nginx.conf"}
	c.Root.Mounts = []containers.Mount{{Source: file, Target: "/etc/nginx/nginx.conf", ReadOnly: true}, {Target: "/run"}, {Target: "/var/lib/nginx"}, {Target: "/var/log/nginx"}}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	probe := &http.Client{Transport: &http.Transport{DialContext: c.DialContext}}
	err = c.Ready(t.Context(), func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Address("front").String()+"/", nil)
		if err != nil {
			return err
		}
		resp, err := probe.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
