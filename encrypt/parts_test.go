package encrypt

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomParts are chosen parts with gaps, equal runs and empty ones.
func randomParts(rng *rand.Rand) []ChosenPart {
	var chosen []ChosenPart
	number := uint32(rng.IntN(5))
	for range 1 + rng.IntN(400) {
		number += 1 + uint32(rng.IntN(3)/2*rng.IntN(4))
		chosen = append(chosen, ChosenPart{Number: number, Attempt: [16]byte{byte(rng.IntN(256))}, Size: int64(rng.IntN(4))})
	}
	return chosen
}

// Parts must agree with the plain list that it was built from.
func TestPartsAgreeWithTheList(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		chosen := randomParts(rng)
		p, err := BuildParts([16]byte{1}, [16]byte{2}, ObjectKey{}, chosen)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if p.Count() != len(chosen) {
			t.Fatalf("seed %d: count %d of %d", seed, p.Count(), len(chosen))
		}
		off := int64(0)
		for i, c := range chosen {
			if at, size, ok := p.PartRange(c.Number); !ok || at != off || size != c.Size {
				t.Fatalf("seed %d: part %d at %d+%d %v, want %d+%d", seed, c.Number, at, size, ok, off, c.Size)
			}
			if index, ok := p.Index(c.Number); !ok || index != i {
				t.Fatalf("seed %d: part %d has index %d %v, want %d", seed, c.Number, index, ok, i)
			}
			for b := range c.Size {
				if number, at, ok := p.Find(off + b); !ok || number != c.Number || at != b {
					t.Fatalf("seed %d: byte %d in part %d at %d %v, want %d at %d", seed, off+b, number, at, ok, c.Number, b)
				}
			}
			off += c.Size
		}
		if _, _, ok := p.Find(off); ok || p.Size() != off {
			t.Fatalf("seed %d: size %d, want %d", seed, p.Size(), off)
		}
		checkGroups(t, seed, p, chosen)
	}
}

func checkGroups(t *testing.T, seed uint64, p *Parts, chosen []ChosenPart) {
	t.Helper()
	for g, rows := range slices.Collect(slices.Chunk(chosen, PartGroup)) {
		var want []uint32
		for _, c := range rows {
			want = append(want, c.Number)
		}
		if got := p.GroupNumbers(g); !slices.Equal(got, want) {
			t.Fatalf("seed %d: group %d has %v, want %v", seed, g, got, want)
		}
		if err := p.VerifyGroup(g, rows); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for what, change := range map[string]func([]ChosenPart) []ChosenPart{
			"attempt": func(r []ChosenPart) []ChosenPart { r[len(r)-1].Attempt[15]++; return r },
			"size":    func(r []ChosenPart) []ChosenPart { r[0].Size++; return r },
			"number":  func(r []ChosenPart) []ChosenPart { r[0].Number++; return r },
			"missing": func(r []ChosenPart) []ChosenPart { return r[1:] },
			"more":    func(r []ChosenPart) []ChosenPart { return append(r, ChosenPart{}) },
		} {
			if err := p.VerifyGroup(g, change(slices.Clone(rows))); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("seed %d: group %d with another %s: %v", seed, g, what, err)
			}
		}
	}
	for _, g := range []int{-1, len(p.Groups)} {
		if p.GroupNumbers(g) != nil || p.VerifyGroup(g, nil) == nil {
			t.Fatalf("group %d exists", g)
		}
	}
}

func TestPartsRefused(t *testing.T) {
	part := func(n uint32, size int64) ChosenPart { return ChosenPart{Number: n, Size: size} }
	for name, chosen := range map[string][]ChosenPart{
		"none":          {},
		"zero":          {part(0, 1)},
		"past 10000":    {part(10_001, 1)},
		"run past":      {part(10_000, 1), part(10_001, 1)},
		"wrapping":      {part(1<<32-1, 1), part(0, 1)},
		"descending":    {part(2, 1), part(1, 1)},
		"twice":         {part(2, 1), part(2, 1)},
		"negative size": {part(1, -1)},
		"huge":          {part(1, 1<<62), part(2, 1<<62)},
	} {
		if _, err := BuildParts([16]byte{}, [16]byte{}, ObjectKey{}, chosen); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, number := range []uint32{0, 1, 4, 1 << 31, 1<<32 - 1} {
		p, err := BuildParts([16]byte{}, [16]byte{}, ObjectKey{}, []ChosenPart{part(2, 1), part(3, 1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := p.PartRange(number); ok {
			t.Errorf("part %d has a range", number)
		}
	}
}

// All 10,000 parts fit and stay small: the point of runs and groups.
func TestTenThousandParts(t *testing.T) {
	chosen := make([]ChosenPart, MaxPartNumber)
	for i := range chosen {
		chosen[i] = ChosenPart{Number: uint32(i + 1), Size: 5 << 30}
	}
	p, err := BuildParts([16]byte{}, [16]byte{}, ObjectKey{}, chosen)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := SealManifest(ObjectKey{}, PurposeVersion, testName(), &Manifest{Size: p.Size(), Parts: p})
	if err != nil || len(sealed) > 4096 {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
}
