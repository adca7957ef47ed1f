package main

import (
	"context"
	"errors"
	"testing"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/backends/mem"
)

// closing tells that it was closed.
type closing struct {
	backends.Backend
	closed chan struct{}
}

func (c closing) Close() error {
	close(c.closed)
	return nil
}

// A start ends beside a folder that hangs, and leaves nothing open that opens later.
func TestFolderThatHangsAtStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	until, c := make(chan struct{}), closing{mem.New(), make(chan struct{})}
	_, err := openFolder(ctx, func() (backends.Backend, error) {
		cancel()
		<-until
		return c, nil
	})
	if !errors.Is(err, errFolderHangs) {
		t.Errorf("told %v", err)
	}
	close(until)
	<-c.closed
}
