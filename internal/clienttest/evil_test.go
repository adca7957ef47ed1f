package clienttest

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/sigv4"
)

// verifiedWhole is the length up to which the gateway verifies an object before
// the status line. Beyond it, the first segment.
const verifiedWhole = mib

// victim is an object and the files that hold it.
type victim struct {
	key   string
	body  []byte
	files []string // paths, in the order of the body
	older []string // files of the version before, of the same length
	twin  *victim  // another object of the same length
}

// evilTest is a gateway over a disk that does not keep what it was given.
type evilTest struct {
	g      *gateway
	c      *minio.Core
	bucket string
	seen   map[string]bool // files that were there before the last write

	refused, aborted, right int // readings of damaged objects, by their end
}

// damage is what is done to one file of each victim, the last where there are
// several.
type damage struct {
	name string
	do   func(t *testing.T, v *victim, file string)
	// harmless damage may go unnoticed by a GET: what is read is as it was.
	harmless bool
	// deep damage is found by fsck --deep alone: names and sizes are right.
	deep bool
}

var damages = []damage{
	{name: "first byte", deep: true, do: flip(func(int) int { return 0 }), harmless: true},
	{name: "IV", deep: true, do: flip(func(int) int { return 12 }), harmless: true},
	{name: "header tag", deep: true, do: flip(func(int) int { return 73 }), harmless: true},
	{name: "first segment's length", deep: true, do: flip(func(int) int { return 77 })},
	{name: "first nonce", deep: true, do: flip(func(int) int { return 78 })},
	{name: "first sealed byte", deep: true, do: flip(func(int) int { return 90 })},
	{name: "middle", deep: true, do: flip(func(n int) int { return 74 + (n-74)/2 })},
	{name: "last byte", deep: true, do: flip(func(n int) int { return n - 1 })},
	{name: "truncated by one", do: cut(func(n int64) int64 { return n - 1 })},
	{name: "truncated to half", do: cut(func(n int64) int64 { return n / 2 })},
	{name: "truncated to the header", do: cut(func(int64) int64 { return 74 })},
	{name: "truncated to nothing", do: cut(func(int64) int64 { return 0 })},
	{name: "extended", harmless: true, do: cut(func(n int64) int64 { return n + 1 })},
	{name: "deleted", do: func(t *testing.T, _ *victim, file string) { must(t, os.Remove(file)) }},
	{name: "of zeros", deep: true, do: replaced(func(b []byte) { clear(b) })},
	{name: "of random bytes", deep: true, do: replaced(func(b []byte) { rand.Read(b) })},
	{name: "segments exchanged", deep: true, do: replaced(exchangeSegments)},
	{name: "rolled back", deep: true, do: func(t *testing.T, v *victim, file string) { put(t, file, v.older[len(v.older)-1]) }},
	{name: "another object's", deep: true, do: func(t *testing.T, v *victim, file string) { put(t, file, v.twin.files[len(v.twin.files)-1]) }},
	{name: "a link", deep: true, do: func(t *testing.T, v *victim, file string) {
		must(t, os.Remove(file))
		must(t, os.Symlink(v.twin.files[len(v.twin.files)-1], file))
	}},
	{name: "a folder", do: func(t *testing.T, _ *victim, file string) {
		must(t, os.Remove(file))
		must(t, os.Mkdir(file, 0o700))
	}},
}

func flip(at func(length int) int) func(*testing.T, *victim, string) {
	return replaced(func(b []byte) { b[at(len(b))] ^= 0x10 })
}

func replaced(change func([]byte)) func(*testing.T, *victim, string) {
	return func(t *testing.T, _ *victim, file string) {
		b, err := os.ReadFile(file)
		must(t, err)
		change(b)
		must(t, os.WriteFile(file, b, 0o600))
	}
}

func cut(to func(length int64) int64) func(*testing.T, *victim, string) {
	return func(t *testing.T, _ *victim, file string) {
		fi, err := os.Stat(file)
		must(t, err)
		must(t, os.Truncate(file, to(fi.Size())))
	}
}

