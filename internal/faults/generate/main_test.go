package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The wrapper in package faults is the one that is generated from the contract.
func TestGenerated(t *testing.T) {
	want, err := generate(filepath.Join("..", "..", "..", "meta"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", output))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is outdated: run go generate ./internal/faults", output)
	}
}
