package encrypt_test

import (
	"bytes"
	"crypto/fips140"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
)

// A released format is opened for ever: the sets in testdata/sealed/v1 were made
// once, one by this package and one by the Python decryptor's test code, and are
// never made again. Fresh sets cross over in both directions here, too.

var freeze = flag.String("freeze", "", "make a new set of vectors in this new folder")

const (
	frozen = "../testdata/sealed/v1"
	added  = "../testdata/sealed/v1.1"               // version 1 with what was added to it
	locked = "../testdata/sealed/v1.2"               // and since
	rows   = "../testdata/sealed/v1.3"               // and since
	latest = "../testdata/sealed/v" + encrypt.Format // and since
	python = "/usr/bin/python3"                      // with Debian's python3-cryptography and python3-argon2
	script = "../scripts/decrypt/vectors.py"
)

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

type vectors struct {
	MadeBy      string             `json:"made_by"`
	Deployment  hexBytes           `json:"deployment"`
	Bucket      hexBytes           `json:"bucket"`
	Seed        hexBytes           `json:"seed"`
	Generation  uint32             `json:"generation"`
	Keyrings    []keyringVector    `json:"keyrings"`
	Providers   []providerVector   `json:"providers"`
	Wraps       []wrapVector       `json:"wraps"`
	ObjectKeys  []objectKeyVector  `json:"object_keys"`
	Credentials []credentialVector `json:"credentials"`
	ListRecords []listVector       `json:"list_records"`
	Manifests   []manifestVector   `json:"manifests"`
	Parts       []partVector       `json:"parts"`
	Groups      []groupVector      `json:"groups"`
	Blobs       []blobVector       `json:"blobs"`
	addedVectors
}

type keyringVector struct {
	Passphrase string `json:"passphrase"`
	Text       string `json:"text"`
}

type providerVector struct {
	Keyring    int      `json:"keyring"`
	Purpose    string   `json:"purpose"`
	ID         hexBytes `json:"id"`
	Generation uint32   `json:"generation"`
	Secret     hexBytes `json:"secret"`
	Wrapped    hexBytes `json:"wrapped"`
}

type wrapVector struct {
	Key        hexBytes `json:"key"`
	Generation uint32   `json:"generation"`
	Purpose    string   `json:"purpose"`
	AAD        hexBytes `json:"aad"`
	Secret     hexBytes `json:"secret"`
	Wrap       hexBytes `json:"wrap"`
}

type objectKeyVector struct {
	ID      hexBytes `json:"id"`
	Purpose string   `json:"purpose"`
	Key     hexBytes `json:"key"`
	Wrap    hexBytes `json:"wrap"`
}

type credentialVector struct {
	AccessKey string   `json:"access_key"`
	User      string   `json:"user"`
	Secret    hexBytes `json:"secret"`
	Wrapped   hexBytes `json:"wrapped"`
}

type listVector struct {
	Name    hexBytes `json:"name"`
	Version hexBytes `json:"version"`
	Record  any      `json:"record"`
	Sealed  hexBytes `json:"sealed"`
}

type manifestVector struct {
	Key      hexBytes `json:"key"`
	Purpose  string   `json:"purpose"`
	Name     hexBytes `json:"name"`
	ID       hexBytes `json:"id"`
	Manifest any      `json:"manifest"`
	Sealed   hexBytes `json:"sealed"`
}

type partVector struct {
	Key     hexBytes `json:"key"`
	Upload  hexBytes `json:"upload"`
	Number  uint32   `json:"number"`
	Attempt hexBytes `json:"attempt"`
	Record  any      `json:"record"`
	Sealed  hexBytes `json:"sealed"`
}

type groupVector struct {
	Parts  [][3]any `json:"parts"` // number, attempt in hex, size
	Digest hexBytes `json:"digest"`
}

type blobVector struct {
	Blob     hexBytes `json:"blob"`
	Key      hexBytes `json:"key"`
	IV       hexBytes `json:"iv"`
	Tag      hexBytes `json:"tag"`
	BlobSize int64    `json:"blob_size"`
}

func (b *blobVector) file() string { return fmt.Sprintf("blob-%d.bin", b.BlobSize) }

