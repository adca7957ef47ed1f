package encrypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// The two vectors of the XAES-256-GCM specification, with AAD and without.
func TestXAESVectors(t *testing.T) {
	for _, v := range []struct {
		key              byte
		k1, subkey       string
		aad, ciphertexts string
	}{
		{1, "e531954aca063d5b8d9c47a47d4cc6f0", "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b",
			"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "23810ec50edb99f374409466ed1f4b7b", "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8",
			"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x := newXAES((*[32]byte)(bytes.Repeat([]byte{v.key}, 32)))
		if got := hex.EncodeToString(x.k1[:]); got != v.k1 {
			t.Errorf("K1 %s, want %s", got, v.k1)
		}
		if got := hex.EncodeToString(x.subkey([]byte("ABCDEFGHIJKL"))); got != v.subkey {
			t.Errorf("subkey %s, want %s", got, v.subkey)
		}
		ct, _ := hex.DecodeString(v.ciphertexts)
		record := append([]byte("\x01ABCDEFGHIJKLMNOPQRSTUVWX"), ct...)
		if got, err := x.open(record, []byte(v.aad)); err != nil || string(got) != "XAES-256-GCM" {
			t.Errorf("opens to %q, %v", got, err)
		}
	}
}

// The specification's accumulated vector: 10,000 messages from a fixed stream.
func TestXAESAccumulated(t *testing.T) {
	stream, digest := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(stream, b)
		return b
	}
	for range 10_000 {
		key, nonce := [32]byte(read(32)), read(24)
		plain := read(int(read(1)[0]))
		aad := read(int(read(1)[0]))
		x := newXAES(&key)
		block, err := aes.NewCipher(x.subkey(nonce[:12]))
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		ct := gcm.Seal(nil, nonce[12:], plain, aad)
		digest.Write(ct)
		record := append(append([]byte{recordVersion}, nonce...), ct...)
		if got, err := x.open(record, aad); err != nil || !bytes.Equal(got, plain) {
			t.Fatal("our open disagrees: ", err)
		}
	}
	sum := make([]byte, 32)
	digest.Read(sum)
	if got := hex.EncodeToString(sum); got != "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939" {
		t.Fatalf("accumulated %s", got)
	}
}

// mutations calls f with every single flip, cut and a one-byte extension of b.
func mutations(b []byte, f func(what string, bad []byte)) {
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		f(fmt.Sprintf("byte %d flipped", i), bad)
		f(fmt.Sprintf("cut to %d", i), b[:i:i])
	}
	f("extended", append(bytes.Clone(b), 0))
	f("empty", nil)
}

func refused(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrWrongKey) }

func TestWrap(t *testing.T) {
	key, aad, secret := [32]byte{1}, []byte("aad"), []byte("the secret")
	wrap := Wrap(key, 7, "p", aad, secret)
	if len(wrap) != len(secret)+WrapOverhead {
		t.Fatalf("%d bytes", len(wrap))
	}
	if g, err := WrapGeneration(wrap); g != 7 || err != nil {
		t.Fatal(g, err)
	}
	if got, err := Unwrap(key, "p", aad, wrap); err != nil || !bytes.Equal(got, secret) {
		t.Fatal(err)
	}
	if bytes.Equal(wrap, Wrap(key, 7, "p", aad, secret)) {
		t.Fatal("two wraps are equal")
	}
	if _, err := Unwrap([32]byte{2}, "p", aad, wrap); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := Unwrap(key, "q", aad, wrap); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another purpose: %v", err)
	}
	if _, err := Unwrap(key, "p", []byte("aae"), wrap); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another aad: %v", err)
	}
	mutations(wrap, func(what string, bad []byte) {
		if _, err := Unwrap(key, "p", aad, bad); !refused(err) {
			t.Errorf("%s: %v", what, err)
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	key := [32]byte(NewSeed()) // of this process: no input can have been made with it
	f.Add(Wrap([32]byte{}, 1, "p", nil, []byte("s")))
	f.Fuzz(func(t *testing.T, wrap []byte) {
		if _, err := Unwrap(key, "p", nil, wrap); !refused(err) {
			t.Fatalf("a forged wrap: %v", err)
		}
	})
}

// No two lists of fields may share an encoding, wherever the border between
// neighbours lies.
func TestBindIsUnambiguous(t *testing.T) {
	seen := map[string]string{}
	for _, fields := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"a", "", "b"}} {
		for _, label := range []string{"l", "la", ""} {
			var parts [][]byte
			for _, f := range fields {
				parts = append(parts, []byte(f))
			}
			what := fmt.Sprintf("%q %q", label, fields)
			b := string(bind(label, parts...))
			if other, ok := seen[b]; ok {
				t.Errorf("%s encodes like %s", what, other)
			}
			seen[b] = what
		}
	}
}

func testName() Name {
	return Name{Deployment: Deployment{1}, Bucket: [16]byte{2}, Key: []byte("a/key"), Version: [16]byte{3}}
}

// otherNames are testName with one thing changed.
func otherNames() map[string]Name {
	all := map[string]Name{}
	change := func(what string, f func(*Name)) {
		n := testName()
		f(&n)
		all[what] = n
	}
	change("deployment", func(n *Name) { n.Deployment[15]++ })
	change("bucket", func(n *Name) { n.Bucket[0]++ })
	change("key", func(n *Name) { n.Key = []byte("a/kex") })
	change("longer key", func(n *Name) { n.Key = []byte("a/key\x03") })
	change("no key", func(n *Name) { n.Key = nil })
	change("version", func(n *Name) { n.Version[1]++ })
	return all
}

