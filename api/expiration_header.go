package api

import (
	"log/slog"
	"net/http"
	"net/url"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/lifecycle"
)

// setExpiration shows when a lifecycle rule will expire a current object.
// Unreadable rules must not keep the object from its reader: then the header is
// absent, as it is when no rule applies.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (r *Request) setExpiration(h http.Header, o engine.Object) {
	x, ok, err := lifecycle.ExpiryOf(r.Context(), r.server.engine, r.Bucket, o)
	if err != nil {
		r.server.log.LogAttrs(r.Context(), slog.LevelWarn, "the lifecycle rules of an object cannot be read",
			slog.String("request_id", r.ID), slog.String("bucket", r.Bucket.Name), slog.String("error", err.Error()))
	}
	if ok {
		h.Set("X-Amz-Expiration", `expiry-date="`+httpTime(x.At)+`", rule-id="`+url.PathEscape(x.Rule)+`"`)
	}
}
