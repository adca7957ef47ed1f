package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// guardMemory keeps the memory of this process, which is about to have keys, out of core dumps,
// and closes it to debuggers and other processes of the same user.
func guardMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	// Where a program takes core dumps, the limit is ignored; this is not.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("close the memory to debuggers: %w", err)
	}
	return nil
}
