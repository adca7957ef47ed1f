//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package fs

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sanctum-storage/gateway/backends"
)

// childEnv makes the test binary play a part instead of running tests.
const childEnv = "SANCTUM_FS_TEST_CHILD"

// unending is the context of a child, which has no test to take one from.
var unending = context.Background()

func TestMain(m *testing.M) {
	part, dir, _ := strings.Cut(os.Getenv(childEnv), " ")
	switch part {
	case "":
		os.Exit(m.Run())
	case "putter":
		putForever(dir)
	case "limited":
		os.Exit(putBeyondLimit(dir))
	}
	fmt.Fprintf(os.Stderr, "unknown part %q\n", part)
	os.Exit(2)
}

func child(t *testing.T, part, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+part+" "+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// crashBody is what the child stores under id: derived from it, so that the
// parent can tell right bytes without having seen them.
func crashBody(id backends.BlobID) []byte {
	sum := sha256.Sum256(id[:])
	rng := rand.NewChaCha8(sum)
	sizes := []int{0, 1, 4096, 65536, 300_000}
	data := make([]byte, sizes[int(sum[0])%len(sizes)])
	rng.Read(data)
	return data
}

// putForever stores blobs from four goroutines and prints each id once its Put
// has returned.
func putForever(dir string) {
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				id := backends.NewBlobID()
				data := crashBody(id)
				err := s.Put(unending, id, &slowReader{data: data}, int64(len(data)))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				os.Stdout.WriteString(id.String() + "\n") // one write(2): whole lines
			}
		})
	}
	wg.Wait()
}

// slowReader hands a body out in pieces, so that a kill finds it half written.
type slowReader struct{ data []byte }

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 4_000)], r.data)
	r.data = r.data[n:]
	return n, nil
}

// TestKill kills a process that stores blobs, again and again over one folder.
// Every acknowledged blob must be exact afterwards, and every visible one too:
// none may be there in part.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	acked := make(map[backends.BlobID]bool)
	leftovers := 0
	for round := range 6 {
		for _, id := range runAndKill(t, dir, 20+rng.IntN(80)) {
			acked[id] = true
		}
		leftovers += len(files(t, filepath.Join(dir, tmpName)))
		s := mustOpen(t, dir, Options{})
		missing := len(acked)
		ids, err := listed(t, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if acked[id] {
				missing--
			}
			if mustGet(t, s, id) != string(crashBody(id)) {
				t.Errorf("seed %d round %d: blob %s is not what was put", seed, round, id)
			}
		}
		if missing != 0 {
			t.Errorf("seed %d round %d: %d of %d acknowledged blobs are gone", seed, round, missing, len(acked))
		}
		if left := files(t, filepath.Join(dir, tmpName)); len(left) > 0 {
			t.Errorf("seed %d round %d: Open left %v", seed, round, left)
		}
		s.Close()
	}
	if leftovers == 0 {
		t.Errorf("seed %d: no kill found a body half written: the test saw nothing", seed)
	}
}

// runAndKill lets the child store n blobs and kills it there. Lines that were
// in the pipe by then count as acknowledged.
func runAndKill(t *testing.T, dir string, n int) []backends.BlobID {
	t.Helper()
	cmd := child(t, "putter", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	var ids []backends.BlobID
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, err := backends.ParseBlobID(lines.Text())
		if err != nil {
			t.Errorf("child printed %q", lines.Text())
			continue
		}
		if ids = append(ids, id); len(ids) == n {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if len(ids) < n {
		t.Fatalf("child stored %d blobs of %d", len(ids), n)
	}
	return ids
}

func TestLockNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "putter", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("Open: %v, want ErrInUse naming %d", err, cmd.Process.Pid)
	}
}

// fileLimit is the child's RLIMIT_FSIZE: to a Put, a file system that is full.
const fileLimit = 100_000

// TestFull runs its checks in a child, because the limit is the process's.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := child(t, "limited", dir).Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := mustOpen(t, dir, Options{})
	if ids, err := listed(t, s); err != nil || len(ids) != 1 {
		t.Errorf("%d blobs, %v; want the one that fits", len(ids), err)
	}
}

func putBeyondLimit(dir string) int {
	limit := unix.Rlimit{Cur: fileLimit, Max: fileLimit}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer s.Close()
	big := 4 * preallocateFrom
	for _, c := range []struct {
		has, size int
		want      error
	}{
		{fileLimit, fileLimit, nil},
		{fileLimit + 1, fileLimit + 1, backends.ErrFull},
		{fileLimit + 1, -1, backends.ErrFull},
		{big, big, backends.ErrFull}, // where preallocation meets the limit
		{big, -1, backends.ErrFull},
	} {
		err := s.Put(unending, backends.NewBlobID(), &slowReader{make([]byte, c.has)}, int64(c.size))
		if !errors.Is(err, c.want) {
			fmt.Printf("%d bytes announced as %d: %v, want %v\n", c.has, c.size, err, c.want)
			return 1
		}
		if left, err := readNames(s.now.Load().tmp); err != nil || len(left) > 0 {
			fmt.Printf("%d bytes: left %v, %v\n", c.has, left, err)
			return 1
		}
	}
	return 0
}
