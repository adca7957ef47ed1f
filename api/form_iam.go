package api

import (
	"bytes"
	"io"
	"net/http"

	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// admit counts a request with the tenant of its verified form.
func (x *exchange) admit(tenant, user meta.ID, limits meta.Limits) error {
	if !x.server.seats.asTenant(&x.seat, tenant) {
		return x.crowded()
	}
	return x.limitSender(tenant, user, limits)
}

// serveForm passes a request to the IAM and STS APIs. They authenticate and
// authorize it themselves, because its signature is for another service than
// S3. The body is read first: the signature may cover its digest without a
// header that states it.
func (x *exchange) serveForm() (*Reply, error) {
	r := x.req
	switch n := r.HTTP.ContentLength; {
	case n < 0:
		return nil, s3err.MissingContentLength
	case n > iam.MaxBody:
		return nil, s3err.MaxMessageLengthExceeded
	}
	if err := x.reserveSigned(r.HTTP.ContentLength); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(x.in, iam.MaxBody))
	// Only the reading of the form needs the place.
	x.release()
	if err != nil {
		return nil, err
	}
	a := x.server.iam.Serve(iam.Request{
		HTTP: r.HTTP, Target: r.Target.Signed, Body: body, ID: r.ID,
		Secure: r.secure(), Source: r.sourceIP(), Region: x.server.region, Admit: x.admit,
		Turn: func(tenant meta.ID) (func(), error) {
			return x.turn(r.Context(), turnOf{tenant: tenant, kind: readingTurn})
		},
	})
	// For the log and the metrics.
	if a.Action != "" {
		r.Op = &Operation{Name: a.Action}
	}
	r.Principal = a.Principal
	// Only a list can be long, so that no answer to a change is left out.
	if x.held, err = x.reserveAnswer(a.Body); err != nil {
		return nil, err
	}
	x.reason, x.refusal, x.answer = a.Reason, a.Err, &a
	return &Reply{Status: a.Status, Header: http.Header{"Content-Type": {"text/xml"}},
		Stream: bytes.NewReader(a.Body), Length: int64(len(a.Body))}, nil
}
