package blobs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// maxNamedBuckets are named in a refusal; the rest is counted.
const maxNamedBuckets = 5

// BackendStatus is one backend as operators see it.
type BackendStatus struct {
	Row        meta.Backend
	State      string // active, draining or retired
	Target     string // draining: where to
	Configured bool   // on this gateway
	Proved     bool   // its storage was seen to be the right one, by this gateway
	Away       bool   // configured here, and last asked in vain
	Default    bool
	Doubtful   int64 // blobs in doubt; while there are any, it is not retired
	// Type, Region and Jurisdiction are this gateway's settings.
	Type         string
	Region       string
	Jurisdiction string
}

// BackendStatus lists all backends by id, the retired ones too.
func (bs *Blobs) BackendStatus(ctx context.Context) ([]BackendStatus, error) {
	s, err := bs.refresh(ctx)
	if err != nil {
		return nil, meta.Coded(err)
	}
	doubtful, err := bs.doubtfulBlobs(ctx)
	if err != nil {
		return nil, meta.Coded(err)
	}
	out := make([]BackendStatus, len(s.rows))
	for i, row := range s.rows {
		out[i] = BackendStatus{Row: row, State: stateName(row.State), Target: s.states[row.Drain.Target].Name, Doubtful: doubtful[row.ID]}
		if p := s.configured[row.ID]; p != nil {
			out[i].Configured, out[i].Proved, out[i].Default = true, p.proved.Load(), p.Name == bs.c.Default
			out[i].Away = bs.away(row.Name)
			out[i].Type, out[i].Region, out[i].Jurisdiction = p.Type, p.Region, p.Jurisdiction
		}
	}
	return out, nil
}

// DrainBackend begins to move everything from one backend to another, or changes
// the other of one that drains already. Move does the work. Errors:
// NoSuchEntity, and InvalidArgument where the target cannot take it: it is not
// active, or a bucket may be at the first but not at the target.
func (bs *Blobs) DrainBackend(ctx context.Context, name, target string) error {
	s, err := bs.refresh(ctx)
	if err != nil {
		return meta.Coded(err)
	}
	from, err := bs.knownBackend(s, name)
	if err != nil {
		return err
	}
	to, err := bs.knownBackend(s, target)
	if err != nil {
		return err
	}
	if from == to {
		return s3err.New(s3err.InvalidArgument, "A backend cannot drain to itself.")
	}
	if err := bs.prove(ctx, to); err != nil {
		return meta.Coded(Coded(err))
	}
	if err := bs.refuseResidents(ctx, from, to); err != nil {
		return meta.Coded(err)
	}
	err = bs.c.Store.DrainBackend(ctx, from.id, to.id)
	if errors.Is(err, meta.ErrConflict) {
		return s3err.New(s3err.InvalidArgument, "Backend %s must be active to take what %s holds, and %s must not be what another drains to.", target, name, name)
	} else if err != nil {
		return meta.Coded(err)
	}
	// A bucket may have been made before no more could be.
	if err := bs.refuseResidents(ctx, from, to); err != nil {
		return meta.Coded(errors.Join(err, bs.c.Store.CancelDrain(ctx, from.id)))
	}
	_, err = bs.refresh(ctx)
	return meta.Coded(err)
}

// CancelDrain makes a draining backend active again. Blobs that have moved stay
// moved. Errors: NoSuchEntity, InvalidArgument.
func (bs *Blobs) CancelDrain(ctx context.Context, name string) error {
	s, err := bs.refresh(ctx)
	if err != nil {
		return meta.Coded(err)
	}
	row, ok := s.named(name)
	if !ok {
		return noSuchBackend(name)
	}
	err = bs.c.Store.CancelDrain(ctx, row.ID)
	if errors.Is(err, meta.ErrConflict) {
		return s3err.New(s3err.InvalidArgument, "Backend %s is not draining.", name)
	} else if err != nil {
		return meta.Coded(err)
	}
	_, err = bs.refresh(ctx)
	return meta.Coded(err)
}

func noSuchBackend(name string) error {
	return s3err.New(s3err.NoSuchEntity, "There is no backend %s.", name)
}

func (bs *Blobs) knownBackend(s *places, name string) (*place, error) {
	row, ok := s.named(name)
	if !ok {
		return nil, noSuchBackend(name)
	}
	p := s.configured[row.ID]
	if p == nil {
		return nil, s3err.New(s3err.InvalidArgument, "Backend %s is not configured on this gateway.", name)
	}
	return p, nil
}

// refuseResidents finds the buckets whose demands one backend satisfies and the
// other does not: their objects may be at the first, whether it is their home or
// not, and must not come to the other.
func (bs *Blobs) refuseResidents(ctx context.Context, from, to *place) error {
	names, err := bs.heldBy(ctx, from, to)
	if err != nil || len(names) == 0 {
		return err
	}
	list := strings.Join(names[:min(len(names), maxNamedBuckets)], ", ")
	if more := len(names) - maxNamedBuckets; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return s3err.New(s3err.InvalidArgument, "Backend %s does not satisfy what these buckets demand of the place of their objects: %s.", to.Name, list)
}

// heldBy names the buckets that hold bytes at one backend which must not come to
// the other.
func (bs *Blobs) heldBy(ctx context.Context, from, to *place) (names []string, err error) {
	for q := (meta.BucketQuery{Limit: meta.MaxPage}); ; {
		page, err := bs.c.Store.ListBuckets(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, b := range page {
			q.After = b.Name
			if err := bs.c.Buckets.Prove(&b); err != nil {
				return nil, err
			}
			if (b.Backend == from.id || from.meets(b.Residency)) && !to.meets(b.Residency) {
				names = append(names, b.Name)
			}
		}
		if len(page) < meta.MaxPage {
			return names, nil
		}
	}
}