// exchangeSegments swaps the halves of the first two segments, or of what there
// is of the first.
func exchangeSegments(b []byte) {
	const segment = 65536 + 32
	n := min(segment, (len(b)-74)/2)
	first := bytes.Clone(b[74 : 74+n])
	copy(b[74:], b[74+n:74+2*n])
	copy(b[74+n:], first)
}

// put makes file a copy of another.
func put(t *testing.T, file, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(file, b, 0o600))
}

// TestEvilDisk damages sealed blobs under a running gateway. It may refuse to
// serve an object, or break off, but no byte that it serves is wrong, and what
// was not damaged is served all the same.
func TestEvilDisk(t *testing.T) {
	t.Parallel()
	e := &evilTest{g: start(t, "SANCTUM_BUCKETS=evil", "SANCTUM_COLLECTOR_GRACE=1h"), bucket: "evil", seen: make(map[string]bool)}
	e.c = newMinio(t, e.g)
	e.newFiles(t)
	var victims []*victim
	for _, size := range []int64{16, 65536, 65537, mib, mib + 1, 3*mib + 5, 11 * mib} {
		victims = append(victims, e.victim(t, size))
	}
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			restore := make(map[string][]byte)
			for _, v := range victims {
				file := v.files[len(v.files)-1]
				b, err := os.ReadFile(file)
				must(t, err)
				restore[file] = b
				d.do(t, v, file)
			}
			for _, v := range victims {
				e.damaged(t, v, d)
				e.intact(t, v.twin)
			}
			e.fsck(t, victims, d)
			for file, b := range restore {
				must(t, os.RemoveAll(file))
				must(t, os.WriteFile(file, b, 0o600))
			}
			for _, v := range victims {
				e.intact(t, v)
			}
		})
	}
	r, err := e.g.fsck("--deep")
	must(t, err)
	if !r.Clean {
		t.Errorf("after everything was put back: %+v", r)
	}
	t.Logf("readings of damaged objects: %d refused, %d aborted, %d right, for their damage was elsewhere", e.refused, e.aborted, e.right)
	if e.refused == 0 || e.aborted == 0 || e.right == 0 {
		t.Error("one of these never happened: the test shows less than it should")
	}
}

// victim stores an object twice, and another of the same length.
func (e *evilTest) victim(t *testing.T, size int64) *victim {
	t.Helper()
	v := &victim{key: fmt.Sprintf("victim-%d", size), body: random(1, int(size), size)}
	v.older = e.store(t, v.key, random(2, int(size), size))
	v.files = e.store(t, v.key, v.body)
	v.twin = &victim{key: fmt.Sprintf("twin-%d", size), body: random(3, int(size), size)}
	v.twin.files = e.store(t, v.twin.key, v.twin.body)
	return v
}

// store puts an object, in two parts if it is large, and returns its new files.
func (e *evilTest) store(t *testing.T, key string, body []byte) (files []string) {
	t.Helper()
	const single = 5 * mib
	if len(body) <= single {
		_, err := e.c.Client.PutObject(t.Context(), e.bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{DisableMultipart: true})
		must(t, err)
		return e.newFiles(t)
	}
	id, err := e.c.NewMultipartUpload(t.Context(), e.bucket, key, minio.PutObjectOptions{})
	must(t, err)
	var parts []minio.CompletePart
	for i, b := range [][]byte{body[:single], body[single:]} {
		p, err := e.c.PutObjectPart(t.Context(), e.bucket, key, id, i+1, bytes.NewReader(b), int64(len(b)), minio.PutObjectPartOptions{})
		must(t, err)
		parts = append(parts, minio.CompletePart{PartNumber: i + 1, ETag: p.ETag})
		files = append(files, e.newFiles(t)...)
	}
	_, err = e.c.CompleteMultipartUpload(t.Context(), e.bucket, key, id, parts, minio.PutObjectOptions{})
	must(t, err)
	return files
}

