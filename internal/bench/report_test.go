//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want || !slices.Equal(c.values, before) {
			t.Errorf("median of %v is %v, want %v, and its input %v", before, got, c.want, c.values)
		}
	}
}

// Keys must lie in the order of their numbers, and fill every prefix alike.
func TestListKeys(t *testing.T) {
	const n = 10 * prefixes
	seen := make(map[string]int)
	last := ""
	for i := range n {
		key := listKey(i, n)
		if key <= last {
			t.Fatalf("key %q comes after %q", key, last)
		}
		last = key
		prefix, _, _ := strings.Cut(key, "/")
		seen[prefix]++
	}
	if len(seen) != prefixes {
		t.Errorf("%d prefixes, want %d", len(seen), prefixes)
	}
	for prefix, keys := range seen {
		if keys != n/prefixes {
			t.Errorf("%s has %d keys, want %d", prefix, keys, n/prefixes)
		}
	}
}

func sampleReport() *report {
	return &report{Results: []result{
		{Row: getLargeRow, Unit: megabytes, Size: large, Lanes: []laneResult{
			{Lane: ours, Rate: 6, Requests: 1}, {Lane: rival, Rate: 10, Requests: 1}}},
		{Row: putSmallRow, Unit: perSecond, Size: small, Lanes: []laneResult{
			{Lane: ours, Rate: 210, Requests: 1}, {Lane: rival, Rate: 1, Requests: 1}, {Lane: diskName, Rate: floorDisk / 2}}},
		{Row: pageRow, Unit: milliseconds, Lanes: []laneResult{{Lane: manyLane, Latency: 30}, {Lane: fewLane, Latency: 29}}},
	}}
}

// A slow disk halves what is asked of small PUTs; rows that were not measured
// have no floor.
func TestJudge(t *testing.T) {
	r := sampleReport()
	r.judge()
	var met []bool
	for _, f := range r.Floors {
		met = append(met, f.Met)
	}
	if want := []bool{false, true, false, true}; !slices.Equal(met, want) {
		t.Errorf("floors met: %v, want %v: %+v", met, want, r.Floors)
	}
}

func TestInsert(t *testing.T) {
	r := sampleReport()
	path := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n")
	if err := r.insert(path); err == nil {
		t.Error("a document without marks was accepted")
	}
	write("before\n" + beginMark + "old\n" + endMark + "\nafter\n")
	for range 2 { // what it wrote, it can replace
		if err := r.insert(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(got)
	if !strings.HasPrefix(doc, "before\n"+beginMark) || !strings.HasSuffix(doc, endMark+"\nafter\n") ||
		strings.Contains(doc, "old") || strings.Count(doc, "| "+getLargeRow+" |") != 1 {
		t.Errorf("the document is now:\n%s", doc)
	}
}
