package main

import (
	"os"
	"runtime"
)

// heapFloor is the size of memory that the heap contains and nothing ever
// touches, so it occupies addresses but no pages. The heap of a gateway that
// serves small objects is a few MiB, and would be collected many times a
// second, each time it has doubled. With the floor it can grow by that much
// more in between. A greater GOGC would do the same, but would also let the
// heap of a busy gateway grow to a multiple of what its requests need.
const heapFloor = 32 << 20

// holdHeap raises the heap until release is called. It does nothing if GOGC or
// GOMEMLIMIT is set: then the operator controls the heap, and a memory limit
// would count the floor.
func holdHeap() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	floor := make([]byte, heapFloor)
	return func() { runtime.KeepAlive(floor) }
}
