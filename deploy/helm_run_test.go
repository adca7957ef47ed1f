//go:build linux && clients

package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sanctum-storage/gateway/internal/containers"
)

const (
	// endpointLag is how long a cluster may take until a pod that is told to end gets no
	// new connections.
	endpointLag = 2 * time.Second
	// serviceIP is the address of the chart's Service.
	serviceIP = "10.96.0.10"
	// restartPause is how long a container that has died is gone.
	restartPause = time.Second
)

// cluster stands in for Kubernetes: it runs the pods of a Deployment, asks their probes,
// and leads connections to those that are ready.
type cluster struct {
	*engine // for what is outside of the chart: PostgreSQL and storage
	all     map[string]object
	work    object
	secrets map[string]map[string]string
	image   image
	client  *containers.Container
	ingress *containers.Container

	mu    sync.Mutex
	pods  []*runningPod
	made  int
	ended []error

	configuring sync.Mutex // the ingress
	ingressUp   atomic.Bool
}

// runningPod is a pod, and what its probes found.
type runningPod struct {
	*containers.Container
	spec  pod
	ready atomic.Bool
	stop  context.CancelFunc
	done  chan struct{} // closed when its probes are no longer asked
}

func TestChartRuns(t *testing.T) {
	t.Parallel()
	_, variables := initialise(t)
	c := &cluster{image: gatewayImage(t), engine: &engine{t: t, file: compose(t, variables), images: images(t), up: make(map[string]*containers.Container), checks: make(map[string][]string)}}
	var err error
	if c.host, err = containers.NewHost(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.host.Close)
	c.networks()
	c.start("postgres")
	c.start("storage")
	c.healthy("postgres", "storage")
	const host = "s3.cluster.test"
	if c.ingress, err = c.host.AddContainer(t.Context(), host, "front", "gateways"); err != nil {
		t.Fatal(err)
	}
	if c.client, err = c.host.AddContainer(t.Context(), "client", "front", "gateways"); err != nil {
		t.Fatal(err)
	}
	c.render(t, variables, host)
	c.startIngress()
	for range c.work.Spec.Replicas {
		if err := c.addPod(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(c.stopAll)
	for _, p := range c.pods {
		if err := c.awaitReady(p); err != nil {
			t.Fatal(err)
		}
	}
	front := c.client.Address("front").String()
	d := &deployment{
		access: variables["S3_ACCESS_KEY"], secret: variables["S3_SECRET_KEY"], storage: composed{c.engine, "storage"},
		roads: []road{
			{name: "service", host: c.serveService(), address: c.client.Address("gateways").String(), command: c.client.Command, dial: c.client.DialContext},
			{name: "ingress", host: host, address: front, command: c.knowing(host), dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return c.client.DialContext(ctx, network, c.ingress.Address("front").String()+":80")
			}},
		},
		cli: func(ctx context.Context, args ...string) (string, error) {
			return c.pods[0].Exec(ctx, append([]string{"/gateway"}, args...)...)
		},
		kill: func() error {
			third := c.pods[2]
			third.Kill()
			third.unwatch()
			c.changed(third, false)
			return nil
		},
		heal: func() error {
			third := c.pods[2]
			time.Sleep(restartPause)
			err := third.Start()
			c.watch(third)
			return errors.Join(err, c.awaitReady(third))
		},
		roll: c.roll,
	}
	d.pass(t)
}

// render renders the chart for three gateways, with an ingress, and makes the secrets
// that it names.
func (c *cluster) render(t *testing.T, variables map[string]string, host string) {
	t.Helper()
	values := map[string]any{
		"config": map[string]any{
			"s3":       map[string]any{"proxies": c.ingress.Address("gateways").String()},
			"backends": map[string]any{"main": map[string]any{"endpoint": "http://storage:7070", "bucket": "sanctum", "region": "us-east-1", "addressing": "path"}},
		},
		"ingress": map[string]any{"enabled": true, "host": host},
	}
	text, err := yaml.Marshal(values)
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	noteChart(t)
	c.all = render(t, "-f", chart+"/ci/postgres-values.yaml", "-f", file)
	c.work = c.all["Deployment release-sanctum-gateway"]
	key := filepath.Join(t.TempDir(), "keyring")
	if out, err := exec.CommandContext(t.Context(), gateway, "keyring", "create", "--keyring-path", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	keyring, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	// As docs/operating/kubernetes.md makes them.
	c.secrets = map[string]map[string]string{
		"gateway-keyring": {"keyring": string(keyring)},
		"gateway-store":   {"url": "postgres://sanctum:" + variables["POSTGRES_PASSWORD"] + "@postgres:5432/sanctum?sslmode=disable"},
		"gateway-root":    {"access_key": variables["S3_ACCESS_KEY"], "secret_key": variables["S3_SECRET_KEY"]},
		"storage":         {"access_key": variables["STORAGE_ACCESS_KEY"], "secret_key": variables["STORAGE_SECRET_KEY"]},
	}
}

// addPod starts a pod as a kubelet does.
func (c *cluster) addPod() error {
	c.made++
	p := &runningPod{spec: c.work.Spec.Template.Spec}
	var err error
	if p.Container, err = c.host.AddContainer(c.t.Context(), "pod"+strconv.Itoa(c.made), "gateways", "behind"); err != nil {
		return err
	}
	p.Grace = time.Duration(p.spec.Grace) * time.Second
	s, rights := p.spec.Containers[0], p.spec.Containers[0].SecurityContext
	r := &p.Root
	r.Args = append(slices.Clone(c.image.command[:1]), s.Args...)
	r.Dir, r.Mounts = c.image.dir, slices.Clone(c.image.mounts)
	r.UID, r.GID = p.spec.SecurityContext["runAsUser"].(int), p.spec.SecurityContext["runAsGroup"].(int)
	r.ReadOnly = rights["readOnlyRootFilesystem"] == true
	r.Confined = rights["allowPrivilegeEscalation"] == false && rights["capabilities"].(map[string]any)["drop"].([]any)[0] == "ALL"
	r.Env = slices.Clone(c.image.env)
	for _, v := range s.Env {
		if ref := v.ValueFrom.SecretKeyRef; ref.Name != "" {
			v.Value = c.secrets[ref.Name][ref.Key]
		}
		r.Env = append(r.Env, v.Name+"="+v.Value)
	}
	for _, m := range s.VolumeMounts {
		i := slices.IndexFunc(p.spec.Volumes, func(v map[string]any) bool { return v["name"] == m.Name })
		if i < 0 {
			return fmt.Errorf("%s mounts %s, which there is not", p.Name, m.Name)
		}
		source, err := c.podVolume(p.spec.Volumes[i], p.spec.SecurityContext["fsGroup"].(int))
		if err != nil {
			return err
		}
		r.Mounts = append(r.Mounts, containers.Mount{Source: source, Target: m.MountPath, ReadOnly: p.spec.Volumes[i]["emptyDir"] == nil})
	}
	if err := p.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.pods = append(c.pods, p)
	c.mu.Unlock()
	c.watch(p)
	return nil
}

// watch begins to ask the probes of a pod that has started.
func (c *cluster) watch(p *runningPod) {
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.done = make(chan struct{})
	go c.probe(ctx, p)
}

// unwatch ends that.
func (p *runningPod) unwatch() {
	p.stop()
	<-p.done
}

// podVolume makes a pod's volume with the owner and rights that a kubelet gives it.
func (c *cluster) podVolume(v map[string]any, group int) (string, error) {
	dir := filepath.Join(c.t.TempDir(), v["name"].(string))
	files, mode := map[string]string{}, os.FileMode(0o644)
	switch {
	case v["emptyDir"] != nil:
		return dir, errors.Join(os.Mkdir(dir, 0o777), os.Chown(dir, 0, group), os.Chmod(dir, 0o777|os.ModeSetgid))
	case v["configMap"] != nil:
		files = c.all["ConfigMap "+v["configMap"].(map[string]any)["name"].(string)].Data
	case v["secret"] != nil:
		s := v["secret"].(map[string]any)
		mode = os.FileMode(s["defaultMode"].(int))
		for _, item := range s["items"].([]any) {
			item := item.(map[string]any)
			files[item["path"].(string)] = c.secrets[s["secretName"].(string)][item["key"].(string)]
		}
	default:
		return "", fmt.Errorf("a volume of another kind: %v", v)
	}
	errs := []error{os.Mkdir(dir, 0o755)}
	for name, text := range files {
		path := filepath.Join(dir, name)
		errs = append(errs, os.WriteFile(path, []byte(text), 0o600), os.Chown(path, 0, group), os.Chmod(path, mode))
	}
	return dir, errors.Join(errs...)
}

// probe asks a pod's probes at their pace: the startup probe until it succeeds once, then
// the others. A pod that would be restarted for its liveness is an error.
func (c *cluster) probe(ctx context.Context, p *runningPod) {
	defer close(p.done)
	s := p.spec.Containers[0]
	if !c.passes(ctx, p, s.StartupProbe, true) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for c.passes(ctx, p, s.ReadinessProbe, true) {
			c.changed(p, true)
			if c.passes(ctx, p, s.ReadinessProbe, false) {
				c.changed(p, false)
			}
		}
	})
	wg.Go(func() {
		if c.passes(ctx, p, s.LivenessProbe, false) {
			c.mu.Lock()
			c.ended = append(c.ended, fmt.Errorf("%s would be restarted for its liveness; its log ends: %s", p.Name, p.Tail()))
			c.mu.Unlock()
		}
	})
	wg.Wait()
}

