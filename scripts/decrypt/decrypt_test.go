// Package decrypt_test holds the Python decryptor against data folders that the
// gateway's own engine, store and backend made.
package decrypt_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	blobfs "github.com/sanctum-storage/gateway/backends/fs"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

const (
	python  = "/usr/bin/python3" // with Debian's python3-cryptography and python3-argon2
	minPart = 5 << 20
)

// data is a folder, the bodies in it by bucket and key, and how to fill it.
type data struct {
	t      *testing.T
	dir    string
	e      *engine.Engine
	bodies map[string][]byte
	stop   []func() error // ends the gateway
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + n)
	}
	return b
}

// start begins a deployment in a new data folder and serves it.
func start(t *testing.T, passphrase string) *data {
	t.Helper()
	d := &data{t: t, dir: t.TempDir(), bodies: map[string][]byte{}}
	keys, err := keyring.Create(filepath.Join(d.dir, "keyring"), []byte(passphrase))
	d.must(err)
	return d.begin(keys)
}

// begin begins the deployment with a key provider.
func (d *data) begin(keys encrypt.Provider) *data {
	d.t.Helper()
	store, err := sqlite.Open(filepath.Join(d.dir, "meta.db"), sqlite.Options{})
	d.must(err)
	backend, err := blobfs.Open(filepath.Join(d.dir, "blobs"), blobfs.Options{})
	d.must(err)
	d.e, err = engine.Open(d.t.Context(), engine.Config{Store: store, Backends: []blobs.Backend{{Name: "local", Backend: backend}}, Keys: keys, Sole: true})
	d.must(err)
	d.stop = []func() error{d.e.Close, store.Close, backend.Close, keys.Close}
	return d
}

func (d *data) close() {
	for _, stop := range d.stop {
		d.must(stop())
	}
}

// fill makes a data folder with every kind of body and closes it.
func fill(t *testing.T, passphrase string) *data {
	t.Helper()
	d := start(t, passphrase)
	defer d.close()
	first, second := d.bucket("first"), d.bucket("second")
	for key, size := range map[string]int{
		"empty": 0, "one": 1, "a": 10, "a/b": 20, "a/": 3, "a//c": 4, "../../escape": 5, "/rooted": 6, "ü ö": 7, "per%cent": 8,
		"line\nbreak": 9, strings.Repeat("long", 200): 11, "segment": 65536, "segment+1": 65537, "big": 3 << 20,
	} {
		d.put(first, key, pattern(size))
	}
	d.multipart(first, "parts", []int{1, 2, 7}, [][]byte{pattern(minPart), pattern(minPart + 1), pattern(100)})
	d.copyPart(first, second, "from parts")
	_, err := d.e.CopyObject(t.Context(), engine.CopyObject{SourceBucket: first, SourceKey: "parts", Bucket: second, Key: "copied parts", Owner: d.e.Accounts().Root().ID})
	d.must(err)
	d.bodies["second/copied parts"] = d.bodies["first/parts"]
	padded := d.bucket("padded")
	d.must(d.e.Buckets().SetPadding(t.Context(), padded, buckets.PaddingPadme))
	if padded, err = d.e.Buckets().Get(t.Context(), "padded"); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 70_000, 4<<20 + 1} {
		d.put(padded, fmt.Sprint(size), pattern(size))
	}
	d.multipart(padded, "parts", []int{1, 2}, [][]byte{pattern(minPart + 1), pattern(100)})
	return d
}

func (d *data) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *data) bucket(name string) meta.Bucket {
	b, err := d.e.Buckets().Create(d.t.Context(), name, "", d.e.Accounts().Root().ID)
	d.must(err)
	return b
}

func body(b []byte) engine.Body {
	return engine.Body{Reader: bytes.NewReader(b), Size: int64(len(b))}
}

func (d *data) put(b meta.Bucket, key string, plain []byte) {
	_, err := d.e.PutObject(d.t.Context(), engine.PutObject{Bucket: b, Key: key, Owner: d.e.Accounts().Root().ID, Body: body(plain)})
	d.must(err)
	d.bodies[b.Name+"/"+key] = plain
}