// plainJSON is a record as the vectors show it: fields by their names in the
// .proto text, zero values left out, text as text and other bytes as hex.
func plainJSON(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return plainJSON(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			name, field := v.Type().Field(i).Name, v.Field(i)
			if v.Type().Field(i).Anonymous { // its fields stand beside the others
				maps.Copy(out, plainJSON(field).(map[string]any))
			} else if name == "Seal" {
				out["iv"], out["tag"] = plainJSON(field.Field(0)), plainJSON(field.Field(1))
			} else if field.Kind() == reflect.Array || !field.IsZero() {
				out[snake(name)] = plainJSON(field)
			}
		}
		return out
	case reflect.Array, reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return hex.EncodeToString(b)
		}
		out := []any{}
		for i := range v.Len() {
			out = append(out, plainJSON(v.Index(i)))
		}
		return out
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int64:
		return float64(v.Int())
	}
	return float64(v.Uint())
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func readVectors(t *testing.T, folder string) *vectors {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectors)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The format that a release says it writes has the newest folder of vectors.
func TestFormatIsTheNewest(t *testing.T) {
	folders, err := filepath.Glob("../testdata/sealed/v*")
	if err != nil || !slices.Contains(folders, latest) {
		t.Fatalf("no folder is for format %s: %q, %v", encrypt.Format, folders, err)
	}
	parts := func(folder string) (major, minor int) {
		// The second number is missing in the first folder, and stays 0.
		if n, err := fmt.Sscanf(filepath.Base(folder), "v%d.%d", &major, &minor); n == 0 {
			t.Errorf("%s is no version: %v", folder, err)
		}
		return major, minor
	}
	major, minor := parts(latest)
	for _, folder := range folders {
		if x, y := parts(folder); x > major || x == major && y > minor {
			t.Errorf("%s is newer than format %s", folder, encrypt.Format)
		}
	}
}

func TestFrozenVectors(t *testing.T) {
	for _, by := range []string{"go", "python"} {
		t.Run(by, func(t *testing.T) { openVectors(t, filepath.Join(frozen, by), by) })
		t.Run(by+", with what was added", func(t *testing.T) {
			openVectors(t, filepath.Join(added, by), by)
			readVectors(t, filepath.Join(added, by)).mustHaveAdded(t)
		})
		t.Run(by+", with completed keys", func(t *testing.T) {
			openVectors(t, filepath.Join(locked, by), by)
			readVectors(t, filepath.Join(locked, by)).mustHaveLocked(t)
		})
		t.Run(by+", with whole list records", func(t *testing.T) {
			openVectors(t, filepath.Join(rows, by), by)
			readVectors(t, filepath.Join(rows, by)).mustHaveRows(t)
		})
		t.Run(by+", with what was added last", func(t *testing.T) {
			openVectors(t, filepath.Join(latest, by), by)
			readVectors(t, filepath.Join(latest, by)).mustHaveLatest(t)
		})
	}
}

// Vectors that Python seals now open here, and those that are sealed here open there.
func TestAgainstPython(t *testing.T) {
	fresh := filepath.Join(t.TempDir(), "python")
	runPython(t, "seal", fresh)
	openVectors(t, fresh, "python")
	readVectors(t, fresh).mustHaveLatest(t)
	fresh = filepath.Join(t.TempDir(), "go")
	makeVectors(t, fresh)
	runPython(t, "open", fresh)
	for _, by := range []string{"go", "python"} {
		runPython(t, "open", filepath.Join(frozen, by))
		runPython(t, "open", filepath.Join(added, by))
		runPython(t, "open", filepath.Join(locked, by))
		runPython(t, "open", filepath.Join(rows, by))
		runPython(t, "open", filepath.Join(latest, by))
	}
}

