//go:build linux && clients

package deploy

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sanctum-storage/gateway/internal/containers"
)

// TestContainersKeepNoMounts shows that a container has none of the machine's mounts. It
// would keep a file system of FUSE alive that another test unmounts.
func TestContainersKeepNoMounts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
	host, err := containers.NewHost(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	c, err := host.AddContainer(t.Context(), "alone")
	if err != nil {
		t.Fatal(err)
	}
	c.Root.System, c.Root.Env, c.Root.Args = true, []string{systemPath}, []string{"sh", "-c", "echo $$ && exec sleep 60"}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	pid := firstLine(t, c.Log)
	// From the root of its namespace: under the root of its process others are not seen.
	mounts, err := exec.CommandContext(t.Context(), "nsenter", "--mount=/proc/"+pid+"/ns/mnt", "cat", "/proc/self/mountinfo").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, mounts)
	}
	own, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(own), folder) {
		t.Fatal("the mount is not there at all")
	}
	if strings.Contains(string(mounts), folder) {
		t.Errorf("it has the mount at %s", folder)
	}
}

// firstLine waits for the first line of a file.
func firstLine(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if line, _, ok := strings.Cut(string(text), "\n"); ok {
			return line
		}
	}
	t.Fatalf("%s has no line", path)
	return ""
}
