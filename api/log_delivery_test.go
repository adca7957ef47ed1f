package api

import (
	"bytes"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

// The buffer never exceeds its bound, and counts the records that it could not
// take.
func TestLogBufferBound(t *testing.T) {
	b := logBuffer{now: time.Now}
	g := logGroup{name: "a"}
	record := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
	for range maxLogBuffer>>20 + 3 {
		b.add(g, record)
	}
	other := logGroup{name: "b", owner: meta.ID{2}}
	b.add(other, record)
	owners, dropped := b.take(false)      // it is full, so its age does not matter
	const room = maxLogBuffer*3/4>>20 - 1 // records of one owner; the group itself takes the rest
	if len(owners) != 1 || len(owners[0].groups[g]) != room<<20 || dropped != maxLogBuffer>>20+3-room {
		t.Fatalf("records of %d owners are due, %d dropped", len(owners), dropped)
	}
	records := owners[0].groups[g]
	b.add(g, record)
	if n := b.giveBack(g, records, false); n != room {
		t.Errorf("%d records of a buffer that has no room for them were dropped", n)
	}
	if n := b.giveBack(g, []byte("first\n"), false); n != 0 {
		t.Errorf("%d records dropped", n)
	}
	owners, dropped = b.take(true)
	if records := owners[0].groups[g]; dropped != 0 || len(records) != 1<<20+6 || !bytes.HasPrefix(records, []byte("first\n")) {
		t.Errorf("%d bytes, %d dropped", len(records), dropped)
	}
	if len(owners) != 2 || len(owners[1].groups[other]) != 1<<20 {
		t.Errorf("records of %d owners are there, want 2", len(owners))
	}
	if b.size != 0 || len(b.owners) != 0 {
		t.Errorf("%d bytes of %d owners are left", b.size, len(b.owners))
	}
}

// Records wait until the oldest of their owner's is old enough, or until some of
// them were put off; those of other owners are not due with them.
func TestLogBufferAge(t *testing.T) {
	now := time.Date(2030, 1, 15, 0, 0, 0, 0, time.UTC)
	b := logBuffer{now: func() time.Time { return now }}
	other := logGroup{owner: meta.ID{2}}
	b.add(logGroup{}, []byte("x\n"))
	now = now.Add(LogInterval - 1)
	b.add(other, []byte("x\n"))
	if owners, _ := b.take(false); owners != nil {
		t.Error("a new record is taken")
	}
	now = now.Add(1)
	if owners, _ := b.take(false); len(owners) != 1 || !owners[0].owner.IsZero() {
		t.Errorf("records of %d owners are taken, want 1", len(owners))
	}
	if b.giveBack(logGroup{}, []byte("x\n"), false); len(b.owners) != 2 {
		t.Fatal("given back, and not there")
	}
	if owners, _ := b.take(false); owners != nil {
		t.Error("a record that could not be written is taken at once")
	}
	b.giveBack(logGroup{}, []byte("x\n"), true)
	if owners, _ := b.take(false); len(owners) != 1 || !owners[0].owner.IsZero() {
		t.Error("records that were put off are not taken")
	}
	b.take(true)
	for i := range maxLogGroups + 1 {
		b.add(logGroup{name: string(rune(i))}, []byte("x\n"))
	}
	b.add(other, []byte("x\n"))
	owners, dropped := b.take(true)
	if len(owners) != 2 || len(owners[0].groups)+len(owners[1].groups) != maxLogGroups*3/4+1 || dropped != maxLogGroups/4+1 {
		t.Errorf("records of %d owners, %d dropped", len(owners), dropped)
	}
}
