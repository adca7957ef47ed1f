package admin

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/rewrap"
	"github.com/sanctum-storage/gateway/s3err"
)

// Key is a key of the key provider that seeds are under.
type Key struct {
	ID    string `json:"id"`    // as the provider names it; `?` for seeds whose wrap names none
	Seeds int    `json:"seeds"` // of this page
}

// Keys are the keys that a page of seeds is under.
type Keys struct {
	Keys []Key  `json:"keys"`           // ordered by id
	Next string `json:"next,omitempty"` // `after` of the next page; absent: there are no more seeds
}

// Job is how far a job about keys is.
type Job struct {
	State     string    `json:"state"`              // `running`, `stopped`, `done` or `failed`
	Stage     string    `json:"stage"`              // `rotating`, `counting`, `rewrapping` or `proving`
	Started   time.Time `json:"started"`            // when it was asked for
	Changed   time.Time `json:"changed"`            // when a gateway last did something
	Old       int       `json:"old"`                // under other keys when it began
	Rewrapped int       `json:"rewrapped"`          // of those, so far
	Left      int       `json:"left"`               // under other keys, by the last count
	Failed    int       `json:"failed"`             // that cannot be rewrapped
	Failures  []string  `json:"failures,omitempty"` // the first of those, with the reasons
	Waiting   string    `json:"waiting,omitempty"`  // why the last step came to nothing; it is tried again
}

func jobOf(h jobs.Head, old, rewrapped, left int) Job {
	return Job{
		State: string(h.State), Stage: string(h.Stage), Started: shown(h.Started), Changed: shown(h.Changed),
		Old: old, Rewrapped: rewrapped, Left: left, Failed: h.Failed, Failures: h.Failures, Waiting: h.Waiting,
	}
}

// Rewrap is how far the rewrapping of seeds is. Its numbers are of seeds.
type Rewrap struct {
	Job
	Key   string `json:"key"`   // that the seeds come under
	Seeds int    `json:"seeds"` // that there are, by the last count
}

// positionBytes is a bucket's id and a generation.
const positionBytes = 16 + 4

func (s *Server) listKeys(ctx context.Context, r *request) (any, error) {
	text, limit, err := r.page()
	if err != nil {
		return nil, err
	}
	var after *rewrap.Position
	if text != "" {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != positionBytes {
			return nil, s3err.New(s3err.InvalidArgument, "after is not a next of this call.")
		}
		after = &rewrap.Position{Bucket: [16]byte(b), Generation: binary.BigEndian.Uint32(b[16:])}
	}
	found, next, err := rewrap.Keys(ctx, s.engine.Seeds(), after, limit)
	if err != nil {
		return nil, err
	}
	page := Keys{Keys: []Key{}}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		page.Keys = append(page.Keys, Key{id, found[id]})
	}
	if next != nil {
		page.Next = hex.EncodeToString(binary.BigEndian.AppendUint32(next.Bucket[:], next.Generation))
	}
	return page, nil
}

func (s *Server) getRewrap(ctx context.Context, r *request) (any, error) {
	j, err := rewrap.Status(ctx, s.engine.Seeds())
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, s3err.New(s3err.NoSuchEntity, "Seeds were never rewrapped.")
	}
	return Rewrap{Job: jobOf(j.Head, j.Old, j.Rewrapped, j.Left), Key: j.Key, Seeds: j.Seeds}, nil
}

func (s *Server) startRewrap(ctx context.Context, r *request) (any, error) {
	return nil, rewrap.Start(ctx, s.engine.Seeds(), s.now())
}

func (s *Server) stopRewrap(ctx context.Context, r *request) (any, error) {
	return nil, rewrap.Stop(ctx, s.engine.Seeds(), s.now())
}
