package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// Backend is a backend as this interface shows it. What is configured is this
// gateway's configuration; the rest is the deployment's.
type Backend struct {
	Name         string    `json:"name"`
	State        string    `json:"state"` // active, draining, retired
	Created      time.Time `json:"created"`
	Configured   bool      `json:"configured"`
	Away         bool      `json:"away,omitempty"` // this gateway asked it in vain
	Type         string    `json:"type,omitempty"` // of a configured backend: s3, gcs, fs
	Default      bool      `json:"default,omitempty"`
	Region       string    `json:"region,omitempty"`
	Jurisdiction string    `json:"jurisdiction,omitempty"`
	// Doubtful counts blobs that a process wrote and, as far as the store knows, did
	// not commit before it was gone. While there are any, the backend is not retired.
	Doubtful int64  `json:"doubtful_blobs,omitempty"`
	Drain    *Drain `json:"drain,omitempty"`
}

// Drain is how far a draining has come.
type Drain struct {
	Target string `json:"target"`
	Blobs  int64  `json:"moved_blobs"`
	Bytes  int64  `json:"moved_bytes"` // sealed
}

// Backends are all backends, the retired ones too.
type Backends struct {
	Backends []Backend `json:"backends"`
}

// Discarded is the answer to DELETE /v1/backends/{backend}/doubtful.
type Discarded struct {
	Blobs int `json:"discarded_blobs"`
}

// DrainBackend is the body of POST /v1/backends/{backend}/drain.
type DrainBackend struct {
	Target string `json:"target"`
}

func (s *Server) listBackends(ctx context.Context, r *request) (reply, error) {
	if len(r.query) > 0 {
		return reply{}, s3err.New(s3err.InvalidArgument, "The parameter %q is not known.", r.query[0].Name)
	}
	found, err := s.engine.BackendStatus(ctx)
	if err != nil {
		return reply{}, err
	}
	all := Backends{Backends: []Backend{}}
	for _, b := range found {
		all.Backends = append(all.Backends, showBackend(b))
	}
	return reply{http.StatusOK, all}, nil
}

func showBackend(b engine.BackendStatus) Backend {
	v := Backend{
		Name: b.Row.Name, State: b.State, Created: shown(b.Row.Created), Configured: b.Configured,
		Away: b.Away, Type: b.Type, Default: b.Default, Region: b.Region, Jurisdiction: b.Jurisdiction, Doubtful: b.Doubtful,
	}
	if b.Target != "" {
		v.Drain = &Drain{Target: b.Target, Blobs: b.Row.Drain.Blobs, Bytes: b.Row.Drain.Bytes}
	}
	return v
}

func (s *Server) drainBackend(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("backend")
	if err != nil {
		return reply{}, err
	}
	var in DrainBackend
	if err := r.decode(&in); err != nil {
		return reply{}, err
	}
	if err := s.engine.DrainBackend(ctx, name, in.Target); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}

func (s *Server) cancelDrain(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("backend")
	if err != nil {
		return reply{}, err
	}
	if err := r.empty(); err != nil {
		return reply{}, err
	}
	if err := s.engine.CancelDrain(ctx, name); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}

func (s *Server) discardDoubtful(ctx context.Context, r *request) (reply, error) {
	name, err := r.parameter("backend")
	if err != nil {
		return reply{}, err
	}
	if err := r.empty(); err != nil {
		return reply{}, err
	}
	n, err := s.engine.DiscardDoubtful(ctx, name)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, Discarded{Blobs: n}}, nil
}
