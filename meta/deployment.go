package meta

import (
	"context"
	"time"
)

// Deployment is the one row that says whose store this is.
type Deployment struct {
	ID      ID
	Root    ID     // the root tenant
	Seed    []byte // the system seed, wrapped by the key provider; opening it proves the right key
	Created time.Time
	Sealing Sealing
	// Record seals what the row says under the system keys; nil while Sealing is
	// SealingLegacy.
	Record []byte
	// Resealed is how far the rows are resealed; see NoteResealed. InitDeployment
	// ignores it.
	Resealed []byte
}

// Deployments keeps the deployment's row.
type Deployments interface {
	// Deployment returns the row, or ErrNotFound in a new store. ErrUnfinished and
	// ErrMoved tell of a store that nobody may serve.
	Deployment(ctx context.Context) (Deployment, error)
	// InitDeployment writes the row, the root tenant and the first backend, whose
	// id is FirstBackend, once; ErrExists after that.
	InitDeployment(ctx context.Context, d Deployment, root Tenant, first Backend) error
}