// passes waits until a probe succeeds, or until it has failed as often in a row as it
// may. It is false when the pod ends before.
func (c *cluster) passes(ctx context.Context, p *runningPod, probe probe, success bool) bool {
	client := &http.Client{Timeout: time.Duration(max(1, probe.TimeoutSeconds)) * time.Second,
		Transport: &http.Transport{DialContext: c.host.DialContext, DisableKeepAlives: true}}
	port := 0
	for _, named := range p.spec.Containers[0].Ports {
		if named.Name == probe.HTTPGet.Port {
			port = named.ContainerPort
		}
	}
	url := fmt.Sprintf("http://%s:%d%s", p.Address("gateways"), port, probe.HTTPGet.Path)
	failed := 0
	for {
		ok := false
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			ok = resp.StatusCode >= 200 && resp.StatusCode < 400
		}
		if failed++; ok {
			failed = 0
		}
		if ok && success || failed >= cmp.Or(probe.FailureThreshold, 3) && !success {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Duration(probe.PeriodSeconds) * time.Second):
		}
	}
}

// changed takes note of a pod's readiness, and tells the ingress.
func (c *cluster) changed(p *runningPod, ready bool) {
	if p.ready.Swap(ready) != ready {
		c.configureIngress()
	}
}

func (c *cluster) awaitReady(p *runningPod) error {
	return p.Ready(c.t.Context(), func(context.Context) error {
		if !p.ready.Load() {
			return errors.New("the pod is not ready")
		}
		return nil
	})
}

