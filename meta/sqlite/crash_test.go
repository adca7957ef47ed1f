package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/metatest"
)

// The environment of a child process to be killed: its role and its store.
const (
	crashRole = "SANCTUM_TEST_CRASH"
	crashPath = "SANCTUM_TEST_STORE"
)

const (
	crashRounds  = 6
	crashWriters = 8
	crashKeys    = 5 // per writer, so that it overwrites
	nothing      = "-"

	crashOpenings = 20
	crashWithin   = 10 * time.Millisecond // about the time to create a store
)

func TestMain(m *testing.M) {
	switch path := os.Getenv(crashPath); os.Getenv(crashRole) {
	case "":
		os.Exit(m.Run())
	case "write":
		exitWith(crashWrite(path))
	case "open":
		exitWith(crashOpen(path))
	}
	exitWith(errors.New("unknown role"))
}

func exitWith(err error) {
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
}

// crashOpen opens and closes a store until it is killed. The first time, it creates
// and migrates the store.
func crashOpen(path string) error {
	tell("opening")
	for {
		s, err := Open(path, Options{})
		if err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
}

// crashWrite commits from many goroutines until it is killed. It prints "try key
// version" before an intent, and "ack key version" after it.
func crashWrite(path string) error {
	s, err := Open(path, Options{})
	if err != nil {
		return err
	}
	b, err := s.Bucket(context.Background(), "bench")
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range crashWriters {
		c := crasher{s: s, bucket: b.ID, holder: meta.NewID(), name: fmt.Sprint("w", w)}
		go func() { failed <- c.run() }()
	}
	return <-failed
}

type crasher struct {
	s      meta.Store
	bucket meta.ID
	holder meta.ID
	name   string
}

func (c *crasher) run() error {
	for i := 0; ; i++ {
		err := c.object(fmt.Sprint(c.name, "/", i%crashKeys), i%7 == 6)
		if err == nil && i%10 == 0 {
			err = c.upload(c.name + "/upload")
		}
		if err != nil {
			return fmt.Errorf("%s, step %d: %w", c.name, i, err)
		}
	}
}

// tell prints a line with one write, which a pipe accepts whole.
func tell(words ...any) { os.Stdout.WriteString(fmt.Sprintln(words...)) }

func (c *crasher) object(key string, remove bool) error {
	ctx := context.Background()
	if remove {
		tell("try", key, nothing)
		if _, err := c.s.RemoveObjects(ctx, c.bucket, meta.VersioningOff, []meta.Removal{{Key: key}}, time.Now()); err != nil {
			return err
		}
		tell("ack", key, nothing)
		return nil
	}
	id, err := c.reserve()
	if err != nil {
		return err
	}
	v := newVersion(c.bucket, key)
	v.Body = meta.Body{Kind: meta.BodyBlob, Blob: id}
	v.Manifest = []byte(strings.Repeat(v.ID.String(), 50))
	tell("try", key, v.ID)
	if err := c.s.CommitObject(ctx, meta.Commit{Version: v, Holder: c.holder}); err != nil {
		return err
	}
	tell("ack", key, v.ID)
	return nil
}

func (c *crasher) reserve() (meta.BlobID, error) {
	id := newBlobID()
	return id, c.s.Reserve(context.Background(), c.holder, meta.FirstBackend, []meta.BlobID{id}, time.Now())
}

// upload completes an object of two parts, one of which is dropped.
func (c *crasher) upload(key string) error {
	ctx := context.Background()
	u := meta.Upload{ID: meta.NewID(), Bucket: c.bucket, Key: key, Created: time.Now()}
	if err := c.s.CreateUpload(ctx, u); err != nil {
		return err
	}
	for n := 1; n <= 2; n++ {
		id, err := c.reserve()
		if err != nil {
			return err
		}
		part := meta.Part{Upload: u.ID, Number: n, Attempt: meta.NewID(), Modified: time.Now(), Blobs: []meta.BlobID{id}}
		if err := c.s.PutPart(ctx, meta.PutPart{Part: part, Holder: c.holder}); err != nil {
			return err
		}
	}
	v := newVersion(c.bucket, key)
	v.Body = meta.Body{Kind: meta.BodyUpload, Upload: u.ID}
	tell("try", key, v.ID)
	err := c.s.CompleteUpload(ctx, meta.Complete{Upload: u.ID, Revision: 2, Chosen: []meta.PartRun{{First: 2, Count: 1}}, Version: v})
	if err != nil {
		return err
	}
	tell("ack", key, v.ID)
	return nil
}

// kill runs a child in a role, and kills it when until returns true for its last
// line. It returns all lines, including those still in the pipe.
func kill(t *testing.T, role, path string, until func(line string) bool) (lines []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashRole+"="+role, crashPath+"="+path)
	var complaint strings.Builder
	child.Stderr = &complaint
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	in := bufio.NewScanner(out)
	for in.Scan() {
		lines = append(lines, in.Text())
		if !killed && until(in.Text()) {
			killed = true
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := child.Wait(); err == nil || !killed {
		t.Fatalf("the child ended by itself: %v: %s", err, complaint.String())
	}
	return lines
}

// A killed process loses no acknowledged change, and its unfinished changes are
// whole or absent.
func TestKilledWhileCommitting(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	path, bucket := closedStore(t)
	now := make(map[string]string) // key: version
	for round := range crashRounds {
		acks, enough := 0, 30+r.IntN(400)
		lines := kill(t, "write", path, func(line string) bool {
			if strings.HasPrefix(line, "ack ") {
				acks++
			}
			return acks == enough
		})
		tried := make(map[string]string)
		for _, line := range lines {
			var verb, key, version string
			if _, err := fmt.Sscan(line, &verb, &key, &version); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if verb == "try" {
				tried[key] = version
				continue
			}
			now[key] = version
			delete(tried, key)
		}
		s, err := Open(path, Options{Report: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		for key := range union(now, tried) {
			got := nothing
			v, err := s.Object(t.Context(), bucket, key)
			if err == nil {
				got = v.ID.String()
			} else if !errors.Is(err, meta.ErrNotFound) {
				t.Fatal(err)
			}
			was := now[key]
			if was == "" {
				was = nothing
			}
			if got != was && got != tried[key] {
				t.Errorf("seed %d, round %d: %s is %s, want what was acknowledged, %s, or what was under way, %s", seed, round, key, got, was, tried[key])
			}
			if err == nil && v.Body.Kind == meta.BodyBlob && string(v.Manifest) != strings.Repeat(got, 50) {
				t.Errorf("seed %d, round %d: %s has another version's manifest", seed, round, key)
			}
			now[key] = got
		}
		if err := metatest.CheckLedger(t.Context(), s); err != nil {
			t.Errorf("seed %d, round %d: %v", seed, round, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(now) < crashWriters*crashKeys {
		t.Errorf("only %d keys were written", len(now))
	}
	wantIntact(t, path)
}

func union(maps ...map[string]string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range maps {
		for k := range m {
			all[k] = true
		}
	}
	return all
}

// wantIntact runs SQLite's integrity check.
func wantIntact(t *testing.T, path string) {
	t.Helper()
	pool, err := openPool(path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.close()
	var verdict string
	if err := pool.db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
}

// A process that is killed while it creates or migrates a store leaves one that the
// next process can open.
func TestKilledWhileOpening(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for i := range crashOpenings {
		path := filepath.Join(dir, fmt.Sprint(i, ".db"))
		kill(t, "open", path, func(string) bool {
			time.Sleep(time.Duration(r.Int64N(int64(crashWithin))))
			return true
		})
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, i, err)
		}
		addBucket(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wantIntact(t, path)
	}
}
