package blobs

import "context"

// Admit says whether a request may wait for a backend, of which it is told the name; its
// error is the request's. The engine calls answered when the backend has answered, or will
// not.
type Admit func(backend string) (answered func(), err error)

type admissionKey struct{}

// WithAdmission has admit asked before what is done with the context waits for a
// backend: places of requests are shared among backends, so that those who wait for one
// that is frozen leave the others theirs.
func WithAdmission(ctx context.Context, admit Admit) context.Context {
	return context.WithValue(ctx, admissionKey{}, admit)
}

// admitted asks whether a request may wait for the backend, as WithAdmission says; without
// that it may. The caller calls answered when the backend has answered.
func (p *place) admitted(ctx context.Context) (answered func(), err error) {
	if admit, ok := ctx.Value(admissionKey{}).(Admit); ok {
		return admit(p.Name)
	}
	// Background steps have no admission: they run one at a time and take no request's place.
	return func() {}, nil
}
