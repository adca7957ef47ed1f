package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal is the context of a command that ends when it is asked to. A second
// signal ends the process, whatever it is at.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// opening is a context for what comes before the wait for signals: it ends with
// the first that asks to end. done stops looking, and reports whether one came;
// the context lasts on if none did.
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