// newFiles are the blobs that came since it was last called, in the order of their
// names. Markers, which are empty, come and go meanwhile.
func (e *evilTest) newFiles(t *testing.T) (files []string) {
	t.Helper()
	must(t, filepath.WalkDir(filepath.Join(e.g.dir, "blobs", "blobs"), func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) || err == nil && d.IsDir() {
			return nil
		} else if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() > 0 && !e.seen[path] {
			e.seen[path] = true
			files = append(files, path)
		}
		return nil
	}))
	return files
}

// get reads an object or a range of it over plain HTTP, as far as it comes.
func (e *evilTest) get(t *testing.T, key, byteRange string) (resp *http.Response, got []byte, broken error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.g.s3+"/"+e.bucket+"/"+key, nil)
	must(t, err)
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	must(t, sigv4.Sign(req, accessKey, secretKey, region, "s3", sigv4.PayloadHash(nil), time.Now()))
	resp, err = http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	got, broken = io.ReadAll(resp.Body)
	return resp, got, broken
}

func (e *evilTest) intact(t *testing.T, v *victim) {
	t.Helper()
	resp, got, err := e.get(t, v.key, "")
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, v.body) {
		t.Errorf("%s: status %d, %d bytes, %v", v.key, resp.StatusCode, len(got), err)
	}
}

// damaged reads all of an object, its edges and its middle.
func (e *evilTest) damaged(t *testing.T, v *victim, d damage) {
	t.Helper()
	n := len(v.body)
	if e.damagedRange(t, v, 0, n, "") && !d.harmless {
		t.Errorf("%s was served whole", v.key)
	}
	if n < 65536 {
		return
	}
	for _, from := range []int{0, 65535, n / 2, n - 1} {
		e.damagedRange(t, v, from, min(n, from+1000), fmt.Sprintf("bytes=%d-%d", from, from+999))
	}
}

// damagedRange reads from a damaged object and demands the right bytes, an
// error in place of them, or their beginning and an end that every client
// notices. It reports whether all bytes came.
func (e *evilTest) damagedRange(t *testing.T, v *victim, from, to int, byteRange string) bool {
	t.Helper()
	want := v.body[from:to]
	resp, got, err := e.get(t, v.key, byteRange)
	switch {
	case resp.StatusCode == http.StatusInternalServerError:
		var reply struct{ Code string }
		if xml.Unmarshal(got, &reply) != nil || reply.Code != "InternalError" || resp.Header.Get("ETag") != "" {
			t.Errorf("%s %s: %v\n%s", v.key, byteRange, resp.Header, last(string(got)))
		}
		e.refused++
		return false
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent:
		t.Errorf("%s %s: status %d", v.key, byteRange, resp.StatusCode)
	case !bytes.HasPrefix(want, got):
		t.Errorf("%s %s: wrong bytes among %d", v.key, byteRange, len(got))
	case err == nil && len(got) != len(want):
		t.Errorf("%s %s: a clean end after %d of %d bytes", v.key, byteRange, len(got), len(want))
	case err != nil && len(want) <= verifiedWhole:
		t.Errorf("%s %s: the status line left before %d bytes were verified: %v", v.key, byteRange, len(want), err)
	}
	if err != nil {
		e.aborted++
	} else {
		e.right++
	}
	return err == nil
}

// fsck beside the gateway names every damaged object and no other.
func (e *evilTest) fsck(t *testing.T, victims []*victim, d damage) {
	t.Helper()
	var want []string
	for _, v := range victims {
		want = append(want, v.key)
	}
	slices.Sort(want)
	args := [][]string{{"--deep"}}
	if !d.deep {
		args = append(args, nil)
	}
	for _, args := range args {
		r, err := e.g.fsck(args...)
		must(t, err)
		found := make(map[string]bool)
		for _, f := range r.Findings {
			found[f.Key] = f.Severity == "lost"
		}
		if keys := slices.Sorted(maps.Keys(found)); r.status != fsckLost || !slices.Equal(keys, want) {
			t.Errorf("fsck %s: status %d, keys %q in %+v", strings.Join(args, " "), r.status, keys, r.Findings)
		}
	}
}
