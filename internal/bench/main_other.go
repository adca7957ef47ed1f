//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: processes are measured through /proc, which only Linux has")
	os.Exit(2)
}