// endpoints are the addresses of the pods that are ready.
func (c *cluster) endpoints() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pods {
		if p.ready.Load() {
			all = append(all, netip.AddrPortFrom(p.Address("gateways"), 9000).String())
		}
	}
	return all
}

// serveService is what a cluster does for a Service on the client's own machine: each
// connection goes to one of the pods, with the client's address. It returns the
// Service's host:port.
func (c *cluster) serveService() string {
	t := c.t
	service := c.all["Service release-sanctum-gateway"]
	address := net.JoinHostPort(serviceIP, strconv.Itoa(service.Spec.Ports[0].Port))
	if out, err := c.client.Command(t.Context(), "ip", "addr", "add", serviceIP+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := c.client.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				all := c.endpoints()
				if len(all) == 0 {
					return
				}
				to, err := c.client.DialContext(t.Context(), "tcp", all[rand.IntN(len(all))])
				if err != nil {
					return
				}
				defer to.Close()
				var wg sync.WaitGroup
				wg.Go(func() { pipe(to, from) })
				wg.Go(func() { pipe(from, to) })
				wg.Wait()
			}()
		}
	}()
	return address
}

// pipe copies one way of a connection, and its end.
func pipe(to, from net.Conn) {
	to.(*net.TCPConn).ReadFrom(from)
	to.(*net.TCPConn).CloseWrite()
}