func (d *data) multipart(b meta.Bucket, key string, numbers []int, pieces [][]byte) {
	u, err := d.e.CreateUpload(d.t.Context(), engine.CreateUpload{Bucket: b, Key: key, Owner: d.e.Accounts().Root().ID})
	d.must(err)
	in := engine.CompleteUpload{Bucket: b, Key: key, Upload: u.ID, Size: -1}
	for i, piece := range pieces {
		// Each part is sent twice, and one is left out: attempts and rows that
		// do not count must not get in the way.
		for _, try := range [][]byte{pattern(50), piece} {
			p, err := d.e.UploadPart(d.t.Context(), engine.UploadPart{Bucket: b, Key: key, Upload: u.ID, Number: numbers[i], Body: body(try)})
			d.must(err)
			if len(try) == len(piece) {
				in.Parts = append(in.Parts, engine.CompletedPart{Number: numbers[i], ETag: p.ETag})
			}
		}
	}
	_, err = d.e.UploadPart(d.t.Context(), engine.UploadPart{Bucket: b, Key: key, Upload: u.ID, Number: 3, Body: body(pattern(9))})
	d.must(err)
	_, err = d.e.CompleteUpload(d.t.Context(), in)
	d.must(err)
	d.bodies[b.Name+"/"+key] = bytes.Join(pieces, nil)
}

// copyPart makes an object from a range of another one.
func (d *data) copyPart(from, to meta.Bucket, key string) {
	ctx := d.t.Context()
	u, err := d.e.CreateUpload(ctx, engine.CreateUpload{Bucket: to, Key: key, Owner: d.e.Accounts().Root().ID})
	d.must(err)
	in := engine.CompleteUpload{Bucket: to, Key: key, Upload: u.ID, Size: -1}
	for i, r := range []*engine.Range{nil, {First: 70_000, Last: 70_099}} {
		p, err := d.e.CopyPart(ctx, engine.CopyPart{SourceBucket: from, SourceKey: "parts", SourceRange: r, Bucket: to, Key: key, Upload: u.ID, Number: i + 1})
		d.must(err)
		in.Parts = append(in.Parts, engine.CompletedPart{Number: i + 1, ETag: p.ETag})
	}
	_, err = d.e.CompleteUpload(ctx, in)
	d.must(err)
	whole := d.bodies["first/parts"]
	d.bodies["second/"+key] = append(bytes.Clone(whole), whole[70_000:70_100]...)
}

// run runs the decryptor on the folder.
func (d *data) run(env []string, args ...string) (stdout, stderr []byte, err error) {
	cmd := exec.CommandContext(context.Background(), python, append([]string{"sanctum_decrypt.py", "--data", d.dir}, args...)...)
	cmd.Env = append(os.Environ(), append(env, "PYTHONDONTWRITEBYTECODE=1")...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.Bytes(), errs.Bytes(), err
}

// works runs it and expects success.
func (d *data) works(env []string, args ...string) []byte {
	d.t.Helper()
	out, errs, err := d.run(env, args...)
	if err != nil {
		d.t.Fatalf("%v: %v (it needs python3-cryptography and python3-argon2)\n%s", args, err, errs)
	}
	return out
}

// fails runs it and expects an error that says why, and no plaintext beyond what
// was verified.
func (d *data) fails(why string, args ...string) []byte {
	d.t.Helper()
	out, errs, err := d.run(nil, args...)
	if err == nil || !strings.Contains(string(errs), why) || strings.Contains(string(errs), "Traceback") {
		d.t.Fatalf("%v: %v, %q", args, err, errs)
	}
	return out
}

func TestEveryObject(t *testing.T) {
	d := fill(t, "")
	list := string(d.works(nil, "list"))
	if n := strings.Count(list, "\n"); n != len(d.bodies) {
		t.Fatalf("%d lines for %d objects:\n%s", n, len(d.bodies), list)
	}
	for name, plain := range d.bodies {
		line := fmt.Sprintf("%d\t%s\n", len(plain), strings.ReplaceAll(name, "\n", `\x0a`))
		if !strings.Contains(list, line) {
			t.Errorf("%q is not listed", name)
		}
		bucket, key, _ := strings.Cut(name, "/")
		if got := d.works(nil, "get", bucket, key); !bytes.Equal(got, plain) {
			t.Errorf("get %q: %d bytes that differ from %d", name, len(got), len(plain))
		}
	}
	if got := string(d.works(nil, "list", "second")); strings.Contains(got, "first/") || strings.Count(got, "\n") != 2 {
		t.Errorf("list second: %s", got)
	}
	file := filepath.Join(t.TempDir(), "out")
	d.works(nil, "get", "first", "big", "-o", file)
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, d.bodies["first/big"]) {
		t.Errorf("get -o: %v", err)
	}
	d.fails("no such object", "get", "first", "absent")
	d.fails("no such bucket", "get", "third", "a")
}

