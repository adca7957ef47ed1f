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

// version is the version that the request names; zero: none, and the current one
// is meant. An empty versionId is refused like any other that cannot be, as in S3.
func (r *Request) version() (meta.VersionRef, error) {
	return r.asked.version.get()
}

func parseVersion(id string) (meta.VersionRef, error) {
	if id == "" {
		return meta.VersionRef{}, s3err.New(s3err.InvalidArgument, "Version id cannot be the empty string").
			With("ArgumentName", "versionId").With("ArgumentValue", "")
	}
	return engine.ParseVersion(id)
}

// versioned states the action on the target, or the other one where the request
// names a version: who may read what is current may not for that read what
// was replaced.
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

// setVersion names the version that an answer is about, if it has a name.
func setVersion(h http.Header, ref meta.VersionRef) {
	if !ref.IsZero() {
		h.Set("X-Amz-Version-Id", ref.String())
	}
}

// versionHeader is the header of an answer that has nothing else to say of a version.
func versionHeader(ref meta.VersionRef) http.Header {
	h := http.Header{}
	setVersion(h, ref)
	return h
}

// setMade names the version that a write made. The null version goes unnamed, as
// in S3: it is what a write makes where versions are not kept.
func setMade(h http.Header, ref meta.VersionRef) {
	if !ref.Null {
		setVersion(h, ref)
	}
}

// setDeleted shows what a deletion made or removed for good.
func setDeleted(h http.Header, d engine.Deleted) {
	setVersion(h, d.Version)
	if d.Marker {
		h.Set("X-Amz-Delete-Marker", "true")
	}
}

// headed is an error whose answer has more header than its code says.
type headed struct {
	error
	header http.Header
}

func (e *headed) Unwrap() error { return e.error }

// setErrorHeader shows what an error has to say in the header.
func setErrorHeader(h http.Header, err error) {
	var e *headed
	if errors.As(err, &e) {
		for name, values := range e.header {
			h[name] = values
		}
	}
}

// onMarker adds to the error of a read that met a delete marker what the reading
// tells of it.
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

// checkBypass refuses to override retentions where there can be none.
func (r *Request) checkBypass() error {
	if !r.bypasses() || r.Bucket.Lock {
		return nil
	}
	return s3err.New(s3err.InvalidArgument, "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.").
		With("ArgumentName", strings.ToLower(bypassHeader)).With("ArgumentValue", r.Header(bypassHeader))
}

// bypass reports whether a deletion may override a governance retention: it says
// so, and its sender may. Who says so without the right is not refused here: only
// a lock makes a difference, and then the deletion is.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func (r *Request) bypass(o *object) bool {
	return r.bypasses() && r.decide(r.needOn("s3:BypassGovernanceRetention", o)).Allow
}
