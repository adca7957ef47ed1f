package clienttest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// programTimeout is for one run of one client; a client that hangs is a failure.
const programTimeout = 5 * time.Minute

// program is an S3 client's command line with an environment of its own: a new
// home, the credential, and nothing of this machine's settings.
type program struct {
	t    *testing.T
	path string
	home string
	env  []string
	dir  string
	as   func(*exec.Cmd) // changes its user; nil: it has this process's
}

// require finds a program that make test or make test-clients installs. A
// missing one is a failure: a test that does not run proves nothing.
func require(t *testing.T, g *gateway, path, debian string) *program {
	t.Helper()
	found, err := exec.LookPath(path)
	if err != nil {
		t.Fatalf("%s is missing: run scripts/setup.sh test (or clients), or apt-get install %s", path, debian)
	}
	return newProgram(t, g, found)
}

// newProgram gives a program that exists its environment.
func newProgram(t *testing.T, g *gateway, path string) *program {
	home := t.TempDir()
	p := &program{t: t, path: path, home: home, dir: home, env: []string{
		"HOME=" + home, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC", "TMPDIR=" + os.TempDir(),
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_DEFAULT_REGION=" + region,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		// A second try would hide the failure of the first.
		"AWS_MAX_ATTEMPTS=1",
		"ENDPOINT=" + g.s3,
	}}
	return p
}

// with adds variables to the environment.
func (p *program) with(env ...string) *program {
	p.env = append(p.env, env...)
	return p
}

// at returns the program with another working folder.
func (p *program) at(dir string) *program {
	q := *p
	q.dir = dir
	return &q
}

// try runs the program and returns both outputs.
func (p *program) try(stdin string, args ...string) (stdout, stderr string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	cmd.WaitDelay = 10 * time.Second
	if p.as != nil {
		p.as(cmd)
	}
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// run demands success and returns what the program printed.
func (p *program) run(args ...string) string {
	p.t.Helper()
	return p.feed("", args...)
}

// feed is run with something on stdin.
func (p *program) feed(stdin string, args ...string) string {
	p.t.Helper()
	stdout, stderr, err := p.try(stdin, args...)
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s%s", filepath.Base(p.path), strings.Join(args, " "), err, last(stdout), last(stderr))
	}
	return stdout
}

// fails demands failure, with words in what the program prints.
func (p *program) fails(words string, args ...string) {
	p.t.Helper()
	stdout, stderr, err := p.try("", args...)
	if err == nil {
		p.t.Fatalf("%s %s: no failure\n%s", filepath.Base(p.path), strings.Join(args, " "), last(stdout))
	}
	if !strings.Contains(stdout+stderr, words) {
		p.t.Fatalf("%s %s: no %q in\n%s%s", filepath.Base(p.path), strings.Join(args, " "), words, last(stdout), last(stderr))
	}
}

// version prints which client was tested.
func (p *program) version(args ...string) {
	p.t.Helper()
	stdout, stderr, err := p.try("", args...)
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", p.path, strings.Join(args, " "), err, stderr)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(stdout+stderr), "\n")
	p.t.Logf("client: %s (%s)", line, p.path)
}

// last is the end of a program's output, which may be long.
func last(s string) string {
	const most = 4000
	if len(s) > most {
		return "… " + s[len(s)-most:]
	}
	return s
}

// bucketName is a name for one test's bucket in the shared gateway.
func bucketName(t *testing.T) string {
	name := strings.ToLower(t.Name())
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.TrimPrefix(name, "test"))
	return strings.Trim(name[:min(len(name), 50)], "-") + "-0"
}
