//go:build linux

package transfer

import (
	"testing"
)

func TestCopyBetweenServers(t *testing.T) {
	a, b := startVersitygw(t), startVersitygw(t)
	a.fill(t, "source", 200, oddKeys)
	r := must(t, between(a, "source", b, "target"))
	if r.Copied != r.Listed || r.Left.Current != r.Listed || r.NotCarried != (NotCarried{}) {
		t.Errorf("the first run: %+v, left %+v", r, r.Left)
	}
	sameStates(t, a.states(t, "source"), b.states(t, "target"))
	r = must(t, between(a, "source", b, "target"))
	if r.Copied.Objects != 0 || r.Skipped != r.Listed {
		t.Errorf("the second run: %+v", r)
	}
}
