//go:build linux && !clients

package clustertest

// rounds of a short run.
var rounds = eachFault

// versionSeeds are the histories of versions of a short run.
const versionSeeds = 10
