package faults

import (
	"context"
	"io"
	"iter"

	"github.com/sanctum-storage/gateway/backends"
)

// Operations of a backend. Reading the body that Get returned is one more: its
// Before is asked at each Read, so that a body can break in the middle; it has
// no After.
const (
	OpPut    Op = "Put"
	OpGet    Op = "Get"
	OpRead   Op = "Read"
	OpStat   Op = "Stat"
	OpDelete Op = "Delete"
	OpList   Op = "List"
	OpNext   Op = "Next" // each step of a List that would yield a blob
	OpCheck  Op = "Check"
)

// Backend wraps b so that calls fail as plan says. A Put that fails before its
// effect has not read its body; one that fails after has stored it durably. The
// wrapper adds nothing else: with an empty plan it passes backendtest.
func Backend(b backends.Backend, plan *Plan) backends.Backend { return &faulty{b, plan} }

type faulty struct {
	b    backends.Backend
	plan *Plan
}

// do is one call: ask, act, ask.
func (f *faulty) do(op Op, act func() error) error {
	if err := f.plan.Before(op); err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	return f.plan.After(op)
}

func (f *faulty) Put(ctx context.Context, id backends.BlobID, r io.Reader, size int64) error {
	return f.do(OpPut, func() error { return f.b.Put(ctx, id, r, size) })
}

func (f *faulty) Get(ctx context.Context, id backends.BlobID, off, n int64) (io.ReadCloser, error) {
	var rc io.ReadCloser
	err := f.do(OpGet, func() (err error) {
		rc, err = f.b.Get(ctx, id, off, n)
		return err
	})
	if err != nil {
		if rc != nil {
			rc.Close()
		}
		return nil, err
	}
	return &faultyReader{rc, f.plan}, nil
}

func (f *faulty) Stat(ctx context.Context, id backends.BlobID) (info backends.Info, err error) {
	err = f.do(OpStat, func() (err error) {
		info, err = f.b.Stat(ctx, id)
		return err
	})
	if err != nil {
		return backends.Info{}, err
	}
	return info, nil
}

func (f *faulty) Delete(ctx context.Context, ids ...backends.BlobID) error {
	return f.do(OpDelete, func() error { return f.b.Delete(ctx, ids...) })
}

func (f *faulty) List(ctx context.Context, after backends.BlobID) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := f.plan.Before(OpList); err != nil {
			yield(backends.Info{}, err)
			return
		}
		for info, err := range f.b.List(ctx, after) {
			if err == nil {
				err = f.plan.Before(OpNext)
			}
			if err != nil {
				yield(backends.Info{}, err)
				return
			}
			if !yield(info, nil) {
				return
			}
		}
		if err := f.plan.After(OpList); err != nil {
			yield(backends.Info{}, err)
		}
	}
}

func (f *faulty) Check(ctx context.Context) error {
	return f.do(OpCheck, func() error { return f.b.Check(ctx) })
}

func (f *faulty) Close() error { return f.b.Close() }

type faultyReader struct {
	io.ReadCloser
	plan *Plan
}

func (r *faultyReader) Read(p []byte) (int, error) {
	if err := r.plan.Before(OpRead); err != nil {
		return 0, err
	}
	return r.ReadCloser.Read(p)
}
