//go:build linux

package transfer

import (
	"testing"
)

func TestCopyBetweenServers(t *testing.T) {
	a, b := startVersitygw(t), startVersitygw(t)
	a.fill(t, "source", 200, oddKeys)
	r := must(t, between(a, "source", b, "target"))
	t.Logf("%+v %+v", r, r.Left)
	sameStates(t, a.states(t, "source"), b.states(t, "target"))
	r = must(t, between(a, "source", b, "target"))
	if r.Copied.Objects != 0 || r.Skipped != r.Listed {
		t.Errorf("the second run: %+v", r)
	}
}
