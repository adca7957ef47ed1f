//go:build linux

package deploy

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
)

const (
	unit    = "deploy/systemd/sanctum-gateway.service"
	dropIn  = "deploy/systemd/secrets.conf"
	program = "/usr/local/bin/gateway"
	// exposure is the most that `systemd-analyze security` may find, from 0 to 100.
	exposure = "15"
)

// assignments are the values of a key in a unit, in order.
func assignments(text, key string) (all []string) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			all = append(all, strings.TrimSpace(value))
		}
	}
	return all
}

// systemd takes the unit, with the drop-in as well, and finds it confined.
func TestUnit(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(read(t, unit), program, gateway, 1)
	path := filepath.Join(dir, filepath.Base(unit))
	conf := filepath.Join(dir, filepath.Base(unit)+".d", "secrets.conf")
	for _, withSecrets := range []bool{false, true} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if withSecrets {
			if err := os.Mkdir(filepath.Dir(conf), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(conf, []byte(read(t, dropIn)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{
			{"verify", "--man=no", "--recursive-errors=no", path},
			{"security", "--no-pager", "--offline=yes", "--threshold=" + exposure, path},
		} {
			out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
			if err != nil || args[0] == "verify" && len(out) > 0 {
				t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
			}
		}
	}
}

// The unit sets settings that exist, and each credential that it loads is used.
func TestUnitSettings(t *testing.T) {
	checkConfig(t, assignments(read(t, unit), "Environment")...)

	// As systemd shows them: readable by the owner and, through an access list that
	// looks like the group's right, by the service.
	credentials := t.TempDir()
	contents := map[string]string{"store_url": "postgres://user:password@host:5432/database",
		"access_key": testAccessKey, "secret_key": testSecretKey, "keyring": "not read here"}
	text := read(t, dropIn)
	env := append(assignments(read(t, unit), "Environment"), "CREDENTIALS_DIRECTORY="+credentials)
	all := strings.Join(assignments(text, "Environment"), "\n")
	for _, load := range assignments(text, "LoadCredential") {
		name, _, _ := strings.Cut(load, ":")
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(contents[name]+"\n"), 0o440); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(all+"\n", "%d/"+name+"\n") {
			t.Errorf("the credential %s is loaded and not used", name)
		}
	}
	for _, e := range assignments(text, "Environment") {
		env = append(env, strings.ReplaceAll(e, "%d", credentials))
	}
	checkConfig(t, env...)
}

// A key file that the group may read is taken below CREDENTIALS_DIRECTORY, where
// Kubernetes (fsGroup) and systemd (access list) show it so, and nowhere else.
func TestKeyFileAsCredential(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "keyring")
	create := exec.CommandContext(t.Context(), gateway, "keyring", "create", "--keyring-path", key)
	create.Env = []string{}
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(key, 0o440); err != nil {
		t.Fatal(err)
	}
	serve := func(env ...string) (*servers.Process, string) {
		addresses, err := servers.FreeAddresses(3)
		if err != nil {
			t.Fatal(err)
		}
		p, err := servers.Start(servers.Spec{Name: "gateway", Program: gateway, Log: filepath.Join(t.TempDir(), "log"),
			Args: []string{"serve", "--data", filepath.Join(t.TempDir(), "data"), "--keyring-path", key,
				"--s3", addresses[0], "--admin", addresses[1], "--metrics", addresses[2]}, Env: env})
		if err != nil {
			t.Fatal(err)
		}
		return p, addresses[2]
	}
	p, metrics := serve("CREDENTIALS_DIRECTORY=" + dir)
	err := p.Ready(t.Context(), func(ctx context.Context) error {
		health := exec.CommandContext(ctx, gateway, "health")
		health.Env = []string{"SANCTUM_METRICS_ADDRESS=" + metrics}
		return health.Run()
	})
	if err := errors.Join(err, p.Stop()); err != nil {
		t.Error(err)
	}
	p, _ = serve()
	<-p.Done()
	if p.Err() == nil || !strings.Contains(p.Tail(), "chmod 600") {
		t.Errorf("a key file that the group can read, elsewhere: %v, %s", p.Err(), p.Tail())
	}
}
