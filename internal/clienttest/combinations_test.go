//go:build !clients

package clienttest

// combinations of a short run: what a gateway is when nothing is configured.
var combinations = []parts{{"sqlite", "fs"}}