// Keys that are folders of one another, that climb, or that a file system cannot
// take all come out, each once and within the folder.
func TestGetAll(t *testing.T) {
	d := fill(t, "")
	outer := t.TempDir()
	target := filepath.Join(outer, "x", "y", "all")
	d.works(nil, "get-all", target)
	d.works(nil, "get-all", target) // again, over what is there
	want := map[string]int{}
	for _, plain := range d.bodies {
		want[string(plain)]++
	}
	err := filepath.WalkDir(outer, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !strings.HasPrefix(path, target+"/") {
			t.Errorf("%s is outside", path)
		}
		got, err := os.ReadFile(path)
		want[string(got)]--
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for plain, n := range want {
		if n != 0 {
			t.Errorf("a body of %d bytes: %d missing", len(plain), n)
		}
	}
}

// Versions that are not current are listed, opened by their ids and written beside
// those that are, also where the current one is a delete marker; a marker is no body.
func TestVersions(t *testing.T) {
	d := start(t, "")
	ctx, b := t.Context(), d.bucket("first")
	put := func(key string, n int) string {
		t.Helper()
		o, err := d.e.PutObject(ctx, engine.PutObject{Bucket: b, Key: key, Owner: b.Owner, Body: body(pattern(n))})
		d.must(err)
		return o.Version.String()
	}
	put("k", 100_000)
	d.put(b, "a/plain", pattern(5))
	d.must(d.e.Buckets().SetVersioning(ctx, b, meta.VersioningEnabled))
	b, err := d.e.Buckets().Get(ctx, b.Name)
	d.must(err)
	second := put("k", 200_000)
	d.multipart(b, "k", []int{1, 2}, [][]byte{pattern(minPart), pattern(100)})
	newest := put("k", 300_000)
	gone := put("gone", 10)
	_, err = d.e.DeleteObject(ctx, b, engine.DeleteObject{Key: "gone", Owner: b.Owner})
	d.must(err)
	d.close()

	lines := strings.Split(strings.TrimSpace(string(d.works(nil, "list", "--versions", "first"))), "\n")
	if len(lines) != 7 {
		t.Fatalf("%q", lines)
	}
	marker, parts := strings.Split(lines[1], "\t"), strings.Split(lines[4], "\t")
	if marker[0] != "-" || marker[2] != "first/gone" {
		t.Errorf("a delete marker: %q", marker)
	}
	for i, want := range map[int]string{
		0: "5\tnull\tfirst/a/plain", 2: "10\t" + gone + "\tfirst/gone", 3: "300000\t" + newest + "\tfirst/k",
		5: "200000\t" + second + "\tfirst/k", 6: "100000\tnull\tfirst/k",
	} {
		if lines[i] != want {
			t.Errorf("line %d: %q, want %q", i, lines[i], want)
		}
	}
	if got := string(d.works(nil, "list")); got != "5\tfirst/a/plain\n300000\tfirst/k\n" {
		t.Errorf("list without versions: %q", got)
	}
	older := map[string][]byte{
		"k/" + second: pattern(200_000), "k/" + parts[1]: d.bodies["first/k"], "k/null": pattern(100_000), "gone/" + gone: pattern(10),
	}
	all := t.TempDir()
	d.works(nil, "get-all", "--versions", all)
	files := map[string][]byte{"k": pattern(300_000), "a/plain": pattern(5)}
	for name, plain := range older {
		key, id, _ := strings.Cut(name, "/")
		if got := d.works(nil, "get", "first", key, "--version", id); !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes that differ from %d", name, len(got), len(plain))
		}
		files[key+"%v/"+id] = plain
	}
	for name, plain := range files {
		if got, err := os.ReadFile(filepath.Join(all, "first", name)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("get-all: %s: %d bytes, %v", name, len(got), err)
		}
	}
	if got := d.works(nil, "get", "first", "k", "--version", newest); !bytes.Equal(got, pattern(300_000)) {
		t.Error("the current version by its id: wrong bytes")
	}
	d.fails("no such object", "get", "first", "gone")
	d.fails("delete marker", "get", "first", "gone", "--version", marker[1])
	d.fails("no such version", "get", "first", "gone", "--version", second)
	d.fails("32 hexadecimal digits", "get", "first", "k", "--version", "x")

	// One version's row in the place of another's does not open.
	d.edit(`UPDATE versions SET manifest = (SELECT manifest FROM versions WHERE size = 200000) WHERE size = 100000`)
	d.fails("sanctum_decrypt: ", "get", "first", "k", "--version", "null")
	d.fails("could not be written", "get-all", "--versions", t.TempDir())
}

