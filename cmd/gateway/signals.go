package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal is the context of a command, which ends at SIGINT or SIGTERM.
// After that the default action of signals is restored, so a second signal ends
// the process at once.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// opening is a context for the work before the wait for signals. It ends at the
// first signal that asks to end the process. done stops waiting for signals and
// reports whether one came; without one, the context stays valid.
func opening(parent context.Context, signals <-chan os.Signal) (ctx context.Context, done func() (asked bool)) {
	ctx, cancel := context.WithCancel(parent)
	over, ended := make(chan struct{}), make(chan bool)
	go func() {
		for {
			select {
			case <-over:
				ended <- false
				return
			case s := <-signals:
				if s != syscall.SIGHUP {
					cancel()
					<-over
					ended <- true
					return
				}
			}
		}
	}()
	return ctx, func() bool {
		close(over)
		return <-ended
	}
}