// roll replaces the pods as the Deployment's strategy says: as many more at once as
// maxSurge, and none fewer.
func (c *cluster) roll() error {
	s := c.work.Spec.Strategy.RollingUpdate
	if s.MaxSurge != 1 || s.MaxUnavailable != 0 {
		return fmt.Errorf("this test rolls one by one, the chart %+v", s)
	}
	var wg sync.WaitGroup
	errs := make(chan error, c.work.Spec.Replicas)
	for range c.work.Spec.Replicas {
		if err := c.addPod(); err != nil {
			return err
		}
		if err := c.awaitReady(c.pods[len(c.pods)-1]); err != nil {
			return err
		}
		c.mu.Lock()
		old := c.pods[0]
		c.mu.Unlock()
		wg.Go(func() { errs <- c.terminate(old) })
		time.Sleep(2 * endpointLag)
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// terminate ends a pod: it is told at once, and gets new connections for a while.
func (c *cluster) terminate(p *runningPod) error {
	time.AfterFunc(endpointLag, func() {
		c.mu.Lock()
		c.pods = slices.DeleteFunc(c.pods, func(q *runningPod) bool { return q == p })
		c.mu.Unlock()
		p.unwatch()
		c.configureIngress()
	})
	return p.Stop()
}

func (c *cluster) stopAll() {
	for _, p := range c.pods {
		p.unwatch()
		if err := p.Stop(); err != nil {
			c.t.Error(err)
		}
	}
	if err := errors.Join(c.ended...); err != nil {
		c.t.Error(err)
	}
}

// startIngress starts nginx as ingress-nginx would configure it.
func (c *cluster) startIngress() {
	r := &c.ingress.Root
	dir := filepath.Join(c.t.TempDir(), "nginx")
	if err := os.Mkdir(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	r.System, r.Env, r.Args = true, []string{systemPath}, []string{"nginx", "-e", "stderr", "-c", "/etc/nginx/nginx.conf"}
	r.Mounts = []containers.Mount{{Source: dir, Target: "/etc/nginx", ReadOnly: true}, {Target: "/var/lib/nginx"}, {Target: "/var/log/nginx"}, {Target: "/run"}}
	c.configureIngress()
	if err := c.ingress.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.ingressUp.Store(true)
}

// knowing makes programs those of the client's machine, who find the ingress by its name.
func (c *cluster) knowing(host string) func(context.Context, string, ...string) *exec.Cmd {
	hosts := filepath.Join(c.t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte(c.ingress.Address("front").String()+" "+host+"\n"), 0o644); err != nil {
		c.t.Fatal(err)
	}
	// Other tests may unmount theirs meanwhile: nothing of FUSE is kept.
	const script = `grep " fuse" /proc/self/mounts | while read -r _ at _; do umount --lazy "$at" || exit; done
		mount --bind "$0" /etc/hosts && exec "$@"`
	return func(ctx context.Context, program string, args ...string) *exec.Cmd {
		return c.client.Command(ctx, "unshare", append([]string{"--mount", "--propagation", "private", "--", "/bin/sh", "-c", script, hosts, program}, args...)...)
	}
}

// configureIngress writes what ingress-nginx makes of the Ingress and of the endpoints:
// its defaults, the chart's annotations, and the sizes of buffers that
// docs/operating/balancers.md asks of the controller. nginx reads it again.
func (c *cluster) configureIngress() {
	c.configuring.Lock()
	defer c.configuring.Unlock()
	a := map[string]string{"proxy-body-size": "1m", "proxy-request-buffering": "on", "proxy-buffering": "off", "proxy-read-timeout": "60", "proxy-send-timeout": "60", "proxy-next-upstream": "error timeout"}
	ingress := c.all["Ingress release-sanctum-gateway"]
	for name, value := range ingress.Metadata.Annotations {
		name = strings.TrimPrefix(name, "nginx.ingress.kubernetes.io/")
		if _, known := a[name]; !known {
			c.t.Errorf("the annotation %s means nothing here", name)
		}
		a[name] = value
	}
	var servers strings.Builder
	for _, e := range c.endpoints() {
		fmt.Fprintf(&servers, "\tserver %s max_fails=0;\n", e)
	}
	if servers.Len() == 0 {
		servers.WriteString("\tserver 127.0.0.1:1 down;\n")
	}
	text := fmt.Sprintf(ingressConf, servers.String(), a["proxy-body-size"], a["proxy-request-buffering"], a["proxy-buffering"], a["proxy-read-timeout"], a["proxy-send-timeout"], a["proxy-next-upstream"])
	path := filepath.Join(c.ingress.Root.Mounts[0].Source, "nginx.conf")
	err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o644), os.Rename(path+".new", path))
	if err == nil && c.ingressUp.Load() {
		err = c.ingress.Signal(syscall.SIGHUP)
	}
	if err != nil {
		c.t.Error(err)
	}
}

const ingressConf = `daemon off;
worker_processes 1;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
access_log off;
large_client_header_buffers 8 48k;
upstream upstream_balancer {
%s	keepalive 320;
}
server {
	listen 80;
	location / {
		client_max_body_size %s;
		proxy_request_buffering %s;
		proxy_buffering %s;
		proxy_connect_timeout 5s;
		proxy_read_timeout %ss;
		proxy_send_timeout %ss;
		proxy_next_upstream %s;
		proxy_next_upstream_tries 3;
		proxy_http_version 1.1;
		proxy_set_header Connection "";
		proxy_set_header Host $http_host;
		proxy_set_header X-Real-IP $remote_addr;
		proxy_set_header X-Forwarded-For $remote_addr;
		proxy_set_header X-Forwarded-Host $http_host;
		proxy_set_header X-Forwarded-Port $server_port;
		proxy_set_header X-Forwarded-Proto $scheme;
		proxy_set_header X-Forwarded-Scheme $scheme;
		proxy_set_header X-Scheme $scheme;
		proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
		proxy_redirect off;
		proxy_pass http://upstream_balancer;
	}
}
}
`
