package admin

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/blobs"
)

// Backend is a backend as this interface shows it. Its configured fields are
// those of this gateway's configuration; the rest is the deployment's.
type Backend struct {
	Name         string    `json:"name"`                   // as in the settings
	State        string    `json:"state"`                  // `active`, `draining` or `retired`
	Created      time.Time `json:"created"`                // when it was first used
	Configured   bool      `json:"configured"`             // it is in this gateway's settings
	Away         bool      `json:"away,omitempty"`         // this gateway asked it in vain
	Type         string    `json:"type,omitempty"`         // of a configured backend: `s3`, `gcs` or `fs`
	Default      bool      `json:"default,omitempty"`      // new buckets are placed there unless they demand another place
	Region       string    `json:"region,omitempty"`       // of this gateway's settings
	Jurisdiction string    `json:"jurisdiction,omitempty"` // of this gateway's settings
	// How many blobs a process wrote and, as far as the store knows, did not commit
	// before it was gone. While there are any, the backend is not retired.
	Doubtful int64  `json:"doubtful_blobs,omitempty"`
	Drain    *Drain `json:"drain,omitempty"` // of a draining backend
}

// Drain is the progress of draining.
type Drain struct {
	Target string `json:"target"`      // the backend that takes the blobs
	Blobs  int64  `json:"moved_blobs"` // so far
	Bytes  int64  `json:"moved_bytes"` // so far, sealed
}

// Backends are all backends, including retired ones.
type Backends struct {
	Backends []Backend `json:"backends"` // all of them: there are no pages
}

// Stored is the answer to GET /v1/backends/{backend}/stored.
type Stored struct {
	Blobs int64  `json:"blobs"`          // of this run
	Bytes int64  `json:"bytes"`          // of this run, sealed
	Next  string `json:"next,omitempty"` // `after` of the next run; absent: there are no more blobs
}

// Discarded is the answer to DELETE /v1/backends/{backend}/doubtful.
type Discarded struct {
	Blobs int `json:"discarded_blobs"` // that were in doubt
}

// DrainBackend is the body of POST /v1/backends/{backend}/drain.
type DrainBackend struct {
	Target string `json:"target"` // the name of another active backend
}

// listBackends has no pages, because a deployment has few backends.
func (s *Server) listBackends(ctx context.Context, r *request) (any, error) {
	found, err := s.engine.Blobs().BackendStatus(ctx)
	if err != nil {
		return nil, err
	}
	all := Backends{Backends: []Backend{}}
	for _, b := range found {
		all.Backends = append(all.Backends, showBackend(b))
	}
	return all, nil
}

// showBackend shows a draining backend's progress only while it drains.
func showBackend(b blobs.BackendStatus) Backend {
	v := Backend{
		Name: b.Row.Name, State: b.State, Created: shown(b.Row.Created), Configured: b.Configured,
		Away: b.Away, Type: b.Type, Default: b.Default, Region: b.Region, Jurisdiction: b.Jurisdiction, Doubtful: b.Doubtful,
	}
	if b.Target != "" {
		v.Drain = &Drain{Target: b.Target, Blobs: b.Row.Drain.Blobs, Bytes: b.Row.Drain.Bytes}
	}
	return v
}

// countStored asks the backend itself and not the store.
func (s *Server) countStored(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("backend")
	if err != nil {
		return nil, err
	}
	after, _, err := r.page()
	if err != nil {
		return nil, err
	}
	n, err := s.engine.Blobs().CountStored(ctx, name, after)
	if err != nil {
		return nil, err
	}
	return Stored{Blobs: n.Blobs, Bytes: n.Bytes, Next: n.Next}, nil
}

// drainBackend only records the wish; the mover drains in steps.
func (s *Server) drainBackend(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("backend")
	if err != nil {
		return nil, err
	}
	var in DrainBackend
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if err := s.engine.Blobs().DrainBackend(ctx, name, in.Target); err != nil {
		return nil, err
	}
	return nil, nil
}

// cancelDrain stops the mover at its next step.
func (s *Server) cancelDrain(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("backend")
	if err != nil {
		return nil, err
	}
	if err := s.engine.Blobs().CancelDrain(ctx, name); err != nil {
		return nil, err
	}
	return nil, nil
}

// discardDoubtful is the only way in which blobs in doubt are deleted.
func (s *Server) discardDoubtful(ctx context.Context, r *request) (any, error) {
	name, err := r.parameter("backend")
	if err != nil {
		return nil, err
	}
	n, err := s.engine.Blobs().DiscardDoubtful(ctx, name)
	if err != nil {
		return nil, err
	}
	return Discarded{Blobs: n}, nil
}
