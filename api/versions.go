package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// version returns the version that the request names; zero: none, so the
// current one. An empty versionId is refused like other invalid ones, as on S3.
func (r *Request) version() (meta.VersionRef, error) {
	return r.asked.version.get()
}

// parseVersion parses a version id. The id of the null version is "null".
func parseVersion(id string) (meta.VersionRef, error) {
	if id == "" {
		return meta.VersionRef{}, s3err.New(s3err.InvalidArgument, "Version id cannot be the empty string").
			With("ArgumentName", "versionId").With("ArgumentValue", "")
	}
	return engine.ParseVersion(id)
}

// versioned demands action on the target, or ofVersion where the request names
// a version: permission to read the current version does not cover old ones.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func versioned(action, ofVersion string) func(*Request) ([]access.Need, error) {
	return func(r *Request) ([]access.Need, error) {
		return []access.Need{r.needVersion(action, ofVersion, &r.object)}, nil
	}
}

// attributesNeeds are the rights to read an object and its attributes.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
func attributesNeeds(r *Request) ([]access.Need, error) {
	if r.asked.version.given {
		return []access.Need{r.need("s3:GetObjectVersion"), r.need("s3:GetObjectVersionAttributes")}, nil
	}
	return []access.Need{r.need("s3:GetObject"), r.need("s3:GetObjectAttributes")}, nil
}

// setVersion shows the id of a version, if it has one.
func setVersion(h http.Header, ref meta.VersionRef) {
	if !ref.IsZero() {
		h.Set("X-Amz-Version-Id", ref.String())
	}
}

// versionHeader is a header with a version's id alone.
func versionHeader(ref meta.VersionRef) http.Header {
	h := http.Header{}
	setVersion(h, ref)
	return h
}

// setMade shows the id of the version that a write created. S3 does not show
// the null version, which a write creates where versioning is not enabled.
func setMade(h http.Header, ref meta.VersionRef) {
	if !ref.Null {
		setVersion(h, ref)
	}
}

// setDeleted shows the version or delete marker that a deletion removed or
// created.
func setDeleted(h http.Header, d engine.Deleted) {
	setVersion(h, d.Version)
	if d.Marker {
		h.Set("X-Amz-Delete-Marker", "true")
	}
}

// headed is an error whose answer has headers of its own.
type headed struct {
	error
	header http.Header
}

func (e *headed) Unwrap() error { return e.error }

// setErrorHeader adds an error's own headers.
func setErrorHeader(h http.Header, err error) {
	var e *headed
	if errors.As(err, &e) {
		for name, values := range e.header {
			h[name] = values
		}
	}
}

// onMarker adds the facts about a delete marker to the error of a read that
// found one.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
func onMarker(reading *engine.Reading, err error) error {
	if reading == nil || !reading.Object.Marker {
		return err
	}
	o := reading.Object
	h := http.Header{}
	h.Set("X-Amz-Delete-Marker", "true")
	setVersion(h, o.Version)
	if errors.Is(err, s3err.MethodNotAllowed) {
		h.Set("Allow", "DELETE")
		h.Set("Last-Modified", httpTime(o.Modified))
	}
	return &headed{err, h}
}

// checkBypass refuses to override retentions in a bucket that cannot have any.
func (r *Request) checkBypass() error {
	if !r.bypasses() || r.Bucket.Lock {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.").
		With("ArgumentName", strings.ToLower(bypassHeader)).With("ArgumentValue", r.Header(bypassHeader))
}

// bypass reports whether a deletion may override a governance retention: the
// sender asks for it and has the right. Asking without the right is no error by
// itself, because it matters only for a locked version, whose deletion is then
// refused.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func (r *Request) bypass(o *object) bool {
	return r.bypasses() && r.decide(r.needOn("s3:BypassGovernanceRetention", o)).Allow
}
