package blobs

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// HasPlace reports whether a LocationConstraint or residency is the name, region
// or jurisdiction of a configured backend.
func (bs *Blobs) HasPlace(demand string) bool {
	return slices.ContainsFunc(bs.c.Backends, func(b Backend) bool { return b.satisfies(demand) })
}

// Placed reports whether the configuration says anything of where bytes are.
func (bs *Blobs) Placed() bool {
	return len(bs.c.Backends) > 1 || slices.ContainsFunc(bs.c.Backends, func(b Backend) bool { return b.Region != "" || b.Jurisdiction != "" })
}

// Pick chooses the backend of a new bucket, as far as this process knows them: the default
// if it satisfies what is demanded, else the first by id that does. own is what the
// bucket's owner demands, which is among the bucket's demands. Errors: AccessDenied where
// that is met nowhere, InvalidLocationConstraint; IsUnregistered where it would be one
// that could not be reached yet.
func (bs *Blobs) Pick(b *meta.Bucket, own string) (meta.BackendID, error) {
	s := bs.registry.now.Load()
	var found *place
	meets := own == "" // somebody meets the owner's demand alone
	for _, p := range s.active() {
		meets = meets || p.satisfies(own)
		// active is in the order of ids, so the first that meets the demands stays, unless the
		// default does too.
		if p.meets(b.Residency) && (found == nil || p.Name == bs.c.Default) {
			found = p
		}
	}
	for i := range bs.c.Backends {
		// It would be chosen, and where a bucket is placed stays so.
		if d := &bs.c.Backends[i]; d.meets(b.Residency) && (found == nil || d.Name == bs.c.Default) && bs.pending.has(d.Name) {
			return 0, s3err.Wrap(s3err.ServiceUnavailable, fmt.Errorf("backend %s: %w", d.Name, errUnregistered))
		}
	}
	switch {
	case found != nil:
		return found.id, nil
	case !meets:
		return 0, s3err.New(s3err.AccessDenied, "Your account keeps its data at %q, and no backend there takes new buckets.", own)
	case len(b.Residency) == 0:
		return 0, s3err.Wrap(s3err.ServiceUnavailable, errors.New("no configured backend is active"))
	}
	return 0, s3err.New(s3err.InvalidLocationConstraint, "No backend that takes new buckets satisfies the location constraint and what your account demands.").
		With("LocationConstraint", b.Region)
}

// IsUnregistered reports whether an error says that a new backend has not been reached
// since the start.
func IsUnregistered(err error) bool { return errors.Is(err, errUnregistered) }
