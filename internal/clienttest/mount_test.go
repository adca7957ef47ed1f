//go:build clients

package clienttest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const mountTimeout = 60 * time.Second // for a mount to appear, and for its program to end

// mount is a file system of FUSE, served by a program in the foreground.
type mount struct {
	root   string // where it is mounted
	umount *program
	cmd    *exec.Cmd
	done   chan error // the end of cmd
	log    *bytes.Buffer
}

// startMount starts the program p with the arguments and returns when its file system
// is there. Whatever happens to the test, it is unmounted.
func startMount(t *testing.T, g *gateway, p *program, root string, args ...string) *mount {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Fatalf("%s cannot mount here: %v", filepath.Base(p.path), err)
	}
	must(t, os.MkdirAll(root, 0o700))
	m := &mount{root: root, umount: require(t, g, "fusermount", "fuse3"), log: new(bytes.Buffer), done: make(chan error, 1)}
	m.cmd = exec.Command(p.path, args...)
	m.cmd.Env, m.cmd.Dir = p.env, p.dir
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	// Such a program unmounts on SIGTERM, which it gets when this process is killed.
	// The kernel counts the thread that started it, so that one is held.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.cmd.Start()
		started <- err
		if err == nil {
			m.done <- m.cmd.Wait()
		}
	}()
	must(t, <-started)
	t.Cleanup(func() {
		if mounted(t, m.root) {
			t.Errorf("%s was still mounted", m.root)
			m.kill()
		}
	})
	for deadline := time.Now().Add(mountTimeout); !mounted(t, root); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-m.done:
			m.done <- err
			t.Fatalf("%s ended: %v\n%s", p.path, err, m.log)
		default:
		}
		if time.Now().After(deadline) {
			m.kill()
			t.Fatalf("%s did not mount in %s\n%s", p.path, mountTimeout, m.log)
		}
	}
	return m
}

// mounted tells whether another file system than its parent's is at the path.
func mounted(t *testing.T, path string) bool {
	t.Helper()
	var at, above syscall.Stat_t
	must(t, syscall.Stat(filepath.Dir(path), &above))
	// A mount whose process has died answers with an error.
	return syscall.Stat(path, &at) != nil || at.Dev != above.Dev
}

// unmount demands that the program ends in order.
func (m *mount) unmount(t *testing.T) {
	t.Helper()
	m.umount.run("-u", m.root)
	select {
	case err := <-m.done:
		m.done <- err
		if err != nil {
			t.Fatalf("%s: %v\n%s", m.cmd.Path, err, m.log)
		}
	case <-time.After(mountTimeout):
		t.Fatalf("%s is there %s after it was unmounted", m.cmd.Path, mountTimeout)
	}
}

// kill is kill -9 of the program; the path is a folder again.
func (m *mount) kill() {
	m.cmd.Process.Kill()
	m.done <- <-m.done
	m.umount.try("", "-u", "-z", m.root)
}
