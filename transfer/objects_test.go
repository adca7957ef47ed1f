//go:build linux && !clients

package transfer

// importObjects is the number of small objects of the long test. The tag
// clients makes it ten thousand.
const importObjects = 1500
