package main

import (
	"os"
	"syscall"
	"testing"
)

func TestOpening(t *testing.T) {
	for _, c := range []struct {
		signal os.Signal
		asked  bool
	}{{syscall.SIGTERM, true}, {syscall.SIGINT, true}, {syscall.SIGHUP, false}, {nil, false}} {
		signals := make(chan os.Signal) // unbuffered, so that a signal was received once it is sent
		ctx, done := opening(t.Context(), signals)
		if c.signal != nil {
			signals <- c.signal
		}
		if c.asked {
			<-ctx.Done()
		}
		if asked := done(); asked != c.asked || (ctx.Err() != nil) != c.asked {
			t.Errorf("%v: asked %v, %v", c.signal, asked, ctx.Err())
		}
	}
}