func runPython(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(python, append([]string{script}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (it needs python3-cryptography and python3-argon2)\n%s", err, out)
	}
}

func TestFreeze(t *testing.T) {
	folder := *freeze
	if folder == "" {
		folder = filepath.Join(t.TempDir(), "v")
	}
	makeVectors(t, folder)
	openVectors(t, folder, "go")
}

func openVectors(t *testing.T, folder, by string) {
	v := readVectors(t, folder)
	if v.MadeBy != by || len(v.Keyrings) != 2 || len(v.Providers) < 2 || len(v.Wraps) < 3 || len(v.ObjectKeys) != 2 || len(v.Credentials) < 1 ||
		len(v.ListRecords) < 2 || len(v.Manifests) < 8 || len(v.Parts) < 2 || len(v.Groups) < 1 || len(v.Blobs) != 5 {
		t.Fatal("the set is not complete")
	}
	openKeyrings(t, v)
	openKeys(t, v)
	openAdded(t, v)
	openRows(t, v)
	openRecords(t, v)
	for _, b := range v.Blobs {
		openBlob(t, folder, v, &b)
	}
}

func openKeyrings(t *testing.T, v *vectors) {
	var rings []*keyring.Keyring
	for i, k := range v.Keyrings {
		path := filepath.Join(t.TempDir(), "keyring")
		if err := os.WriteFile(path, []byte(k.Text), 0o600); err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Open(path, []byte(k.Passphrase))
		if refused := k.Passphrase != "" && fips140.Enabled(); refused != (err != nil) {
			t.Fatalf("keyring %d: %v", i, err)
		}
		rings = append(rings, ring)
	}
	for i, p := range v.Providers {
		if rings[p.Keyring] == nil {
			continue // FIPS mode opens no file with a passphrase
		}
		c := encrypt.Context{Deployment: encrypt.Deployment(v.Deployment), Purpose: p.Purpose, ID: [16]byte(p.ID), Generation: p.Generation}
		if got, err := rings[p.Keyring].Unwrap(t.Context(), c, p.Wrapped); err != nil || !bytes.Equal(got, p.Secret) {
			t.Errorf("provider %d: %v", i, err)
		}
	}
	openEnvelopes(t, v, rings)
}

func openKeys(t *testing.T, v *vectors) {
	for i, w := range v.Wraps {
		got, err := encrypt.Unwrap([32]byte(w.Key), w.Purpose, w.AAD, w.Wrap)
		if generation, _ := encrypt.WrapGeneration(w.Wrap); err != nil || !bytes.Equal(got, w.Secret) || generation != w.Generation {
			t.Errorf("wrap %d: %v", i, err)
		}
	}
	keys := v.bucketKeys()
	for i, k := range v.ObjectKeys {
		if got, err := keys.UnwrapKey(k.Wrap, [16]byte(k.ID), k.Purpose); err != nil || !bytes.Equal(got[:], k.Key) {
			t.Errorf("object key %d: %v", i, err)
		}
	}
	system := encrypt.DeriveSystemKeys(encrypt.Seed(v.Seed), encrypt.Deployment(v.Deployment), v.Generation)
	for i, c := range v.Credentials {
		if got, err := system.UnwrapSecret(c.AccessKey, c.User, c.Wrapped); err != nil || !bytes.Equal(got, c.Secret) {
			t.Errorf("credential %d: %v", i, err)
		}
	}
}

func (v *vectors) bucketKeys() *encrypt.BucketKeys {
	return encrypt.DeriveBucketKeys(encrypt.Seed(v.Seed), encrypt.Deployment(v.Deployment), [16]byte(v.Bucket), v.Generation)
}

func (v *vectors) name(key, version []byte) encrypt.Name {
	return encrypt.Name{Deployment: encrypt.Deployment(v.Deployment), Bucket: [16]byte(v.Bucket), Key: key, Version: [16]byte(version)}
}

func (v *vectors) part(p *partVector) encrypt.PartName {
	return encrypt.PartName{Deployment: encrypt.Deployment(v.Deployment), Bucket: [16]byte(v.Bucket),
		Upload: [16]byte(p.Upload), Number: p.Number, Attempt: [16]byte(p.Attempt)}
}

func openRecords(t *testing.T, v *vectors) {
	same := func(what string, i int, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(plainJSON(reflect.ValueOf(got)), want) {
			t.Errorf("%s %d: %v\n%v\n%v", what, i, err, plainJSON(reflect.ValueOf(got)), want)
		}
	}
	keys := v.bucketKeys()
	for i, r := range v.ListRecords {
		got, err := keys.OpenListRecord(v.name(r.Name, r.Version), r.Sealed)
		same("list record", i, got, r.Record, err)
	}
	for i, m := range v.Manifests {
		got, err := encrypt.OpenManifest(encrypt.ObjectKey(m.Key), m.Purpose, v.name(m.Name, m.ID), m.Sealed)
		same("manifest", i, got, m.Manifest, err)
	}
	for i, p := range v.Parts {
		got, err := encrypt.OpenPart(encrypt.ObjectKey(p.Key), v.part(&p), p.Sealed)
		same("part", i, got, p.Record, err)
	}
	for i, g := range v.Groups {
		var rows []encrypt.ChosenPart
		for _, p := range g.Parts {
			attempt, _ := hex.DecodeString(p[1].(string))
			rows = append(rows, encrypt.ChosenPart{Number: uint32(p[0].(float64)), Attempt: [16]byte(attempt), Size: int64(p[2].(float64))})
		}
		if d := encrypt.GroupDigest(rows); !bytes.Equal(d[:], g.Digest) {
			t.Errorf("group %d", i)
		}
	}
}

func vectorPlain(size int64) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func openBlob(t *testing.T, folder string, v *vectors, b *blobVector) {
	sealed, err := os.ReadFile(filepath.Join(folder, b.file()))
	if err != nil {
		t.Fatal(err)
	}
	aad := encrypt.BlobAAD([16]byte(v.Deployment), [20]byte(b.Blob))
	o, err := encrypt.NewOpener(encrypt.DataKey(b.Key), aad, encrypt.BlobSeal{IV: [32]byte(b.IV), Tag: [32]byte(b.Tag)}, b.BlobSize)
	if err != nil {
		t.Fatal(err)
	}
	plain := vectorPlain(b.BlobSize)
	if got, err := o.OpenAll(nil, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("blob of %d: %v", b.BlobSize, err)
	}
	off, n := o.SealedRange(b.BlobSize/2, b.BlobSize-b.BlobSize/2)
	got, err := io.ReadAll(o.NewReader(bytes.NewReader(sealed[off:off+n]), b.BlobSize/2, b.BlobSize-b.BlobSize/2))
	if err != nil || !bytes.Equal(got, plain[b.BlobSize/2:]) {
		t.Errorf("half a blob of %d: %v", b.BlobSize, err)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// makeVectors seals a set with random keys in a new folder.
func makeVectors(t *testing.T, folder string) {
	t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	v := &vectors{MadeBy: "go", Deployment: random(16), Bucket: random(16), Seed: random(32), Generation: 7}
	makeKeyrings(t, v)
	makeKeys(v)
	makeAdded(v)
	makeRows(v)
	makeRecords(t, v)
	for _, size := range []int64{0, 1, 65535, 65536, 65537} {
		b := blobVector{Blob: random(20), Key: random(32), BlobSize: size}
		var sealed bytes.Buffer
		w, err := encrypt.NewSealWriter(&sealed, encrypt.DataKey(b.Key), encrypt.BlobAAD([16]byte(v.Deployment), [20]byte(b.Blob)))
		if err != nil {
			t.Fatal(err)
		}
		seal := w.Seal()
		b.IV, b.Tag = seal.IV[:], seal.Tag[:]
		w.Write(vectorPlain(size))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, b.file()), sealed.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		v.Blobs = append(v.Blobs, b)
	}
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "vectors.json"), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func makeKeyrings(t *testing.T, v *vectors) {
	var rings []*keyring.Keyring
	for i, passphrase := range []string{"", "correct horse"} {
		path := filepath.Join(t.TempDir(), "keyring")
		ring, err := keyring.Create(path, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v.Keyrings = append(v.Keyrings, keyringVector{passphrase, string(text)})
		p := providerVector{Keyring: i, Purpose: "bucket", ID: random(16), Generation: 1, Secret: random(32)}
		c := encrypt.Context{Deployment: encrypt.Deployment(v.Deployment), Purpose: p.Purpose, ID: [16]byte(p.ID), Generation: p.Generation}
		if p.Wrapped, err = ring.Wrap(t.Context(), c, p.Secret); err != nil {
			t.Fatal(err)
		}
		v.Providers = append(v.Providers, p)
		rings = append(rings, ring)
	}
	makeEnvelopes(t, v, rings)
}

func makeKeys(v *vectors) {
	for _, n := range []int{0, 1, 100} {
		w := wrapVector{Key: random(32), Generation: 1 << 31, Purpose: "p", AAD: random(n), Secret: random(n)}
		w.Wrap = encrypt.Wrap([32]byte(w.Key), w.Generation, w.Purpose, w.AAD, w.Secret)
		v.Wraps = append(v.Wraps, w)
	}
	for _, purpose := range []string{encrypt.PurposeVersion, encrypt.PurposeUpload} {
		k := objectKeyVector{ID: random(16), Purpose: purpose, Key: random(32)}
		k.Wrap = v.bucketKeys().WrapKey(encrypt.ObjectKey(k.Key), [16]byte(k.ID), purpose)
		v.ObjectKeys = append(v.ObjectKeys, k)
	}
	c := credentialVector{AccessKey: "AKIA", User: "user", Secret: []byte("secret")}
	system := encrypt.DeriveSystemKeys(encrypt.Seed(v.Seed), encrypt.Deployment(v.Deployment), v.Generation)
	c.Wrapped = system.WrapSecret(c.AccessKey, c.User, c.Secret)
	v.Credentials = append(v.Credentials, c)
}

func vectorManifests(t *testing.T) []*encrypt.Manifest {
	var chosen []encrypt.ChosenPart
	for i := range uint32(130) {
		chosen = append(chosen, encrypt.ChosenPart{Number: i*2 + 1, Attempt: [16]byte(random(16)), Size: int64(i / 100)})
	}
	parts, err := encrypt.BuildParts([16]byte(random(16)), [16]byte(random(16)), encrypt.NewObjectKey(), chosen)
	if err != nil {
		t.Fatal(err)
	}
	return []*encrypt.Manifest{
		{},
		{Size: 3, ETag: "900150983cd24fb0d6963f7d28e17f72", Inline: []byte("abc")},
		{Size: 70, Checksum: &encrypt.Checksum{Algorithm: "CRC64NVME", Type: "FULL_OBJECT", Value: random(8)},
			Attributes: encrypt.Attributes{
				ContentType: "a/b", ContentEncoding: "gzip", ContentLanguage: "de", ContentDisposition: "inline", CacheControl: "no-store",
				Expires: "0", WebsiteRedirect: "/x", StorageClass: "STANDARD", Metadata: []encrypt.Pair{{Name: "b", Value: "ü"}, {Name: "a"}},
			},
			Tags:    []encrypt.Pair{{Name: "k", Value: "v"}},
			Extents: []encrypt.Extent{vectorExtent(30), vectorExtent(40)}},
		{Size: parts.Size(), ETag: "x-130", Parts: parts},
	}
}

func vectorExtent(length int64) encrypt.Extent {
	return encrypt.Extent{Blob: [20]byte(random(20)), Key: encrypt.NewDataKey(), Seal: encrypt.BlobSeal{IV: [32]byte(random(32)), Tag: [32]byte(random(32))},
		BlobSize: 1 << 40, Offset: 1 << 39, Length: length}
}

func makeRecords(t *testing.T, v *vectors) {
	must := func(sealed []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	for _, r := range []encrypt.ListRecord{{}, {ETag: "e-2", Owner: "o", ChecksumAlgorithm: "SHA1", ChecksumType: "COMPOSITE"}} {
		l := listVector{Name: random(20), Version: random(16), Record: plainJSON(reflect.ValueOf(r))}
		l.Sealed = v.bucketKeys().SealListRecord(v.name(l.Name, l.Version), &r)
		v.ListRecords = append(v.ListRecords, l)
	}
	for _, purpose := range []string{encrypt.PurposeVersion, encrypt.PurposeUpload} {
		for _, m := range vectorManifests(t) {
			x := manifestVector{Key: random(32), Purpose: purpose, Name: random(20), ID: random(16), Manifest: plainJSON(reflect.ValueOf(m))}
			x.Sealed = must(encrypt.SealManifest(encrypt.ObjectKey(x.Key), purpose, v.name(x.Name, x.ID), m))
			v.Manifests = append(v.Manifests, x)
		}
	}
	for _, r := range []*encrypt.PartRecord{{}, {Size: 5, MD5: [16]byte(random(16)),
		Checksum: &encrypt.Checksum{Algorithm: "SHA256", Value: random(32)}, Extents: []encrypt.Extent{vectorExtent(5)}}} {
		p := partVector{Key: random(32), Upload: random(16), Number: 10_000, Attempt: random(16), Record: plainJSON(reflect.ValueOf(r))}
		p.Sealed = must(encrypt.SealPart(encrypt.ObjectKey(p.Key), v.part(&p), r))
		v.Parts = append(v.Parts, p)
	}
	rows := []encrypt.ChosenPart{{Number: 1, Attempt: [16]byte(random(16)), Size: 5}, {Number: 3, Attempt: [16]byte(random(16)), Size: 1 << 40}}
	digest := encrypt.GroupDigest(rows)
	g := groupVector{Digest: digest[:]}
	for _, r := range rows {
		g.Parts = append(g.Parts, [3]any{r.Number, hex.EncodeToString(r.Attempt[:]), r.Size})
	}
	v.Groups = append(v.Groups, g)
}
