//go:build linux && clients

package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/containers"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// image is what this machine has in the place of an image: the gateway built from this
// source for the one that Compose builds, Debian's programs for the others.
type image struct {
	system   bool
	env      []string
	uid, gid int
	stop     syscall.Signal
	mounts   []containers.Mount
	command  []string // where the service names none
	dir      string   // working directory
	// owned are the folders of the image that belong to its user, and so volumes there.
	owned []string
}

const systemPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// postgresCommand does what the entry point of PostgreSQL's image does with its
// variables. Nothing is lost here when the machine fails, so that nothing is synced.
const postgresCommand = `set -e
if ! [ -s "$PGDATA/PG_VERSION" ]; then
	mkdir -p "$PGDATA"
	printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
	initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --no-sync $POSTGRES_INITDB_ARGS
	printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
	printf 'CREATE DATABASE %s\n' "$POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off -c full_page_writes=off`

// images are those of docker-compose.yml by name, without the version.
func images(t *testing.T) map[string]image {
	t.Helper()
	programs, err := servers.PostgresPrograms(servers.Postgres18, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	debian, err := servers.PostgresPrograms(servers.Postgres15, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	versitygw, err := servers.Versitygw.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	built := gatewayImage(t)
	return map[string]image{
		"sanctum-gateway": built,
		"haproxy":         {system: true, env: []string{systemPath}, uid: 99, gid: 99, stop: syscall.SIGUSR1, command: []string{"haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"}},
		"postgres": {system: true, env: []string{"PATH=/programs/bin:" + debian + ":/usr/bin:/bin", "PGDATA=/var/lib/postgresql/18/docker"}, uid: 999, gid: 999, stop: syscall.SIGINT,
			mounts:  []containers.Mount{{Source: filepath.Dir(programs), Target: "/programs", ReadOnly: true}},
			command: []string{"sh", "-c", postgresCommand}, owned: []string{"/var/lib/postgresql"}},
		"versity/versitygw": {system: true, env: []string{systemPath}, mounts: []containers.Mount{{Source: versitygw, Target: "/app/versitygw", ReadOnly: true}}},
		"redis":             {system: true, env: []string{systemPath}, uid: 999, gid: 999, dir: "/data", owned: []string{"/data"}},
		"prom/prometheus": {system: true, env: []string{systemPath}, uid: 65534, gid: 65534, owned: []string{"/prometheus"},
			command: []string{"prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"}},
	}
}

// notRun are the images that nothing here stands in for.
var notRun = []string{"grafana/grafana"}

// gatewayImage is what the Dockerfile makes.
func gatewayImage(t *testing.T) image {
	t.Helper()
	text := read(t, "Dockerfile")
	_, last, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok {
		t.Fatal("the Dockerfile has another shape")
	}
	line := func(word string) string {
		_, rest, ok := strings.Cut(last, "\n"+word+" ")
		if !ok {
			t.Fatalf("the Dockerfile has no %s", word)
		}
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	list := func(word string) (words []string) {
		if err := json.Unmarshal([]byte(line(word)), &words); err != nil {
			t.Fatal(err)
		}
		return words
	}
	i := image{env: dockerfileEnv(t), command: append(list("ENTRYPOINT"), list("CMD")...)}
	uid, gid, _ := strings.Cut(line("USER"), ":")
	i.uid, i.gid = number(t, uid), number(t, gid)
	if line("STOPSIGNAL") != "SIGTERM" || line("VOLUME") != "/data" {
		t.Fatal("the Dockerfile has another shape")
	}
	i.dir, i.owned = line("WORKDIR"), []string{"/data"}
	i.mounts = []containers.Mount{{Source: gateway, Target: "/gateway", ReadOnly: true}}
	return i
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// engine stands in for Compose.
type engine struct {
	t      *testing.T
	host   *containers.Host
	file   composeFile
	dir    string // as the module's folder, with what init.sh made
	images map[string]image
	up     map[string]*containers.Container
	checks map[string][]string // health checks, by service
}

func TestComposeRuns(t *testing.T) {
	t.Parallel()
	dir, variables := initialise(t)
	e := &engine{t: t, file: compose(t, variables), dir: dir, images: images(t), up: make(map[string]*containers.Container), checks: make(map[string][]string)}
	var err error
	if e.host, err = containers.NewHost(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.host.Close)
	e.networks()
	for name := range e.file.Services {
		e.start(name)
	}
	e.healthy("gateway1", "gateway2", "gateway3", "balancer", "redis")
	client, err := e.host.AddContainer(t.Context(), "client", "front")
	if err != nil {
		t.Fatal(err)
	}
	balancer := e.up["balancer"]
	storage := composed{e, "storage"}
	d := &deployment{
		access: variables["S3_ACCESS_KEY"], secret: variables["S3_SECRET_KEY"], storage: storage,
		roads: []road{{name: "balancer", host: balancer.Address("front").String() + ":9000", address: client.Address("front").String(), command: client.Command, dial: client.DialContext}},
		cli: func(ctx context.Context, args ...string) (string, error) {
			return e.up["gateway1"].Exec(ctx, append([]string{"/gateway"}, args...)...)
		},
		kill: func() error { e.up["gateway3"].Kill(); return nil },
		// restart: unless-stopped
		heal: func() error { return composed{e, "gateway3"}.Restart(t.Context()) },
		// As docs/operating/compose.md says.
		roll: func() error {
			for _, name := range []string{"gateway1", "gateway2", "gateway3"} {
				g := e.up[name]
				if err := errors.Join(g.Stop(), g.Replace(t.Context()), composed{e, name}.Restart(t.Context())); err != nil {
					return err
				}
			}
			return nil
		},
	}
	d.pass(t)
	e.scraped()
	// As docker compose stop: what depends on others first.
	for _, name := range []string{"balancer", "gateway1", "gateway2", "gateway3", "prometheus", "redis", "storage", "postgres"} {
		if err := e.up[name].Stop(); err != nil && name != "storage" {
			t.Error(err)
		}
	}
}

// networks makes the file's networks.
func (e *engine) networks() {
	e.t.Helper()
	next := 0
	for name, settings := range e.file.Networks {
		next++
		subnet := fmt.Sprintf("172.30.%d.0/24", next)
		if settings, ok := settings.(map[string]any); ok && settings["ipam"] != nil {
			subnet = settings["ipam"].(map[string]any)["config"].([]any)[0].(map[string]any)["subnet"].(string)
		}
		if err := e.host.AddNetwork(e.t.Context(), name, netip.MustParsePrefix(subnet)); err != nil {
			e.t.Fatal(err)
		}
	}
}

// start starts a service after those that it depends on, unless it is there.
func (e *engine) start(name string) {
	t := e.t
	t.Helper()
	s := e.file.Services[name]
	what, _, _ := strings.Cut(s.Image, ":")
	if e.up[name] != nil || slices.Contains(notRun, what) {
		return
	}
	for other, healthy := range s.dependencies() {
		e.start(other)
		if healthy {
			e.healthy(other)
		}
	}
	img, ok := e.images[what]
	if !ok {
		t.Fatalf("%s: nothing stands in for the image %s", name, s.Image)
	}
	c, err := e.host.AddContainer(t.Context(), name, s.Networks...)
	if err != nil {
		t.Fatal(err)
	}
	e.up[name] = c
	c.StopSignal, c.Grace = img.stop, 10*time.Second // Docker's
	if s.StopGracePeriod != "" {
		if c.Grace, err = time.ParseDuration(s.StopGracePeriod); err != nil {
			t.Fatal(err)
		}
	}
	r := &c.Root
	r.System, r.Mounts, r.ReadOnly = img.system, slices.Clone(img.mounts), s.ReadOnly
	r.Dir, r.UID, r.GID = img.dir, img.uid, img.gid
	r.Args = append(slices.Clone(s.Entrypoint), s.Command...)
	if len(r.Args) == 0 {
		r.Args = img.command
	}
	for i, a := range r.Args {
		r.Args[i] = strings.ReplaceAll(a, "$$", "$")
	}
	if uid, gid, ok := strings.Cut(s.User, ":"); ok {
		r.UID, r.GID = number(t, uid), number(t, gid)
	}
	r.Env = slices.Clone(img.env)
	for key, value := range s.Environment {
		r.Env = append(r.Env, key+"="+value)
	}
	r.Confined = slices.Contains(s.CapDrop, "ALL") && slices.Contains(s.SecurityOpt, "no-new-privileges:true")
	for _, m := range s.Tmpfs {
		target, options, _ := strings.Cut(m, ":")
		r.Mounts = append(r.Mounts, containers.Mount{Target: target, Options: options})
	}
	for _, v := range s.Volumes {
		r.Mounts = append(r.Mounts, e.volume(img, v))
	}
	e.checks[name] = s.Healthcheck.Test
	if what == "sanctum-gateway" {
		e.checks[name] = imageCheck(t)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
}

// dependencies are the services that one depends on, and whether they must be healthy
// before it starts.
func (s service) dependencies() map[string]bool {
	all := map[string]bool{}
	var names []string
	var conditions map[string]struct{ Condition string }
	if s.DependsOn.Decode(&names) == nil {
		for _, name := range names {
			all[name] = false
		}
	} else if s.DependsOn.Decode(&conditions) == nil {
		for name, c := range conditions {
			all[name] = c.Condition == "service_healthy"
		}
	}
	return all
}

// volume is what a service mounts: a file of the module or of init.sh, or a volume.
func (e *engine) volume(img image, v any) containers.Mount {
	t := e.t
	t.Helper()
	if long, ok := v.(map[string]any); ok {
		return containers.Mount{Source: filepath.Join(e.dir, long["source"].(string)), Target: long["target"].(string), ReadOnly: long["read_only"] == true}
	}
	parts := strings.Split(v.(string), ":")
	m := containers.Mount{Target: parts[1], ReadOnly: len(parts) == 3 && parts[2] == "ro"}
	if strings.HasPrefix(parts[0], "./") {
		path, err := filepath.Abs(filepath.Join(root, parts[0]))
		if err != nil {
			t.Fatal(err)
		}
		m.Source = path
		return m
	}
	m.Source = filepath.Join(t.TempDir(), parts[0])
	err := os.MkdirAll(m.Source, 0o755)
	if slices.Contains(img.owned, m.Target) {
		err = errors.Join(err, os.Chown(m.Source, img.uid, img.gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// imageCheck is the health check that the image brings.
func imageCheck(t *testing.T) []string {
	t.Helper()
	_, line, ok := strings.Cut(read(t, "Dockerfile"), "\nHEALTHCHECK ")
	line, _, _ = strings.Cut(line, "\n")
	_, command, found := strings.Cut(line, "CMD ")
	var words []string
	if !ok || !found || json.Unmarshal([]byte(command), &words) != nil {
		t.Fatalf("the Dockerfile's HEALTHCHECK: %s", line)
	}
	return append([]string{"CMD"}, words...)
}

// healthy waits until the health checks of services succeed.
func (e *engine) healthy(names ...string) {
	e.t.Helper()
	for _, name := range names {
		if err := e.awaitHealth(e.t.Context(), name); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *engine) awaitHealth(ctx context.Context, name string) error {
	check := e.checks[name]
	switch {
	case len(check) < 2:
		return fmt.Errorf("%s has no health check", name)
	case check[0] == "CMD":
		check = check[1:]
	case check[0] == "CMD-SHELL":
		check = []string{"/bin/sh", "-c", strings.ReplaceAll(check[1], "$$", "$")}
	}
	c := e.up[name]
	return c.Ready(ctx, func(ctx context.Context) error {
		out, err := c.Exec(ctx, check...)
		if err != nil {
			err = fmt.Errorf("%q: %w: %s", check, err, out)
		}
		return err
	})
}

// scraped: Prometheus of the file finds what it is told to look at.
func (e *engine) scraped() {
	t := e.t
	t.Helper()
	p := e.up["prometheus"]
	client := &http.Client{Transport: &http.Transport{DialContext: e.up["balancer"].DialContext}}
	err := p.Ready(t.Context(), func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Address("front").String()+":9090/api/v1/targets?state=active", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var answer struct {
			Data struct {
				ActiveTargets []struct{ ScrapeURL, Health, LastError string }
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return err
		}
		up := 0
		for _, a := range answer.Data.ActiveTargets {
			if a.Health == "up" {
				up++
			}
		}
		if up < 4 || up < len(answer.Data.ActiveTargets) {
			return fmt.Errorf("targets: %+v", answer.Data.ActiveTargets)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// composed is a service that is stopped and started again.
type composed struct {
	e    *engine
	name string
}

func (c composed) Stop() error { c.e.up[c.name].Kill(); return nil }

func (c composed) Restart(ctx context.Context) error {
	if err := c.e.up[c.name].Start(); err != nil {
		return err
	}
	return c.e.awaitHealth(ctx, c.name)
}
