package encrypt

import (
	"bytes"
	"errors"
	"testing"
)

func testShown() RowShown {
	return RowShown{Owner: [16]byte{7}, Size: 1 << 40, Modified: 1_700_000_000_000_000, Class: "GLACIER_IR"}
}

// otherRows are testShown with one thing changed.
func otherRows() map[string]RowShown {
	all := map[string]RowShown{}
	change := func(what string, f func(*RowShown)) {
		s := testShown()
		f(&s)
		all[what] = s
	}
	change("null", func(s *RowShown) { s.Null = true })
	change("marker", func(s *RowShown) { s.Marker = true })
	change("owner", func(s *RowShown) { s.Owner[15]++ })
	change("size", func(s *RowShown) { s.Size++ })
	change("negative size", func(s *RowShown) { s.Size = -s.Size })
	change("modified", func(s *RowShown) { s.Modified-- })
	change("class", func(s *RowShown) { s.Class = "GLACIER_I" })
	change("no class", func(s *RowShown) { s.Class = "" })
	return all
}

func TestWholeRecord(t *testing.T) {
	n, shown := testName(), testShown()
	seed := NewSeed()
	keys := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 5)
	r := WholeRecord{ETag: "d41d8cd98f00b204e9800998ecf8427e-3", ChecksumAlgorithm: "CRC32C", ChecksumType: "COMPOSITE", Rest: [32]byte{1}}
	for _, want := range []WholeRecord{r, {}} {
		sealed := keys.SealWholeRecord(n, &shown, &want)
		if got, err := keys.OpenWholeRecord(n, &shown, sealed); err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
		if g, err := ListRecordGeneration(sealed); g != 5 || err != nil || !IsWholeRecord(sealed) {
			t.Fatal(g, err)
		}
		for what, other := range otherNames() {
			if _, err := keys.OpenWholeRecord(other, &shown, sealed); !errors.Is(err, ErrCorrupt) {
				t.Errorf("another %s: %v", what, err)
			}
		}
		for what, other := range otherRows() {
			if _, err := keys.OpenWholeRecord(n, &other, sealed); !errors.Is(err, ErrCorrupt) {
				t.Errorf("another row, %s: %v", what, err)
			}
		}
		mutations(sealed, func(what string, bad []byte) {
			if _, err := keys.OpenWholeRecord(n, &shown, bad); !refused(err) {
				t.Errorf("%s: %v", what, err)
			}
		})
		if _, err := DeriveBucketKeys(seed, n.Deployment, n.Bucket, 6).OpenWholeRecord(n, &shown, sealed); !errors.Is(err, ErrWrongKey) {
			t.Errorf("another generation: %v", err)
		}
	}
}

// Neither form of a list record passes for the other, whatever its byte says.
func TestWholeRecordIsNoListRecord(t *testing.T) {
	n, shown := testName(), testShown()
	keys := DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5)
	whole, old := keys.SealWholeRecord(n, &shown, &WholeRecord{ETag: "e"}), keys.SealListRecord(n, &ListRecord{ETag: "e"})
	if IsWholeRecord(old) || IsWholeRecord(nil) || IsWholeRecord(whole[:4]) {
		t.Error("what is no whole record claims to be one")
	}
	for _, form := range []byte{1, 2, 3} {
		for what, sealed := range map[string][]byte{"whole": whole, "old": old} {
			sealed = bytes.Clone(sealed)
			same := sealed[4] == form
			sealed[4] = form
			if _, err := keys.OpenWholeRecord(n, &shown, sealed); (err == nil) != (same && what == "whole") {
				t.Errorf("the %s record with form %d opens as a whole one: %v", what, form, err)
			}
			if _, err := keys.OpenListRecord(n, sealed); (err == nil) != (same && what == "old") {
				t.Errorf("the %s record with form %d opens as an old one: %v", what, form, err)
			}
		}
	}
}

// Everything in the rest of a row is in its digest, and nothing can move from one
// column to the next.
func TestRowRestDigest(t *testing.T) {
	at, other, zero := int64(5), int64(6), int64(0)
	base := func() *RowRest {
		return &RowRest{Encryption: 1, LockMode: 2, LockUntil: &at, BodyKind: 1, Body: []byte("body"), Revision: 3, Marks: []byte("marks")}
	}
	seen := map[[32]byte]string{base().Digest(): "base"}
	for what, change := range map[string]func(*RowRest){
		"encryption": func(r *RowRest) { r.Encryption = 2 }, "lock mode": func(r *RowRest) { r.LockMode = 1 },
		"hold": func(r *RowRest) { r.LockHold = true }, "until": func(r *RowRest) { r.LockUntil = &other },
		"no until": func(r *RowRest) { r.LockUntil = nil }, "until 1970": func(r *RowRest) { r.LockUntil = &zero },
		"body kind": func(r *RowRest) { r.BodyKind = 2 }, "body": func(r *RowRest) { r.Body = []byte("bodx") },
		"no body": func(r *RowRest) { r.Body = nil }, "revision": func(r *RowRest) { r.Revision++ },
		"marks": func(r *RowRest) { r.Marks = []byte("mark") }, "no marks": func(r *RowRest) { r.Marks = nil },
		"no lock": func(r *RowRest) { r.LockMode, r.LockUntil, r.Marks = 0, nil, nil },
	} {
		r := base()
		change(r)
		if was, ok := seen[r.Digest()]; ok {
			t.Errorf("another %s has the digest of another %s", what, was)
		}
		seen[r.Digest()] = what
	}
	if a, b := base().Digest(), base().Digest(); a != b {
		t.Error("one row has two digests")
	}
}

func FuzzDecodeWholeRecord(f *testing.F) {
	f.Add(appendWholeRecord(nil, &WholeRecord{ETag: "e", ChecksumType: "COMPOSITE"}))
	f.Add(appendListRecord(nil, &ListRecord{ETag: "e", Owner: "o"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeWholeRecord(b)
		if err == nil && !bytes.Equal(appendWholeRecord(nil, &r), b) {
			t.Fatal("a second encoding of the same record was accepted")
		}
	})
}

func BenchmarkOpenWholeRecord(b *testing.B) {
	n, shown := testName(), testShown()
	keys := DeriveBucketKeys(NewSeed(), n.Deployment, n.Bucket, 5)
	sealed := keys.SealWholeRecord(n, &shown, &WholeRecord{ETag: "d41d8cd98f00b204e9800998ecf8427e", ChecksumAlgorithm: "CRC64NVME", Rest: [32]byte{1}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.OpenWholeRecord(n, &shown, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
