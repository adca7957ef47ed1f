//go:build clients

package clienttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// stored demands that another client reads the file's bytes under the key: one
// that writes and reads wrongly in the same way would not notice by itself.
func stored(t *testing.T, g *gateway, bucket, key, path string) minio.ObjectInfo {
	t.Helper()
	r, info, _, err := newMinio(t, g).GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	must(t, err)
	defer r.Close()
	sameContent(t, r, path)
	return info
}

// storedTree demands that the keys below prefix are the folder's files.
func storedTree(t *testing.T, g *gateway, bucket, prefix, dir string) {
	t.Helper()
	left := map[string]bool{}
	for _, name := range treeOf(t, dir) {
		left[prefix+name] = true
	}
	for o := range newMinio(t, g).Client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		must(t, o.Err)
		if strings.HasSuffix(o.Key, "/") && o.Size == 0 {
			continue // a folder, as some clients mark them
		}
		if !left[o.Key] {
			t.Fatalf("%q is stored and no file", o.Key)
		}
		delete(left, o.Key)
		stored(t, g, bucket, o.Key, filepath.Join(dir, strings.TrimPrefix(o.Key, prefix)))
	}
	for key := range left {
		t.Fatalf("%q is not stored", key)
	}
}

// noUploads demands that the client left no multipart upload behind.
func noUploads(t *testing.T, g *gateway, bucket string) {
	t.Helper()
	noUploadsSince(t, g, bucket, time.Time{})
}

// noUploadsSince is noUploads for a client that was killed before that time.
func noUploadsSince(t *testing.T, g *gateway, bucket string, since time.Time) {
	t.Helper()
	uploads, err := newMinio(t, g).ListMultipartUploads(t.Context(), bucket, "", "", "", "", 100)
	must(t, err)
	for _, u := range uploads.Uploads {
		if !u.Initiated.Before(since) {
			t.Errorf("an upload was left behind: %+v", u)
		}
	}
}

// mixedTree is a new folder with files of the given sizes and small ones below
// names that clients have got wrong.
func mixedTree(t *testing.T, sizes ...int64) string {
	t.Helper()
	dir := corpusFolder(t, sizes...)
	for _, name := range oddNames() {
		writeFile(t, filepath.Join(dir, "odd", name), name)
	}
	return dir
}

// oddNames are the odd keys that can be paths of files.
func oddNames() (names []string) {
	for _, key := range oddKeys {
		if !strings.Contains(key, "//") && !strings.HasSuffix(key, "/") {
			names = append(names, key)
		}
	}
	return names
}

// sameTimes demands that the files of two folders were last changed at the same
// time, in whole seconds.
func sameTimes(t *testing.T, got, want string) {
	t.Helper()
	for _, name := range treeOf(t, want) {
		g, err := os.Stat(filepath.Join(got, name))
		must(t, err)
		w, err := os.Stat(filepath.Join(want, name))
		must(t, err)
		if g.ModTime().Unix() != w.ModTime().Unix() {
			t.Errorf("%s: changed at %s instead of %s", name, g.ModTime(), w.ModTime())
		}
	}
}
