package blobs

import (
	"context"
	"io"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/meta"
)

// Place is where a blob is, or is to be. It can be written to and not deleted from. Zero:
// that is not known.
type Place struct{ at *place }

// Name is the backend's; empty where it is not known.
func (p Place) Name() string {
	if p.at == nil {
		return ""
	}
	return p.at.Name
}

// Fail gives an error of the backend the code that the client is told, and the backend's
// name for the log.
func (p Place) Fail(err error) error { return p.at.fail(err) }

// Admitted asks whether a request may wait for the backend, as WithAdmission says; without
// that it may. The caller calls answered when the backend has answered.
func (p Place) Admitted(ctx context.Context) (answered func(), err error) { return p.at.admitted(ctx) }

// Put writes a reserved blob, of so many sealed bytes. Its error is that of Fail.
func (r Reserved) Put(ctx context.Context, sealed io.Reader, size int64) error {
	return r.At.Fail(r.At.at.body(ctx).Put(ctx, backends.BlobID(r.ID), sealed, size))
}

// body is the backend for a body. A request waits for it in a place of its own; what has
// none is given up when the backend hangs.
func (p *place) body(ctx context.Context) backends.Backend {
	if _, request := ctx.Value(admissionKey{}).(Admit); request {
		return p.watched().Backend
	}
	return p.Backend.Backend
}

// watched is the backend as New made it.
func (p *place) watched() *watched { return p.Backend.Backend.(*watched) }

// Reserved is a blob of this process's that is not committed.
type Reserved struct {
	ID meta.BlobID
	At Place // where its bytes are to be, or are
}
