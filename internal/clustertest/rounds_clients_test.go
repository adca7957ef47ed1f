//go:build linux && clients

package clustertest

import (
	"slices"
	"time"
)

const (
	cycles = 5
	// deadPause of a gateway is one after which the others have condemned what it
	// had reserved and not committed.
	deadPause = 80 * time.Second
	// versionSeeds are the histories of versions.
	versionSeeds = 50
	// everyEnd: see TestRestoredStore.
	everyEnd = true
)

// rounds of a full run.
var rounds = append(slices.Repeat(eachFault, cycles),
	round{"pause of a gateway until it is taken for dead", func(b *battle, n int) { b.pauseFor(n, deadPause) }})
