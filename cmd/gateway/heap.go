package main

import (
	"os"
	"runtime"
)

// heapFloor is memory that the heap holds and nothing ever touches, so that it
// takes up addresses alone. The heap of a gateway that serves small objects holds
// a few MiB and would be collected whenever that has doubled, many times a second.
// With the floor it may grow by as much more before, whatever it holds; a greater
// percentage would let the heap of a busy gateway grow by a multiple of what its
// requests need.
const heapFloor = 32 << 20

// holdHeap raises the heap until the function that it returns is called, unless
// whoever starts the gateway has something to say about the heap: a memory limit
// would count the floor.
func holdHeap() (release func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	floor := make([]byte, heapFloor)
	return func() { runtime.KeepAlive(floor) }
}
