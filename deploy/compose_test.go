//go:build linux

package deploy

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sanctum-storage/gateway/internal/servers"
	"github.com/sanctum-storage/gateway/internal/topology"
)

// service is what the tests read of a service.
type service struct {
	Image       string
	User        string
	ReadOnly    bool `yaml:"read_only"`
	Environment map[string]string
	Volumes     []any
	Ports       []string
	Networks    []string
	// The following is only asked for where the file is run.
	Entrypoint, Command, Tmpfs []string
	CapDrop                    []string `yaml:"cap_drop"`
	SecurityOpt                []string `yaml:"security_opt"`
	StopGracePeriod            string   `yaml:"stop_grace_period"`
	Healthcheck                struct{ Test []string }
	DependsOn                  yaml.Node `yaml:"depends_on"`
}

type composeFile struct {
	Services map[string]service
	Networks map[string]any
	Volumes  map[string]any
}

var reference = regexp.MustCompile(`\$\{([A-Z0-9_]+)(:-|:\?)?([^}]*)\}`)

// compose reads docker-compose.yml with the variables put in, as Compose does;
// those that the file demands must be there.
func compose(t *testing.T, variables map[string]string) (c composeFile) {
	t.Helper()
	text := reference.ReplaceAllStringFunc(read(t, "docker-compose.yml"), func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		value, ok := variables[m[1]]
		switch {
		case ok && value != "":
			return value
		case m[2] == ":-":
			return m[3]
		}
		t.Errorf("docker-compose.yml needs %s, which init.sh does not give", m[1])
		return ""
	})
	dec := yaml.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// initialise runs init.sh in a folder that looks like the module's, and returns
// the folder and the variables of its .env.
func initialise(t *testing.T) (dir string, variables map[string]string) {
	t.Helper()
	dir = t.TempDir()
	script := filepath.Join(dir, "deploy", "compose", "init.sh")
	if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(read(t, "deploy/compose/init.sh")), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := runInit(t, dir); err != nil {
		t.Fatalf("init.sh: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	variables = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			variables[name] = value
		}
	}
	return dir, variables
}

func runInit(t *testing.T, dir string) (string, error) {
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "deploy", "compose", "init.sh"))
	cmd.Env = append(os.Environ(), "GATEWAY="+gateway)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Secrets are made once, differ from run to run, and are their owner's alone.
func TestInit(t *testing.T) {
	dir, first := initialise(t)
	_, second := initialise(t)
	for name, value := range first {
		secret := !strings.HasPrefix(name, "GATEWAY_")
		if secret && (value == second[name] || len(value) < 16) {
			t.Errorf("%s is short or the same twice", name)
		}
	}
	if first["GATEWAY_UID"] == "0" {
		t.Error("the gateways would run as root")
	}
	before := map[string]string{}
	for _, name := range []string{".env", "deploy/compose/secrets/keyring"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", name, info, err)
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = string(b)
	}
	for name, text := range before {
		if out, err := runInit(t, dir); err == nil || !strings.Contains(out, "stays as it is") {
			t.Errorf("a second run: %v\n%s", err, out)
		}
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
			t.Errorf("a second run changed %s: %v", name, err)
		}
	}
	// The key file alone is reason enough to refuse.
	if err := os.Remove(filepath.Join(dir, ".env")); err != nil {
		t.Fatal(err)
	}
	if out, err := runInit(t, dir); err == nil {
		t.Errorf("a run beside an existing key file: %s", out)
	}
}

// dockerfileEnv are the settings that the image brings.
func dockerfileEnv(t *testing.T) (env []string) {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, "Dockerfile"), "\nENV ")
	if !ok {
		t.Fatal("the Dockerfile sets nothing")
	}
	for line := range strings.Lines(rest) {
		line = strings.TrimRight(line, "\n")
		word, more := strings.CutSuffix(strings.TrimSpace(line), " \\")
		env = append(env, word)
		if !more {
			break
		}
	}
	return env
}

func TestImageSettings(t *testing.T) {
	env := dockerfileEnv(t)
	if len(env) < 4 {
		t.Fatal(env)
	}
	checkConfig(t, env...)
}

