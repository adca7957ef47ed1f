package meta

import (
	"context"
	"time"
)

// Deployment is the one row that says whose store this is.
type Deployment struct {
	ID      ID
	Root    ID     // the root user
	Seed    []byte // the system seed, wrapped by the key provider; opening it proves the right key
	Created time.Time
	// Epoch counts the collector's passes that may delete. The backend holds a
	// marker of the newest, so that a store restored from an older copy is
	// noticed before it deletes what only the lost rows knew.
	Epoch int64
}

// Deployments keeps the deployment's row.
type Deployments interface {
	// Deployment returns the row, or ErrNotFound in a new store.
	Deployment(ctx context.Context) (Deployment, error)
	// InitDeployment writes the row and the root user once; ErrExists after that.
	InitDeployment(ctx context.Context, d Deployment, root User) error
	// AdvanceEpoch sets Epoch to from+1 if it is from, else ErrConflict.
	AdvanceEpoch(ctx context.Context, from int64) error
}
