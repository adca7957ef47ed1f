package fs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
)

// blobPath is where id lies, relative to DIR.
func blobPath(id backends.BlobID) string {
	name, _ := shardOf(id)
	return filepath.Join(blobsName, name, id.String())
}

// plant puts something at the place of a fresh id and returns the id.
func plant(t *testing.T, s *Store, how func(path string) error) backends.BlobID {
	t.Helper()
	id := backends.NewBlobID()
	path := filepath.Join(s.dir, blobPath(id))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := how(path); err != nil {
		t.Fatal(err)
	}
	return id
}

func listed(t *testing.T, s *Store) (ids []backends.BlobID, last error) {
	t.Helper()
	for info, err := range s.List(t.Context(), backends.BlobID{}) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, info.ID)
	}
	return ids, nil
}

func TestPlantedThingsAreNoBlobs(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	real := mustPut(t, s, "real")
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	inside, _ := shardOf(real)
	for name, how := range map[string]func(string) error{
		"link out":       func(p string) error { return os.Symlink(outside, p) },
		"link in":        func(p string) error { return os.Symlink("../"+inside+"/"+real.String(), p) },
		"dangling link":  func(p string) error { return os.Symlink("nowhere", p) },
		"pipe":           func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"folder":         func(p string) error { return os.Mkdir(p, 0o700) },
		"link to folder": func(p string) error { return os.Symlink(s.dir, p) },
	} {
		id := plant(t, s, how)
		if _, err := s.Get(t.Context(), id, 0, -1); !errors.Is(err, backends.ErrCorrupt) {
			t.Errorf("%s: Get gives %v", name, err)
		}
		if _, err := s.Stat(t.Context(), id); !errors.Is(err, backends.ErrCorrupt) {
			t.Errorf("%s: Stat gives %v", name, err)
		}
		if err := s.Put(t.Context(), id, strings.NewReader("x"), 1); !errors.Is(err, backends.ErrExists) {
			t.Errorf("%s: Put gives %v", name, err)
		}
	}
	if ids, err := listed(t, s); err != nil || len(ids) != 1 || ids[0] != real {
		t.Errorf("List: %v, %v", ids, err)
	}
	if data, err := os.ReadFile(outside); string(data) != "secret" {
		t.Errorf("the file outside became %q, %v", data, err)
	}
}

func TestPlantedShardLink(t *testing.T) {
	for _, target := range []string{"outside", "aa"} { // out of DIR, and to a sibling
		s := mustOpen(t, t.TempDir(), Options{})
		if target == "outside" {
			target = t.TempDir()
		} else if err := os.Mkdir(filepath.Join(s.dir, blobsName, target), 0o700); err != nil {
			t.Fatal(err)
		}
		id := backends.NewBlobID()
		name, _ := shardOf(id)
		if name == "aa" {
			id[0] = 0xff
			name, _ = shardOf(id)
		}
		link := filepath.Join(s.dir, blobsName, name)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(link, id.String()), []byte("planted"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, s, id)
		if data, err := os.ReadFile(filepath.Join(link, id.String())); string(data) != "planted" {
			t.Errorf("the planted file became %q, %v", data, err)
		}
		if entries, err := os.ReadDir(link); len(entries) != 1 {
			t.Errorf("%d files behind the link, %v", len(entries), err)
		}
	}
}

// wantRefused expects an error that does not pass for an answer about the blob.
func wantRefused(t *testing.T, s *Store, id backends.BlobID) {
	t.Helper()
	_, getErr := s.Get(t.Context(), id, 0, -1)
	_, statErr := s.Stat(t.Context(), id)
	_, listErr := listed(t, s)
	id2 := id
	id2[19] ^= 1
	for what, err := range map[string]error{
		"Get": getErr, "Stat": statErr, "List": listErr,
		"Put":    s.Put(t.Context(), id2, strings.NewReader("x"), 1),
		"Delete": s.Delete(t.Context(), id),
	} {
		if err == nil || errors.Is(err, backends.ErrNotFound) || errors.Is(err, backends.ErrExists) {
			t.Errorf("%s through a linked folder: %v", what, err)
		}
	}
}

func TestPlantedTopLevelLinks(t *testing.T) {
	for _, name := range []string{tmpName, blobsName, lockName} {
		dir := t.TempDir()
		if err := os.Symlink(t.TempDir(), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(dir, Options{}); err == nil {
			s.Close()
			t.Errorf("a link in place of %s was followed", name)
		}
	}
}

// A folder that another program made among the bodies that are being written keeps
// nothing from being opened or written.
func TestForeignFolderInTemp(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, tmpName, "@eaDir", "index")
	if err := os.MkdirAll(theirs, 0o700); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, tmpName, "7")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{"1", "2", "3"} { // as the first bodies would be called
		if err := os.Mkdir(filepath.Join(dir, tmpName, taken), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, dir, Options{})
	mustPut(t, s, "x")
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	id := mustPut(t, s, "x")
	shard := filepath.Join(s.dir, blobsName, id.String()[:2])
	other := id
	other[0] ^= 1 // a blob's name in another blob's folder
	wrong := other.String()
	for _, path := range []string{filepath.Join(shard, "README"), filepath.Join(shard, wrong), filepath.Join(s.dir, blobsName, "zz.txt"),
		filepath.Join(shard, "a"), filepath.Join(s.dir, blobsName, "az")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := listed(t, s); err != nil || len(ids) != 1 || ids[0] != id {
		t.Errorf("List: %v, %v", ids, err)
	}
}
