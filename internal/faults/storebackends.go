package faults

import (
	"context"
	"time"

	"github.com/sanctum-storage/gateway/meta"
)

func (f *faultyStore) ListBackends(ctx context.Context) ([]meta.Backend, error) {
	return question(f, "ListBackends", func() ([]meta.Backend, error) { return f.s.ListBackends(ctx) })
}

func (f *faultyStore) AddBackend(ctx context.Context, b meta.Backend) error {
	return f.do("AddBackend", func() error { return f.s.AddBackend(ctx, b) })
}

func (f *faultyStore) AdvanceEpoch(ctx context.Context, id meta.BackendID, from, to int64) error {
	return f.do("AdvanceEpoch", func() error { return f.s.AdvanceEpoch(ctx, id, from, to) })
}

func (f *faultyStore) DrainBackend(ctx context.Context, id, target meta.BackendID) error {
	return f.do("DrainBackend", func() error { return f.s.DrainBackend(ctx, id, target) })
}

func (f *faultyStore) CancelDrain(ctx context.Context, id meta.BackendID) error {
	return f.do("CancelDrain", func() error { return f.s.CancelDrain(ctx, id) })
}

func (f *faultyStore) NoteDrain(ctx context.Context, l meta.Lease, id meta.BackendID, d meta.Drain) error {
	return f.do("NoteDrain", func() error { return f.s.NoteDrain(ctx, l, id, d) })
}

func (f *faultyStore) RetireBackend(ctx context.Context, l meta.Lease, id meta.BackendID, round int64) error {
	return f.do("RetireBackend", func() error { return f.s.RetireBackend(ctx, l, id, round) })
}

func (f *faultyStore) MoveBuckets(ctx context.Context, from, to meta.BackendID, limit int) (int, error) {
	return change(f, "MoveBuckets", func() (int, error) { return f.s.MoveBuckets(ctx, from, to, limit) })
}

func (f *faultyStore) Demands(ctx context.Context) (int64, error) {
	return question(f, "Demands", func() (int64, error) { return f.s.Demands(ctx) })
}

func (f *faultyStore) MoveBlob(ctx context.Context, m meta.Move) error {
	return f.do("MoveBlob", func() error { return f.s.MoveBlob(ctx, m) })
}

func (f *faultyStore) ReserveCopy(ctx context.Context, holder meta.ID, id meta.BlobID, from, to meta.BackendID, now time.Time) error {
	return f.do("ReserveCopy", func() error { return f.s.ReserveCopy(ctx, holder, id, from, to, now) })
}

func (f *faultyStore) ReleaseCopy(ctx context.Context, holder meta.ID, id meta.BlobID, at meta.BackendID, now time.Time) error {
	return f.do("ReleaseCopy", func() error { return f.s.ReleaseCopy(ctx, holder, id, at, now) })
}

func (f *faultyStore) BlobBackends(ctx context.Context, ids []meta.BlobID) ([]meta.BackendID, error) {
	return question(f, "BlobBackends", func() ([]meta.BackendID, error) { return f.s.BlobBackends(ctx, ids) })
}

func (f *faultyStore) Lease(ctx context.Context, name string) (meta.Lease, error) {
	return question(f, "Lease", func() (meta.Lease, error) { return f.s.Lease(ctx, name) })
}

func (f *faultyStore) TakeLease(ctx context.Context, seen meta.Lease, holder meta.ID) (meta.Lease, error) {
	return change(f, "TakeLease", func() (meta.Lease, error) { return f.s.TakeLease(ctx, seen, holder) })
}

func (f *faultyStore) DropLease(ctx context.Context, l meta.Lease) error {
	return f.do("DropLease", func() error { return f.s.DropLease(ctx, l) })
}
