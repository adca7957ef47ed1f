//go:build clients

package clienttest

// combinations of a full run.
var combinations = []parts{{"sqlite", "fs"}, {"postgres", "fs"}, {"sqlite", "s3"}, {"postgres", "s3"}}
