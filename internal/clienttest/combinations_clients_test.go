//go:build clients

package clienttest

import "testing"

// combinations of a full run.
var combinations = []parts{{"sqlite", "fs"}, {"postgres", "fs"}, {"sqlite", "s3"}, {"postgres", "s3"}}

// onFirst is onEach for a client whose own work takes so long that it meets the
// first combination alone.
func onFirst(t *testing.T, test func(*testing.T, *gateway)) {
	t.Helper()
	onSome(t, combinations[:1], test)
}
