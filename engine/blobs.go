package engine

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// settleTimeout bounds what is done for a request after it has failed.
const settleTimeout = 10 * time.Second

// newBlobs makes the ledger and places of the deployment. Blobs get no key that opens data. They
// reach buckets and versions through the small interfaces of this call.
func (e *Engine) newBlobs(c *Config, seed encrypt.Seed) *blobs.Blobs {
	return blobs.New(blobs.Config{
		Store: e.store, Deployment: meta.ID(e.deployment), Backends: c.Backends, Default: c.Default,
		Keys: blobs.DeriveMarkerKeys(func(use string) []byte { return derived(seed, use) }),
		Now:  e.now, Elapsed: c.Elapsed, Log: e.log, Sole: c.Sole, ReadOnly: c.ReadOnly, Grace: c.Grace,
		Sealing: e.sealing, Revocations: e.revocations, Buckets: bucketRows{e}, Prover: prover{e}, Damaged: e.damage.Move,
		Possible: possibleBlob, Sealed: sealedSize,
		Before: e.beforeSweep(), After: e.afterSweep(),
	})
}

// possibleBlob reports whether a blob can have so many sealed bytes.
// sealed is in bytes.
func possibleBlob(sealed int64) bool {
	// A move copies what a backend sends. Without this bound, a backend that claims a blob of a
	// terabyte would fill the target.
	plain, err := encrypt.PlainSize(sealed)
	return err == nil && plain <= MaxBodySize+maxFilling
}

// sealedSize is that of encrypt, and 0 where a row was edited.
func sealedSize(plain int64) int64 {
	if plain < 0 || plain > encrypt.MaxBlobSize {
		return 0
	}
	return encrypt.SealedSize(plain)
}

// bucketRows tells blobs what buckets demand.
// It exists so that blobs need not import buckets, which would be a circle.
type bucketRows struct{ e *Engine }

// Again implements blobs.Buckets.
func (b bucketRows) Again(ctx context.Context, was meta.Bucket) (meta.Bucket, error) {
	return b.e.buckets.Reread(ctx, was)
}

// Prove implements blobs.Buckets.
func (b bucketRows) Prove(row *meta.Bucket) error { return b.e.buckets.Prove(row) }
