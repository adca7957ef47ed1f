//go:build linux && !clients

package clustertest

// rounds of a short run.
var rounds = eachFault

const (
	// versionSeeds are the histories of versions of a short run.
	versionSeeds = 10
	// everyEnd: see TestRestoredStore.
	everyEnd = false
)
