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
	var b logBuffer
	g := logGroup{name: "a"}
	record := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
	for range maxLogBuffer>>20 + 3 {
		b.add(g, record)
	}
	other := logGroup{name: "b", owner: meta.ID{2}}
	b.add(other, record)
	groups, dropped := b.take(false)      // it is full, so its age does not matter
	const room = maxLogBuffer*3/4>>20 - 1 // records of one owner; the group itself takes the rest
	if len(groups[g]) != room<<20 || dropped != maxLogBuffer>>20+3-room || len(groups[other]) != 1<<20 {
		t.Fatalf("%d bytes are held, %d records dropped", len(groups[g]), dropped)
	}
	b.add(g, record)
	if n := b.giveBack(g, groups[g]); n != room {
		t.Errorf("%d records of a buffer that has no room for them were dropped", n)
	}
	if n := b.giveBack(g, []byte("first\n")); n != 0 {
		t.Errorf("%d records dropped", n)
	}
	if groups, dropped := b.take(true); dropped != 0 || len(groups[g]) != 1<<20+6 || !bytes.HasPrefix(groups[g], []byte("first\n")) {
		t.Errorf("%d bytes, %d dropped", len(groups[g]), dropped)
	}
}

// Records wait until the oldest of them is old enough.
func TestLogBufferAge(t *testing.T) {
	var b logBuffer
	b.add(logGroup{}, []byte("x\n"))
	if groups, _ := b.take(false); groups != nil {
		t.Error("a new record is taken")
	}
	b.oldest = time.Now().Add(-LogInterval)
	if groups, _ := b.take(false); len(groups) != 1 {
		t.Error("an old record is not taken")
	}
	for i := range maxLogGroups + 1 {
		b.add(logGroup{name: string(rune(i))}, []byte("x\n"))
	}
	b.add(logGroup{owner: meta.ID{2}}, []byte("x\n"))
	if groups, dropped := b.take(true); len(groups) != maxLogGroups*3/4+1 || dropped != maxLogGroups/4+1 {
		t.Errorf("%d groups, %d dropped", len(groups), dropped)
	}
}
