package engine

import (
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
)

// sealer seals the rows of versions and uploads, opens them, and proves that a row is what
// was sealed. It reads no row: it judges what it is given.
type sealer struct {
	deployment encrypt.Deployment
	buckets    *buckets.Buckets // for their keys
	sealing    *Sealing
	damage     *damage.Reports
}