// An SSE-C object opens with its customer's key and with nothing less.
func TestCustomerKey(t *testing.T) {
	d := start(t, "")
	b := d.bucket("first")
	key := engine.CustomerKey([]byte("a customer's key, of 32 bytes..."))
	for name, plain := range map[string][]byte{"secret": pattern(100_000), "none": nil} {
		_, err := d.e.PutObject(t.Context(), engine.PutObject{
			Bucket: b, Key: name, Owner: d.e.Accounts().Root().ID, Body: body(plain), Encryption: meta.EncryptionCustomer, Customer: &key,
		})
		d.must(err)
		d.bodies["first/"+name] = plain
	}
	for name, last := range map[string]*engine.CustomerKey{"parts": &key, "completed": nil} {
		u, err := d.e.CreateUpload(t.Context(), engine.CreateUpload{Bucket: b, Key: name, Owner: d.e.Accounts().Root().ID, Encryption: meta.EncryptionCustomer, Customer: &key})
		d.must(err)
		p, err := d.e.UploadPart(t.Context(), engine.UploadPart{Bucket: b, Key: name, Upload: u.ID, Number: 1, Body: body(pattern(70_000)), Customer: &key})
		d.must(err)
		_, err = d.e.CompleteUpload(t.Context(), engine.CompleteUpload{Bucket: b, Key: name, Upload: u.ID, Size: -1, Customer: last,
			Parts: []engine.CompletedPart{{Number: 1, ETag: p.ETag}}})
		d.must(err)
		d.bodies["first/"+name] = pattern(70_000)
	}
	d.put(b, "plain", pattern(10))
	d.close()

	const without = "cannot be opened without its customer's key"
	d.fails(without, "get", "first", "secret")
	d.fails(without, "get", "first", "completed")
	d.fails(without, "get-all", t.TempDir())
	if got := d.works(nil, "get", "first", "plain"); !bytes.Equal(got, pattern(10)) {
		t.Error("wrong bytes of an object without a customer")
	}
	file := filepath.Join(t.TempDir(), "key")
	for _, text := range []string{string(key[:]), base64.StdEncoding.EncodeToString(key[:]) + "\n"} {
		d.must(os.WriteFile(file, []byte(text), 0o600))
		for _, name := range []string{"secret", "none", "parts", "completed", "plain"} {
			if got := d.works(nil, "--customer-key-file", file, "get", "first", name); !bytes.Equal(got, d.bodies["first/"+name]) {
				t.Errorf("wrong bytes of %s", name)
			}
		}
	}
	d.must(os.WriteFile(file, bytes.Repeat([]byte{7}, 32), 0o600))
	d.fails("another customer's key", "--customer-key-file", file, "get", "first", "secret")
	d.fails("another customer's key", "--customer-key-file", file, "get", "first", "completed")
	d.must(os.WriteFile(file, []byte("short"), 0o600))
	d.fails("neither 32 bytes", "--customer-key-file", file, "list")
}

func TestPassphrase(t *testing.T) {
	d := fill(t, "correct horse")
	d.fails("none was given", "list")
	want := d.bodies["first/parts"]
	if got := d.works([]string{"SANCTUM_PASSPHRASE=correct horse"}, "get", "first", "parts"); !bytes.Equal(got, want) {
		t.Error("wrong bytes")
	}
	file := filepath.Join(t.TempDir(), "passphrase")
	d.must(os.WriteFile(file, []byte("correct horse\n"), 0o600))
	d.works(nil, "--passphrase-file", file, "list")
	d.must(os.WriteFile(file, []byte("battery staple\n"), 0o600))
	d.fails("the passphrase does not open", "--passphrase-file", file, "list")
}

// Nothing is left in the folder that its owner would then have to own.
func TestFolderIsNotChanged(t *testing.T) {
	d := fill(t, "")
	before := snapshot(t, d.dir)
	d.works(nil, "list")
	d.works(nil, "get", "first", "parts")
	if after := snapshot(t, d.dir); after != before {
		t.Errorf("the folder was changed:\n%s\n%s", before, after)
	}
}

