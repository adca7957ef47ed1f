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

// A pause of the machine that meets both lanes changes no ratio.
func TestPairedTurns(t *testing.T) {
	a, b := laneResult{Rates: []float64{90, 9, 95, 40}}, laneResult{Rates: []float64{100, 10, 100, 100}}
	if got := a.besides(&b); got != 0.9 {
		t.Errorf("%v, want 0.9", got)
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

// Every key gets its versions, in whatever order.
func TestPlaces(t *testing.T) {
	for _, f := range []filled{{keys: 1000}, {keys: 1000, versions: 1}, {keys: 100, versions: versionsEach}} {
		seen := make([]int, f.keys)
		for i := range f.keys * max(f.versions, 1) {
			seen[f.place(i)]++
		}
		for key, n := range seen {
			if n != max(f.versions, 1) {
				t.Fatalf("%+v: key %d has %d versions", f, key, n)
			}
		}
	}
}

func sampleReport() *report {
	folder, store, remote := [2]string{ours, rival}, [2]string{onPostgres, onSQLite}, [2]string{overS3, directS3}
	pair := func(of [2]string, a, b float64) []laneResult {
		return []laneResult{{Lane: of[0], Rate: a, Rates: []float64{a}, Latency: a, Requests: 1}, {Lane: of[1], Rate: b, Rates: []float64{b}, Latency: b, Requests: 1}}
	}
	more := pair(remote, 7, 10)
	more[0].Peak = 3 * floorStream << 20
	return &report{Results: []result{
		{Group: objectsGroup, Pair: folder, Row: getLargeRow, Unit: megabytes, Size: large, Lanes: pair(folder, 6, 10)},
		{Group: objectsGroup, Pair: folder, Row: putSmallRow, Unit: perSecond, Size: small,
			Lanes: append(pair(folder, 210, 1), laneResult{Lane: diskName, Rate: floorDisk / 2})},
		{Group: listsGroup, Pair: folder, Row: pageRow, Unit: milliseconds,
			Lanes: []laneResult{{Lane: manyLane, Latency: 30}, {Lane: fewLane, Latency: 29}}},
		{Group: postgresGroup, Pair: store, Row: putSmallRow, Unit: perSecond, Size: small,
			Lanes: append(pair(store, floorStored/2, 1), laneResult{Lane: pgbenchName, Rate: floorCommits / 2})},
		{Group: postgresGroup, Pair: store, Row: headRow, Unit: perSecond, Lanes: pair(store, floorHead-1, 1)},
		{Group: postgresListsGroup, Pair: store, Row: listWholeRow, Unit: milliseconds, Lanes: pair(store, 1990, 1)},
		{Group: postgresListsGroup, Pair: store, Row: listDelimiterRow, Unit: milliseconds, Lanes: pair(store, 21, 1)},
		{Group: postgresListsGroup, Pair: versionsPair, Row: versionsRows[0].on(onSQLite), Unit: milliseconds, Lanes: pair(versionsPair, 13, 10)},
		{Group: lifecycleGroup, Pair: passPair, Row: getSmallRow, Unit: perSecond, Size: small, Lanes: pair(passPair, 8, 10)},
		{Group: lifecycleGroup, Pair: passPair, Row: heapRow, Unit: mebibytes, Lanes: []laneResult{{Lane: heapRow, Rate: floorHeap - 1}}},
		{Group: tenantsGroup, Pair: costsPair, Row: refusedGetRow, Unit: perSecond, Lanes: []laneResult{{Lane: refusedLane, CPU: 1, Requests: 2}, {Lane: servedLane, CPU: 1, Requests: 1}}},
		{Group: logsGroup, Pair: [2]string{loggingLane, silentLane}, Row: headRow, Unit: perSecond, Lanes: pair([2]string{loggingLane, silentLane}, 9, 10)},
		{Group: balancersGroup, Pair: [2]string{haproxyLane, directLane}, Row: refusedUploadRow, Unit: milliseconds, Lanes: pair([2]string{haproxyLane, directLane}, 13, 10)},
		{Group: frozenGroup, Pair: [2]string{besideFrozen, besideAnswering}, Row: frozenRow, Unit: milliseconds, Lanes: pair([2]string{besideFrozen, besideAnswering}, 10, 10)},
		{Group: s3Group, Pair: remote, Row: getLargeRow, Unit: megabytes, Size: large, Clients: 1, Lanes: pair(remote, 5.9, 10)},
		{Group: s3Group, Pair: remote, Row: getLargeMoreRow, Unit: megabytes, Size: large, Clients: 4, Lanes: more},
	}}
}

// A slow disk or database halves what is asked of small PUTs; rows that were not measured
// have no floor.
func TestJudge(t *testing.T) {
	r := sampleReport()
	r.judge()
	var met []bool
	for _, f := range r.Floors {
		met = append(met, f.Met)
	}
	want := []bool{
		false, true, false, true, // a folder
		true, false, true, false, // PostgreSQL
		false,       // versions
		false, true, // lifecycles
		true,              // tenants
		false,             // logs
		false,             // balancers
		true,              // a frozen backend
		false, true, true, // S3: one stream, four, and their memory
	}
	if !slices.Equal(met, want) {
		t.Errorf("floors met: %v, want %v: %+v", met, want, r.Floors)
	}
}

// Rows are shown beside those of the same servers, and what is no server apart.
func TestTables(t *testing.T) {
	r := sampleReport()
	r.judge()
	var got [][]string
	for _, t := range r.tables() {
		var first []string
		for _, cells := range t[1:] {
			first = append(first, cells[0])
		}
		got = append(got, first)
	}
	want := [][]string{
		{getLargeRow, putSmallRow},
		{putSmallRow, headRow, listWholeRow, listDelimiterRow},
		{versionsRows[0].on(onSQLite)},
		{getSmallRow},
		{refusedGetRow},
		{headRow},
		{refusedUploadRow},
		{frozenRow},
		{getLargeRow, getLargeMoreRow},
		{diskName, manyLane, fewLane, pgbenchName, heapRow},
	}
	if floors := len(got) - 1; !slices.EqualFunc(got[:floors], want, slices.Equal) || len(got[floors]) != len(r.Floors) {
		t.Errorf("tables begin their lines with %q, want %q and floors", got, want)
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
		strings.Contains(doc, "old") || strings.Count(doc, "| "+getLargeRow+" |") != 2 {
		t.Errorf("the document is now:\n%s", doc)
	}
}
