//go:build linux && !clients

package clustertest

// rounds of a short run.
var rounds = eachFault
