package clienttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	movedObjects = 48
	movedSize    = 3 * mib
)

// backend begins or ends draining.
func (g *gateway) backend(t *testing.T, args ...string) {
	t.Helper()
	text, err := os.ReadFile(g.log)
	must(t, err)
	var admin string
	for line := range bytes.Lines(text) {
		var entry struct{ Msg, Admin string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			admin = entry.Admin
		}
	}
	path, err := gatewayBinary()
	must(t, err)
	cmd := exec.Command(path, append(append([]string{"backend"}, args...), "--admin-url", admin)...)
	cmd.Env = []string{"HOME=" + work, "SANCTUM_ACCESS_KEY=" + accessKey, "SANCTUM_SECRET_KEY=" + secretKey}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("backend %q: %v\n%s", args, err, out)
	}
}

// filesIn counts the files of a folder that is written to.
func filesIn(dir string) (n int) {
	filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return nil // what went while it was looked at
	})
	return n
}

// TestKill9WhileMoving kills the process in the middle of a draining, which is then
// called off. Every object is exact, and what was copied in vain goes when it is discarded.
func TestKill9WhileMoving(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	choice := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	folder := func(name string) string { return filepath.Join(dir, name) }
	env := []string{"SANCTUM_COLLECTOR_GRACE=1s", "SANCTUM_COLLECTOR_INTERVAL=1s", "SANCTUM_BUCKETS=moved", "SANCTUM_PLACEMENT_DEFAULT=east",
		"SANCTUM_BACKENDS_EAST_TYPE=fs", "SANCTUM_BACKENDS_EAST_PATH=" + folder("east"),
		"SANCTUM_BACKENDS_WEST_TYPE=fs", "SANCTUM_BACKENDS_WEST_PATH=" + folder("west")}
	g := restart(t, folder("data"), folder("gateway.log"), env...)
	c := newMinio(t, g)
	key := func(i int) string { return fmt.Sprintf("k%02d", i) }
	for i := range movedObjects {
		body := random(seed, i, movedSize)
		_, err := c.Client.PutObject(t.Context(), "moved", key(i), bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
		must(t, err)
	}
	before, arrived := filesIn(folder("west")), 1+choice.IntN(movedObjects/2)
	g.backend(t, "drain", "east", "--to", "west")
	for deadline := time.Now().Add(killLimit); filesIn(folder("west")) < before+arrived; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is moved")
		}
	}
	g.kill()
	g = restart(t, folder("data"), folder("gateway.log"), env...)
	g.backend(t, "cancel", "east") // a step of it may have begun again
	collected(t, g)
	c = newMinio(t, g)
	for i := range movedObjects {
		o, err := c.Client.GetObject(t.Context(), "moved", key(i), minio.GetObjectOptions{})
		must(t, err)
		if body, err := io.ReadAll(o); err != nil || !bytes.Equal(body, random(seed, i, movedSize)) {
			t.Errorf("%s has %d bytes that are others, or %v", key(i), len(body), err)
		}
		must(t, o.Close())
		must(t, c.Client.RemoveObject(t.Context(), "moved", key(i), minio.RemoveObjectOptions{}))
	}
	collected(t, g)
	g.backend(t, "discard", "west")
	g.backend(t, "discard", "east")
	collected(t, g)
	if r, err := g.fsck("--deep"); err != nil || r.Backend != 0 || r.Doubtful != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	must(t, g.stop())
}