// The image is built from the files that .dockerignore lets through.
func TestDockerignore(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/gateway")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	let := strings.Split(read(t, ".dockerignore"), "\n")
	seen := 0
	for _, path := range strings.Fields(string(out)) {
		ours, ok := strings.CutPrefix(path, "github.com/sanctum-storage/gateway/")
		if !ok {
			continue
		}
		seen++
		if top, _, _ := strings.Cut(ours, "/"); !slices.Contains(let, "!"+top) {
			t.Errorf("%s is part of the gateway and kept out by .dockerignore", ours)
		}
	}
	if seen < 5 {
		t.Fatalf("only %d packages", seen)
	}
}

// The gateways are given settings that exist, and the same on all of them.
func TestComposeGateways(t *testing.T) {
	_, variables := initialise(t)
	c := compose(t, variables)
	for _, name := range []string{"gateway1", "gateway2", "gateway3"} {
		g := c.Services[name]
		env := dockerfileEnv(t)
		for key, value := range g.Environment {
			env = append(env, key+"="+value)
		}
		checkConfig(t, env...)
		if !maps.Equal(g.Environment, c.Services["gateway1"].Environment) || !g.ReadOnly || g.User == "" || len(g.Ports) != 0 {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// The plain processes of the topology get the settings that Compose gives, so that
// the topology's tests are tests of these.
func TestTopologyIsCompose(t *testing.T) {
	_, variables := initialise(t)
	composed := slices.Sorted(maps.Keys(compose(t, variables).Services["gateway1"].Environment))
	var plain []string
	for _, e := range (&topology.Topology{Postgres: &servers.Postgres{}, S3: &servers.S3Server{}}).Env() {
		name, _, _ := strings.Cut(e, "=")
		plain = append(plain, name)
	}
	slices.Sort(plain)
	if !slices.Equal(composed, plain) {
		t.Errorf("docker-compose.yml sets %q, the topology %q", composed, plain)
	}
}

var pinned = regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$`)

// No image moves by itself, nothing is offered to other machines, what is named
// exists, and no secret is in the file.
func TestComposeIsSafe(t *testing.T) {
	_, variables := initialise(t)
	c := compose(t, variables)
	if len(c.Services) < 9 {
		t.Fatalf("%d services", len(c.Services))
	}
	for name, s := range c.Services {
		if s.Image != "sanctum-gateway:local" && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s is not pinned to a version", name, s.Image)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to other machines", name, p)
			}
		}
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("%s: there is no network %s", name, n)
			}
		}
		for _, v := range s.Volumes {
			checkVolume(t, c, name, v)
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`PASSWORD|SECRET|ACCESS_KEY`).MatchString(key) && !slices.Contains(slices.Collect(maps.Values(variables)), value) {
				t.Errorf("%s: %s is not one of the secrets of init.sh", name, key)
			}
		}
	}
}

// checkVolume finds what a service mounts.
func checkVolume(t *testing.T, c composeFile, name string, v any) {
	t.Helper()
	short, ok := v.(string)
	if !ok {
		if source := v.(map[string]any)["source"]; source != "./deploy/compose/secrets/keyring" {
			t.Errorf("%s mounts %v", name, source)
		}
		return
	}
	source, rest, _ := strings.Cut(short, ":")
	if !strings.HasPrefix(source, "./") {
		if _, ok := c.Volumes[source]; !ok {
			t.Errorf("%s: there is no volume %s", name, source)
		}
		return
	}
	if _, err := os.Stat(filepath.Join(root, source)); err != nil || !strings.HasSuffix(rest, ":ro") {
		t.Errorf("%s mounts %s, which must exist and be read-only: %v", name, short, err)
	}
}

// The balancer's configuration takes what Compose gives it. Names of containers
// cannot be resolved here, and need not be.
func TestComposeBalancer(t *testing.T) {
	_, variables := initialise(t)
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy"
	}
	read(t, "deploy/haproxy/haproxy.cfg") // so that go test runs this again when it changes
	cmd := exec.CommandContext(t.Context(), program, "-c", "-f", filepath.Join(root, "deploy/haproxy/haproxy.cfg"))
	env := compose(t, variables).Services["balancer"].Environment
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, g := range []string{"GATEWAY1", "GATEWAY2", "GATEWAY3"} {
		if env[g] != strings.ToLower(g)+":9000" || env[g+"_METRICS_PORT"] != "9002" {
			t.Errorf("%s is %s", g, env[g])
		}
	}
}
