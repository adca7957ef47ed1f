//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sanctum-storage/gateway/accounts"
)

// terminal opens a pseudo-terminal. Output to screen is read from host.
func terminal(t *testing.T) (host, screen *os.File) {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	err = unix.IoctlSetPointerInt(int(host.Fd()), unix.TIOCSPTLCK, 0)
	n, number := unix.IoctlGetInt(int(host.Fd()), unix.TIOCGPTN)
	if err := errors.Join(err, number); err != nil {
		t.Fatal(err)
	}
	if screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return host, screen
}

// On a terminal the first start shows the credential with commands to paste,
// and leaves no file.
func TestFirstCredentialOnTerminal(t *testing.T) {
	t.Parallel()
	host, screen := terminal(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(program)
	cmd.Args = []string{"gateway", "serve", "--data", data, "--s3", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}
	cmd.Env, cmd.Stdout = []string{}, screen
	if err := errors.Join(cmd.Start(), screen.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	var shown bytes.Buffer
	for part := make([]byte, 4096); !strings.Contains(shown.String(), "gateway tenant create alice"); {
		n, err := host.Read(part)
		if shown.Write(part[:n]); err != nil {
			t.Fatalf("%v after\n%s", err, shown.String())
		}
	}
	for _, want := range []string{
		"serves S3 at http://127.0.0.1:", "  access key  ", "  secret key  ",
		"aws --endpoint-url http://", "rclone config create sanctum s3 ", "mc alias set sanctum http://",
	} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("no %q in\n%s", want, shown.String())
		}
	}
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(data, firstName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of the credential: %v", err)
	}
}

// The commands to paste name the program as it was called: bin/gateway is not in PATH.
func TestWelcomeNamesTheProgram(t *testing.T) {
	var b bytes.Buffer
	if err := welcome(&b, accounts.Credential{AccessKey: "an-access-key", SecretKey: "a-secret-key"}, "http://127.0.0.1:9000", &Settings{}); err != nil {
		t.Fatal(err)
	}
	if want := "\n  " + os.Args[0] + " tenant create alice\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

// An existing file belongs to another deployment and is not overwritten.
func TestLeaveCredential(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", firstName)
	if err := leaveCredential(path, accounts.Credential{AccessKey: "first", SecretKey: "of the first"}); err != nil {
		t.Fatal(err)
	}
	err := leaveCredential(path, accounts.Credential{AccessKey: "second", SecretKey: "of the second"})
	if text, read := os.ReadFile(path); err == nil || read != nil || !bytes.Contains(text, []byte("of the first")) {
		t.Errorf("%v; %s, %v", err, text, read)
	}
}
