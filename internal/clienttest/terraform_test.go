//go:build clients

package clienttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// lockTimeout is for one run to take the lock, on a busy machine.
const lockTimeout = 2 * time.Minute

// TestTerraformState keeps the state of an infrastructure in a bucket, locked by
// objects that are created only where there is none (use_lockfile): with
// Terraform where the machine has one that knows it, else with OpenTofu, which
// takes many minutes to build.
func TestTerraformState(t *testing.T) {
	path, err := exec.LookPath("terraform")
	present := err == nil && knowsLockfile(t, path)
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		if present {
			testInfrastructure(t, newProgram(t, g, path), g)
			return
		}
		testInfrastructure(t, installed(t, g, servers.OpenTofu), g)
	})
}

// knowsLockfile tells whether a Terraform is of release 1.10 or later.
func knowsLockfile(t *testing.T, path string) bool {
	t.Helper()
	out, err := exec.Command(path, "version").Output()
	must(t, err)
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "Terraform v%d.%d", &major, &minor); err != nil {
		t.Fatalf("%s: %v in %q", path, err, out)
	}
	return major > 1 || minor >= 10
}

func testInfrastructure(t *testing.T, p *program, g *gateway) {
	// Its telemetry and registries are elsewhere; what is used here is built in.
	p.with("TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1", "TF_CLI_ARGS=-no-color")
	p.version("version")
	c := &stateTest{program: p, g: g, bucket: bucketName(t)}
	must(t, newMinio(t, g).MakeBucket(t.Context(), c.bucket, minio.MakeBucketOptions{}))
	// Two people work with one state.
	c.mine, c.other = c.checkout(), c.checkout()
	for _, part := range []func(*testing.T){c.apply, c.workspaces, c.pushed, c.locked, c.died, c.refused, c.destroy} {
		part(t)
	}
}

const stateKey = "states/of a/terraform.tfstate"

type stateTest struct {
	*program
	g           *gateway
	bucket      string
	mine, other *program
}

// checkout is a folder with the configuration, ready for work. While the file
// "hold" lies in it, its runs hold the lock.
func (c *stateTest) checkout() *program {
	c.t.Helper()
	dir := c.t.TempDir()
	writeFile(c.t, filepath.Join(dir, "main.tf"), fmt.Sprintf(`
terraform {
  backend "s3" {
    bucket                      = %q
    key                         = %q
    region                      = %q
    endpoints                   = { s3 = %q }
    use_path_style              = true
    use_lockfile                = true
    max_retries                 = 1
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
  }
}
variable "colour" {}
resource "terraform_data" "one" {
  input            = var.colour
  triggers_replace = var.colour
  provisioner "local-exec" {
    command = "touch running; while [ -e hold ]; do sleep 0.05; done"
  }
}
output "colour" { value = terraform_data.one.output }
`, c.bucket, stateKey, region, c.g.s3))
	p := c.at(dir)
	p.run("init")
	return p
}

func apply(colour string) []string {
	return []string{"apply", "-auto-approve", "-var", "colour=" + colour}
}

func plan(colour string) []string {
	return []string{"plan", "-detailed-exitcode", "-var", "colour=" + colour}
}

func (c *stateTest) apply(t *testing.T) {
	c.mine.run(apply("blue")...)
	c.other.run(plan("blue")...) // its exit status tells of changes
	if out := c.other.run("output", "-raw", "colour"); out != "blue" {
		t.Errorf("output: %q", out)
	}
	if out := c.other.run("state", "list"); out != "terraform_data.one\n" {
		t.Errorf("state list: %q", out)
	}
	c.other.fails("must be replaced", plan("red")...)
	c.noLock(t)
}

// noLock demands that the state is there and no lock beside it.
func (c *stateTest) noLock(t *testing.T) {
	t.Helper()
	keys := ""
	for o := range newMinio(t, c.g).Client.ListObjects(t.Context(), c.bucket, minio.ListObjectsOptions{Recursive: true}) {
		must(t, o.Err)
		keys += o.Key + "\n"
	}
	if keys != stateKey+"\n" {
		t.Errorf("keys:\n%s", keys)
	}
}