func TestBucketKeys(t *testing.T) {
	seed, n := NewSeed(), testName()
	keys := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 5)
	k := NewObjectKey()
	wrap := keys.WrapKey(k, n.Version, PurposeVersion)
	got, err := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 5).UnwrapKey(wrap, n.Version, PurposeVersion)
	if err != nil || got != k {
		t.Fatal("does not unwrap", err)
	}
	for what, other := range map[string]*BucketKeys{
		"seed":       DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5),
		"deployment": DeriveBucketKeys(seed, Deployment{9}, n.Bucket, 5),
		"bucket":     DeriveBucketKeys(seed, n.Deployment, [16]byte{9}, 5),
		"generation": DeriveBucketKeys(seed, n.Deployment, n.Bucket, 6),
	} {
		if _, err := other.UnwrapKey(wrap, n.Version, PurposeVersion); !errors.Is(err, ErrWrongKey) {
			t.Errorf("another %s: %v", what, err)
		}
	}
	if _, err := keys.UnwrapKey(wrap, [16]byte{8}, PurposeVersion); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another version: %v", err)
	}
	if _, err := keys.UnwrapKey(wrap, n.Version, PurposeUpload); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another purpose: %v", err)
	}
	mutations(wrap, func(what string, bad []byte) {
		if _, err := keys.UnwrapKey(bad, n.Version, PurposeVersion); !refused(err) {
			t.Errorf("%s: %v", what, err)
		}
	})
	short := Wrap(keys.wrapping.bytes(), 5, PurposeVersion, keys.keyAAD(n.Version), k[:31])
	if _, err := keys.UnwrapKey(short, n.Version, PurposeVersion); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a key of 31 bytes: %v", err)
	}
}

func TestListRecord(t *testing.T) {
	n := testName()
	keys := DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5)
	r := ListRecord{ETag: "d41d8cd98f00b204e9800998ecf8427e-3", Owner: "o", ChecksumAlgorithm: "CRC32C", ChecksumType: "COMPOSITE"}
	for _, want := range []ListRecord{r, {}} {
		sealed := keys.SealListRecord(n, &want)
		if got, err := keys.OpenListRecord(n, sealed); err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
		if g, err := ListRecordGeneration(sealed); g != 5 || err != nil {
			t.Fatal(g, err)
		}
		for what, other := range otherNames() {
			if _, err := keys.OpenListRecord(other, sealed); !errors.Is(err, ErrCorrupt) {
				t.Errorf("another %s: %v", what, err)
			}
		}
		mutations(sealed, func(what string, bad []byte) {
			if _, err := keys.OpenListRecord(n, bad); !refused(err) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

func BenchmarkOpenListRecord(b *testing.B) {
	n := testName()
	keys := DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5)
	sealed := keys.SealListRecord(n, &ListRecord{ETag: "d41d8cd98f00b204e9800998ecf8427e", Owner: "owner", ChecksumAlgorithm: "CRC64NVME"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.OpenListRecord(n, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnwrapKey(b *testing.B) {
	keys := DeriveBucketKeys(NewSeed(), Deployment{}, [16]byte{}, 1)
	wrap := keys.WrapKey(NewObjectKey(), [16]byte{}, PurposeVersion)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.UnwrapKey(wrap, [16]byte{}, PurposeVersion); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSystemKeys(t *testing.T) {
	seed, secret := NewSeed(), []byte("wJalrXUtnFEMI/K7MDENG")
	keys := DeriveSystemKeys(seed, Deployment{1}, 2)
	wrap := keys.WrapSecret("AKIA", "user", secret)
	if got, err := keys.UnwrapSecret("AKIA", "user", wrap); err != nil || !bytes.Equal(got, secret) {
		t.Fatal(err)
	}
	for what, open := range map[string]func() ([]byte, error){
		"access key": func() ([]byte, error) { return keys.UnwrapSecret("AKIB", "user", wrap) },
		"user":       func() ([]byte, error) { return keys.UnwrapSecret("AKIA", "usex", wrap) },
		"border":     func() ([]byte, error) { return keys.UnwrapSecret("AKIAu", "ser", wrap) },
		"generation": func() ([]byte, error) {
			return DeriveSystemKeys(seed, Deployment{1}, 3).UnwrapSecret("AKIA", "user", wrap)
		},
		"deployment": func() ([]byte, error) {
			return DeriveSystemKeys(seed, Deployment{2}, 2).UnwrapSecret("AKIA", "user", wrap)
		},
	} {
		if _, err := open(); !errors.Is(err, ErrWrongKey) {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

// Keys in an error or log line must not show themselves under any verb.
func TestKeysDoNotPrint(t *testing.T) {
	k := [32]byte{0xAB, 0xCD, 'S', 'E', 'C', 'R', 'E', 'T'}
	m := &Manifest{Extents: []Extent{{Key: DataKey(k)}}, Parts: &Parts{Key: ObjectKey(k)}}
	for _, v := range []any{Seed(k), ObjectKey(k), DataKey(k), m, *m, m.Extents, m.Parts, PartRecord{Extents: m.Extents}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d"} {
			out := strings.ToLower(fmt.Sprintf(verb, v))
			for _, leak := range []string{"abcd", "171 205", "0xab", "secret", "534543"} {
				if strings.Contains(out, leak) {
					t.Errorf("%q of %T shows the key: %q", verb, v, out)
				}
			}
		}
	}
}
