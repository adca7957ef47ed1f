package api

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/requestlog"
	"github.com/sanctum-storage/gateway/s3err"
)

// logRequest writes the request's log line, unless its level is off. Clients
// may want the names of keys kept secret, so that the line has the bucket and a
// hash of the key. Of the query nothing is logged, and of the header only the
// user agent.
func (x *exchange) logRequest(e *s3err.Error, o *Observation) {
	l := requestlog.Line{API: requestlog.S3}
	// A client that left, and an operation that is not implemented, are no
	// failures of the gateway. They must not raise an alert.
	if e != nil && o.Status != statusClientGone && e.Code.Status() >= 500 && e.Code != s3err.NotImplemented {
		l.Err = e
	}
	r := x.req
	if !x.server.log.Enabled(r.Context(), l.Level()) {
		return
	}
	l.ID, l.Method, l.Remote, l.Source, l.Agent = r.ID, r.HTTP.Method, r.HTTP.RemoteAddr, r.sourceIP(), r.HTTP.UserAgent()
	l.Status, l.Cut, l.Code, l.BytesIn, l.BytesOut, l.Took = o.Status, o.Cut, o.Code, o.BytesIn, o.BytesOut, o.Duration
	l.KeysOpened, l.KeysSealed = x.keyUse.Opened(), x.keyUse.Sealed()
	l.Decision, l.Reason, l.Signature = x.decision, x.reason, o.Signature
	l.Principal, l.Unproven, l.AccessKey = &r.Principal, r.unproven, r.claimed
	switch {
	case r.identity == nil: // refused before authentication
		l.Unproven = l.Unproven || signed(r.HTTP)
	case r.identity.AccessKey != "":
		l.AccessKey = r.identity.AccessKey
	}
	switch {
	case x.answer != nil:
		x.nameForm(&l)
	case r.Op != nil:
		if x.html {
			l.API = requestlog.Website
		}
		l.Action = "s3:" + r.Op.Name
	}
	// The hash depends on the bucket, so without the bucket's row there is
	// none.
	if l.Bucket = r.Target.Bucket; !r.Bucket.ID.IsZero() && r.Target.Key != "" {
		l.KeyHash = x.server.engine.Damage().KeyHash(r.Bucket.ID, r.Target.Key)
	}
	// Every 403 is a denial, including those before the decision, such as a
	// wrong signature.
	if o.Status == http.StatusForbidden {
		l.Decision = requestlog.Deny
	}
	if e != nil {
		l.More = damageAttrs(e)
	}
	l.Write(r.Context(), x.server.log)
}

// signed reports whether a request claims to be signed.
func signed(r *http.Request) bool {
	q := r.URL.RawQuery
	return r.Header.Get("Authorization") != "" || strings.Contains(q, "X-Amz-Credential=") || strings.Contains(q, "AWSAccessKeyId=")
}

// nameForm adds the facts about a form of the IAM or STS API.
func (x *exchange) nameForm(l *requestlog.Line) {
	a := x.answer
	// The action is named like its API, such as iam:CreateUser.
	if l.API, _, _ = strings.Cut(a.Action, ":"); l.API == "" {
		l.API = requestlog.IAM // the form names no action
	}
	l.Action, l.Resource, l.AccessKey, l.Subject, l.Session, l.Unproven = a.Action, a.Resource, a.AccessKey, a.Subject, a.Session, a.Unproven
	if l.Decision = requestlog.Allow; !a.Decided {
		l.Decision = ""
	}
}

// damageAttrs describe the stored data that an error found damaged.
func damageAttrs(err error) (attrs []slog.Attr) {
	d, ok := errors.AsType[*damage.Damage](err)
	if !ok {
		return nil
	}
	attrs = append(attrs, slog.String("damage", d.Kind))
	if !d.Version.IsZero() {
		attrs = append(attrs, slog.String("version_id", d.Version.String()))
	}
	if d.Backend != "" {
		attrs = append(attrs, slog.String("blob", d.BlobName()), slog.String("backend", d.Backend))
	}
	return attrs
}
