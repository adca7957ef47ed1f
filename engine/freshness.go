package engine

import "slices"

// A change in the store holds at once for every request on every gateway: objects,
// uploads, buckets and which backend a bucket is on are read anew each time. A few
// things are remembered for a moment. Each change of them is seen by all gateways within
//
//   - accounts.CredentialTTL: a removed access key or user, whose requests are refused
//     after it, and those that wait for their bodies when these have arrived;
//   - Config.KeysCache: keys that were disabled, deleted or renewed, of buckets and of the
//     system, and all that was opened with them;
//   - blobs.BeatInterval: backends that were added, are draining or were retired,
//     and earlier where a request meets the change.
//
// Where a blob is may be remembered for blobs.PlaceTTL.

// sweep forgets what has expired, though nobody asks for it or for anything else.
func (e *Engine) sweep() {
	for _, c := range slices.Concat(e.accounts.Caches(), e.buckets.Caches(), e.blobs.Caches(), e.damage.Caches()) {
		c.Sweep()
	}
}

// forgetOpened forgets all that the system's keys, or those of buckets, have opened.
func (e *Engine) forgetOpened() {
	for _, c := range slices.Concat(e.accounts.Caches(), e.buckets.Opened()) {
		c.Clear()
	}
}
