//go:build linux

package servers

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// A shell that fills 8 MiB and counts is seen to have done so, until it ends.
func TestUsage(t *testing.T) {
	const held = 8 << 20
	p, err := Start(Spec{
		Name: "a shell", Program: "sh", Log: filepath.Join(t.TempDir(), "log"),
		Args: []string{"-c", `x=$(head -c 8388608 /dev/zero | tr '\0' x)
			i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done
			echo ready; sleep 600`},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	err = p.Ready(t.Context(), func(context.Context) error {
		if p.Tail() != "ready" {
			return errors.New("it is at work")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cpu, err := p.CPU(); err != nil || cpu <= 0 {
		t.Errorf("processor time %v, error %v", cpu, err)
	}
	if peak, err := p.Peak(); err != nil || peak < held {
		t.Errorf("peak %d, error %v", peak, err)
	}
	p.Kill()
	if _, err := p.CPU(); err == nil {
		t.Error("a program that has ended has processor time")
	}
	if _, err := p.Peak(); err == nil {
		t.Error("a program that has ended has a peak")
	}
}