// Committed objects are there while the gateway runs, too: they are in the
// store's log, not yet in its file.
func TestBesideARunningGateway(t *testing.T) {
	d := start(t, "")
	defer d.close()
	d.put(d.bucket("first"), "new", pattern(100_000))
	if got := d.works(nil, "get", "first", "new"); !bytes.Equal(got, pattern(100_000)) {
		t.Error("wrong bytes")
	}
}

func snapshot(t *testing.T, dir string) string {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && !e.IsDir() {
			fmt.Fprintf(&b, "%s %d %v\n", path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestOtherKeyring(t *testing.T) {
	d := fill(t, "")
	other := filepath.Join(t.TempDir(), "keyring")
	k, err := keyring.Create(other, nil)
	d.must(err)
	k.Close()
	d.fails("is not in the keyring", "--keyring", other, "list")
}

// Whatever a backend or an edited row says, the answer is the right bytes or an
// error: nothing unverified is written, and no output file is left.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(d *data){
		"every blob flipped at its end": func(d *data) { d.eachBlob(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }) },
		"headers":                       func(d *data) { d.eachBlob(func(b []byte) []byte { b[50] ^= 1; return b }) },
		"cut":                           func(d *data) { d.eachBlob(func(b []byte) []byte { return b[:len(b)-1] }) },
		"longer":                        func(d *data) { d.eachBlob(func(b []byte) []byte { return append(b, 0) }) },
		"swapped manifests": func(d *data) {
			d.edit(`UPDATE objects SET manifest = (SELECT manifest FROM objects WHERE key = CAST('one' AS BLOB)) WHERE key = CAST('parts' AS BLOB)`)
		},
		"a row of another key": func(d *data) {
			d.edit(`DELETE FROM objects WHERE key = CAST('parts' AS BLOB)`)
			d.edit(`UPDATE objects SET key = CAST('parts' AS BLOB) WHERE key = CAST('segment' AS BLOB)`)
		},
		"size":            func(d *data) { d.edit(`UPDATE objects SET size = size - 1 WHERE key = CAST('parts' AS BLOB)`) },
		"part attempt":    func(d *data) { d.edit(`UPDATE parts SET attempt = randomblob(16) WHERE number = 2`) },
		"part record":     func(d *data) { d.edit(`UPDATE parts SET record = zeroblob(200) WHERE number = 2`) },
		"a part missing":  func(d *data) { d.edit(`DELETE FROM parts WHERE number = 2`) },
		"another's seed":  func(d *data) { d.edit(`UPDATE bucket_seeds SET wrapped = (SELECT seed FROM deployment)`) },
		"part size":       func(d *data) { d.edit(`UPDATE parts SET size = -1`) },
		"generation":      func(d *data) { d.edit(`UPDATE objects SET generation = -1`) },
		"no seed":         func(d *data) { d.edit(`DELETE FROM bucket_seeds`) },
		"no manifest":     func(d *data) { d.edit(`UPDATE objects SET manifest = NULL`) },
		"no wrapped key":  func(d *data) { d.edit(`UPDATE objects SET wrapped_key = NULL`) },
		"no part records": func(d *data) { d.edit(`UPDATE parts SET record = NULL`) },
	} {
		t.Run(name, func(t *testing.T) {
			d := fill(t, "")
			want := d.bodies["first/parts"]
			damage(d)
			out := filepath.Join(t.TempDir(), "out")
			d.fails("sanctum_decrypt: ", "get", "first", "parts", "-o", out)
			if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
				t.Errorf("files are left: %v, %v", left, err)
			}
			if got := d.fails("sanctum_decrypt: ", "get", "first", "parts"); !bytes.HasPrefix(want, got) {
				t.Error("bytes that are not the object's were written")
			}
			d.fails("could not be written", "get-all", t.TempDir())
		})
	}
}

func (d *data) eachBlob(change func([]byte) []byte) {
	err := filepath.WalkDir(filepath.Join(d.dir, "blobs", "blobs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 { // the collector's marker
			return err
		}
		return os.WriteFile(path, change(b), 0o600)
	})
	d.must(err)
}

func (d *data) edit(query string) {
	db, err := sql.Open("sqlite", filepath.Join(d.dir, "meta.db"))
	d.must(err)
	_, err = db.Exec(query)
	d.must(err)
	d.must(db.Close())
}