func (c *stateTest) workspaces(t *testing.T) {
	c.mine.run("workspace", "new", "second")
	c.mine.run(apply("green")...)
	if out := c.other.run("workspace", "list"); !strings.Contains(out, "second") {
		t.Errorf("workspaces: %q", out)
	}
	if out := c.other.run("output", "-raw", "colour"); out != "blue" {
		t.Errorf("output of the other workspace: %q", out)
	}
	c.mine.run("workspace", "select", "default")
	c.mine.fails("not empty", "workspace", "delete", "second")
	c.mine.run("workspace", "delete", "-force", "second")
	c.noLock(t)
}

// pushed is a state that is written back by hand.
func (c *stateTest) pushed(t *testing.T) {
	state := writeFile(t, filepath.Join(c.home, "state"), c.mine.run("state", "pull"))
	text, err := os.ReadFile(state)
	must(t, err)
	serial := regexp.MustCompile(`"serial": ?\d+`)
	next := writeFile(t, filepath.Join(c.home, "next"), serial.ReplaceAllString(string(text), `"serial": 1000`))
	c.mine.run("state", "push", next)
	if out := c.other.run("state", "pull"); !regexp.MustCompile(`"serial": ?100[01],`).MatchString(out) {
		t.Errorf("state pull: %s", out)
	}
	c.mine.fails("serial", "state", "push", state)
}

// hold begins a run that keeps the lock, and returns when it has it.
func (c *stateTest) hold(t *testing.T, colour string) (cmd *exec.Cmd, done chan error) {
	t.Helper()
	writeFile(t, filepath.Join(c.mine.dir, "hold"), "")
	os.Remove(filepath.Join(c.mine.dir, "running"))
	cmd = exec.Command(c.path, apply(colour)...)
	cmd.Env, cmd.Dir = c.env, c.mine.dir
	must(t, cmd.Start())
	done = make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		os.Remove(filepath.Join(c.mine.dir, "hold"))
		cmd.Process.Kill()
		done <- <-done
	})
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(c.mine.dir, "running")); err == nil {
			return cmd, done
		}
		select {
		case err := <-done:
			done <- err
			t.Fatalf("apply ended before it was to: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("apply did not begin in %s", lockTimeout)
		}
	}
}

// locked runs into the lock of one that lives.
func (c *stateTest) locked(t *testing.T) {
	_, done := c.hold(t, "white")
	c.other.fails("Error acquiring the state lock", apply("black")...)
	must(t, os.Remove(filepath.Join(c.mine.dir, "hold")))
	err := <-done
	done <- err
	must(t, err)
	if out := c.other.run("output", "-raw", "colour"); out != "white" {
		t.Errorf("output: %q", out)
	}
	c.other.run(apply("black")...)
	c.noLock(t)
}

// died leaves its lock behind, which is broken by its id.
func (c *stateTest) died(t *testing.T) {
	cmd, done := c.hold(t, "grey")
	must(t, cmd.Process.Kill())
	done <- <-done
	must(t, os.Remove(filepath.Join(c.mine.dir, "hold")))
	_, stderr, err := c.other.try("", apply("red")...)
	if err == nil {
		t.Fatal("the lock of one that was killed does not hold")
	}
	id := regexp.MustCompile(`ID:\s+([0-9a-f-]{36})`).FindStringSubmatch(stderr)
	if id == nil {
		t.Fatalf("no id of a lock in\n%s", stderr)
	}
	c.other.fails("lock", "force-unlock", "-force", "00000000-0000-0000-0000-000000000000")
	c.other.run("force-unlock", "-force", id[1])
	c.other.run(apply("red")...)
	c.noLock(t)
}

func (c *stateTest) refused(t *testing.T) {
	wrong := *c.mine
	wrong.env = append(append([]string{}, wrong.env...), "AWS_SECRET_ACCESS_KEY=another")
	wrong.fails("SignatureDoesNotMatch", plan("red")...)
}

func (c *stateTest) destroy(t *testing.T) {
	c.mine.run("destroy", "-auto-approve", "-var", "colour=none")
	if out := c.other.run("state", "list"); out != "" {
		t.Errorf("state list: %q", out)
	}
	c.noLock(t)
	noUploads(t, c.g, c.bucket)
}
