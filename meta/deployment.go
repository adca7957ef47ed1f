package meta

import (
	"context"
	"time"
)

// Deployment is the one row that identifies the store.
type Deployment struct {
	ID      ID
	Root    ID     // the root tenant
	Seed    []byte // the system seed, wrapped by the key provider; only the right key can open it
	Created time.Time
	Sealing Sealing
	// Record seals the row under the system keys; nil while Sealing is
	// SealingLegacy.
	Record []byte
	// Resealed is the progress of resealing rows; see NoteResealed. InitDeployment
	// ignores it.
	Resealed []byte
}

// Deployments keeps the deployment's row.
type Deployments interface {
	// Deployment returns the row, or ErrNotFound in a new store. ErrUnfinished and
	// ErrMoved mean that no gateway may serve the store.
	Deployment(ctx context.Context) (Deployment, error)
	// InitDeployment writes the row, the root tenant and the first backend, whose
	// id is FirstBackend, once; ErrExists after that.
	InitDeployment(ctx context.Context, d Deployment, root Tenant, first Backend) error
}
