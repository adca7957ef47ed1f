//go:build linux

package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/sanctum-storage/gateway/sigv4"
)

// largePayload is the size from which a payload is sent from a file: the kernel
// then moves it to the socket, which costs the client next to nothing.
const largePayload = 1 << 20

// payload is what objects of one size hold.
type payload struct {
	size int64
	data []byte
	hash string // for x-amz-content-sha256
	file string // empty: sent from data
}

// newPayload makes bytes that look random and are the same in every run.
func newPayload(dir, name string, size int64) (*payload, error) {
	p := &payload{size: size, data: make([]byte, size)}
	rand.NewChaCha8([32]byte{1}).Read(p.data)
	p.hash = sigv4.PayloadHash(p.data)
	if size < largePayload {
		return p, nil
	}
	p.file = filepath.Join(dir, name)
	return p, os.WriteFile(p.file, p.data, 0o600)
}

// open returns a reader that the HTTP client closes.
func (p *payload) open() (io.ReadCloser, error) {
	if p.file == "" {
		return io.NopCloser(bytes.NewReader(p.data)), nil
	}
	return os.Open(p.file)
}
