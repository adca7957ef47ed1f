//go:build linux

package clustertest

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sanctum-storage/gateway/admin"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/topology"
	"github.com/sanctum-storage/gateway/jobs"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/rotate"
	"github.com/sanctum-storage/gateway/s3err"
)

// rotate does a step of the job that rotates the bucket's keys. Where one has ended, it
// destroys what older rotations left behind, and begins the next.
func (l *load) rotate(ctx context.Context, e *engine.Engine, steps *rotate.Steps) (destroyed int, err error) {
	r, err := steps.Step(ctx)
	if r.Failed > 0 {
		l.c.t.Errorf("%d rows cannot be rewrapped", r.Failed)
	}
	if err != nil || r.State == jobs.Running {
		return 0, err
	}
	b, err := e.Buckets().Get(ctx, l.c.bucket.Name)
	if err != nil {
		return 0, err
	}
	all, err := e.Buckets().Generations(ctx, b)
	if err != nil {
		return 0, err
	}
	// The newest of the former ones is left: a request under way may have read a row of it.
	for i := 2; i < len(all); i++ {
		if err = rotate.Destroy(ctx, e, b, all[i].Generation); err == nil {
			destroyed++
		} else if !refusedRotation(err) {
			return destroyed, err
		}
	}
	if _, err = rotate.Bucket(ctx, e, b, time.Now()); refusedRotation(err) {
		err = nil
	}
	return destroyed, err
}

// refusedRotation reports that another engine was faster, or that rows of the job before are
// left.
func refusedRotation(err error) bool {
	for _, code := range []error{s3err.InvalidRequest, s3err.NoSuchEntity, s3err.EntityAlreadyExists, s3err.ConcurrentModification, s3err.OperationAborted, meta.ErrConflict} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// killRotating kills a gateway that rotates the keys of the bucket. The others end the job,
// and nothing needs the former generations.
func (b *battle) killRotating(n int) {
	other := b.top.Gateways[(n+1)%len(b.top.Gateways)]
	b.key(b.top.Gateways[n], nil, "rotate", bucket)
	b.killGateway(n)
	var job admin.Rotation
	for began := time.Now(); ; time.Sleep(probePause) {
		if b.key(other, &job, "rotation", "-o", "json"); jobs.State(job.State) != jobs.Running {
			break
		}
		if time.Since(began) > rotationTime {
			b.t.Fatalf("seed %d: the rotation does not end: %+v", b.seed, job)
		}
	}
	if jobs.State(job.State) != jobs.Done {
		b.t.Fatalf("seed %d: %+v", b.seed, job)
	}
	var all []admin.Generation
	b.key(other, &all, "generations", bucket, "-o", "json")
	for _, g := range all[1:] {
		b.key(other, nil, "destroy", bucket, strconv.FormatUint(uint64(g.Generation), 10))
	}
	b.pass(ramp)
}

// rotationTime is within what time a rotation ends, however loaded the machine is.
const rotationTime = 2 * time.Minute

// key runs a command about keys at a gateway, and reads the JSON that it prints into out; nil:
// none.
func (b *battle) key(g *topology.Gateway, out any, args ...string) {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), b.top.Binary, append([]string{"key"}, args...)...)
	cmd.Env = append(b.top.Env(), "SANCTUM_ADMIN_URL="+g.AdminURL, "SANCTUM_DATA="+filepath.Join(b.t.TempDir(), "data"))
	text, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		b.t.Fatalf("seed %d: gateway key %v: %v\n%s", b.seed, args, err, exit.Stderr)
	}
	must(b.t, err)
	if out != nil {
		must(b.t, json.Unmarshal(text, out))
	}
}
