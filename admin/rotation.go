package admin

import (
	"context"
	"math"
	"time"

	"github.com/sanctum-storage/gateway/rotate"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// Generation is one generation of a bucket's keys.
type Generation struct {
	Generation uint32    `json:"generation"`       // from 1, in the order in which they were made
	Created    time.Time `json:"created"`          // when it was made
	Former     bool      `json:"former,omitempty"` // nothing is written by it any more
}

// Generations are all generations of a bucket's keys.
type Generations struct {
	Generations []Generation `json:"generations"` // the newest first
}

// NewGeneration is the generation that a bucket is written with from now on.
type NewGeneration struct {
	Generation uint32 `json:"generation"` // its number
}

// StartRotation is the body of POST /v1/keys/rotation.
type StartRotation struct {
	All bool `json:"all"` // each bucket gets a new generation first; otherwise what there is goes on
}

// Rotation is how far the rotation of buckets' keys is. Its numbers are of rows, which are
// those of buckets with several generations.
type Rotation struct {
	Job
	End     time.Time `json:"end,omitzero"`      // when it is expected to end, by its pace
	Rotated int       `json:"rotated,omitempty"` // buckets that got a new generation so far
	Rows    int       `json:"rows"`              // that there are, by the last count
}

func (s *Server) listGenerations(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	found, err := s.engine.Buckets().Generations(ctx, b)
	if err != nil {
		return nil, err
	}
	all := Generations{Generations: []Generation{}}
	for _, g := range found {
		all.Generations = append(all.Generations, Generation{g.Generation, shown(g.Created), g.Former})
	}
	return all, nil
}

func (s *Server) rotateBucket(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	generation, err := rotate.Bucket(ctx, s.engine, b, s.now())
	if err != nil {
		return nil, err
	}
	return NewGeneration{generation}, nil
}

func (s *Server) destroyGeneration(ctx context.Context, r *request) (any, error) {
	b, err := s.bucketNamed(ctx, r)
	if err != nil {
		return nil, err
	}
	text, err := r.parameter("generation")
	if err != nil {
		return nil, err
	}
	generation, ok := strict.Number(text, math.MaxUint32)
	if !ok {
		return nil, s3err.New(s3err.InvalidArgument, "A generation is a number from 1 on.")
	}
	return nil, rotate.Destroy(ctx, s.engine, b, uint32(generation))
}

func (s *Server) getRotation(ctx context.Context, r *request) (any, error) {
	j, err := rotate.Status(ctx, s.engine)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, s3err.New(s3err.NoSuchEntity, "Keys were never rotated.")
	}
	out := Rotation{Job: jobOf(j.Head, j.Old, j.Rewrapped, j.Left), Rotated: j.Rotated, Rows: j.Rows}
	if end := j.End(); !end.IsZero() {
		out.End = shown(end)
	}
	return out, nil
}

func (s *Server) startRotation(ctx context.Context, r *request) (any, error) {
	var in StartRotation
	if err := r.decode(&in); err != nil {
		return nil, err
	}
	if in.All {
		return nil, rotate.All(ctx, s.engine, s.now())
	}
	return nil, rotate.Resume(ctx, s.engine, s.now())
}

func (s *Server) stopRotation(ctx context.Context, r *request) (any, error) {
	return nil, rotate.Stop(ctx, s.engine, s.now())
}
