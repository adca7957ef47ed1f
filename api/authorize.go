package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/requestlog"
	"github.com/sanctum-storage/gateway/s3err"
)

// Names of the settings that decide access.
const (
	settingPolicy            = "policy"
	settingACL               = "acl"
	settingOwnership         = "ownership"
	settingPublicAccessBlock = "public-access-block"
)

// neverAnonymous lists operations that no policy opens to requests without
// credentials, because they decide who owns what.
var neverAnonymous = map[string]bool{
	"PutBucketAcl": true, "GetBucketOwnershipControls": true, "PutBucketOwnershipControls": true, "DeleteBucketOwnershipControls": true,
}

// authorize decides the request's needs and checks the bucket owner that the
// client expects.
func (x *exchange) authorize() error {
	r := x.req
	if r.Principal.Kind == access.Nobody && (neverAnonymous[r.Op.Name] || r.Op.Scope == ControlScope) {
		x.reason = "the operation takes a signature, whatever a policy allows"
		return s3err.AccessDenied
	}
	needs, err := r.Op.Needs(r)
	if err != nil {
		if errors.Is(err, s3err.AccessDenied) { // texts of other errors may hold keys
			x.reason = s3err.From(err).Message
		}
		return err
	}
	d := r.decide(needs...)
	if x.decision, x.reason = requestlog.Allow, d.Reason; !d.Allow {
		x.decision = requestlog.Deny
	}
	if d.OwnerOnly {
		return s3err.New(s3err.MethodNotAllowed, "").With("Method", r.HTTP.Method).With("ResourceType", "BUCKETPOLICY")
	}
	if err := unread(needs); err != nil && !d.Allow {
		x.decision, x.reason = "", "what decides cannot be read at the moment"
		return err
	}
	// A denial for the bucket as a whole does not count where policies may tell
	// keys apart: deleteEach decides for each.
	if byKey := r.Op.ByKey && r.keysDiffer(); !d.Allow && !byKey {
		return r.absence()
	} else if byKey {
		x.decision, x.reason = "", "decided for each key"
	}
	if err := r.expectAccount(); err != nil {
		x.reason = "the account is not the expected one"
		return err
	}
	if r.Bucket.ID.IsZero() {
		return nil
	}
	if err := r.mayReplace(d, needs); err != nil {
		x.reason = "the bucket's ACL does not allow to replace an object of another owner"
		return err
	}
	if err := r.expectOwner("X-Amz-Expected-Bucket-Owner", r.Bucket); err != nil {
		x.reason = "the bucket's owner is not the expected one"
		return err
	}
	return nil
}

// authorizeAgain repeats the decision after an object that it depends on was
// replaced.
func (r *Request) authorizeAgain() error {
	needs, err := r.Op.Needs(r)
	if err != nil || r.decide(needs...).Allow {
		return err
	}
	if err := unread(needs); err != nil {
		return err
	}
	return s3err.AccessDenied
}

// unread is the error of a row or setting that decides needs and that the store or the key
// provider cannot give, so that a client repeats its request, or knows that the bucket's
// key was taken away: it does not repeat one that was denied. A setting that was edited or
// is damaged stays a denial. nil: none.
func unread(needs []access.Need) error {
	for i := range needs {
		if b := needs[i].Bucket; b != nil && hasAnyCode(b.Broken, s3err.ServiceUnavailable, s3err.KMSDisabled, s3err.KMSNotFound) {
			return b.Broken
		}
	}
	return nil
}

func hasAnyCode(err error, codes ...s3err.Code) bool {
	return slices.ContainsFunc(codes, func(c s3err.Code) bool { return errors.Is(err, c) })
}

// decide asks access about needs of this request. All decisions of a request
// share one evaluation and its budget.
func (r *Request) decide(needs ...access.Need) access.Decision {
	if c := r.conditions(); r.evaluation == nil {
		r.evaluation = access.NewEvaluation(r.Context(), &r.Principal, c)
	} else {
		r.evaluation.Ask(c)
	}
	return r.evaluation.Decide(needs...)
}

// undecidable tells why no further decision is made, so that all are denials:
// the client left, or the decisions took too much work. nil: decisions are
// made.
func (r *Request) undecidable() error {
	if r.evaluation == nil {
		return nil
	}
	return r.evaluation.Err()
}

// allows decides needs, of which there may be none.
func (r *Request) allows(needs []access.Need) bool {
	return len(needs) == 0 || r.decide(needs...).Allow
}

// may reports whether the sender may also do action on the target, when the
// answer depends on it.
func (r *Request) may(action string) bool { return r.decide(r.need(action)).Allow }

// keysDiffer reports whether a policy or an ACL may tell the bucket's keys
// apart. Then a request that names several keys in its body is decided for
// each.
func (r *Request) keysDiffer() bool {
	f := r.bucketFacts(r.Bucket)
	return f.Broken == nil && (r.hasPolicies() || f.Ownership.ACLsEnabled())
}

// absence is the error for a denied request. A sender who may list the bucket
// is told that the object is absent, because a listing would tell as much.
// Everybody else gets AccessDenied.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (r *Request) absence() error {
	o := r.source
	if o == nil && (r.HTTP.Method == http.MethodGet || r.HTTP.Method == http.MethodHead) {
		o = &r.object
	}
	if o == nil || o.found == nil || !o.found.Absent() ||
		r.expectOwner("X-Amz-Expected-Bucket-Owner", r.Bucket) != nil || !r.decide(r.needOn("s3:ListBucket", &object{bucket: o.bucket})).Allow {
		return s3err.AccessDenied
	}
	if o.version.given {
		return s3err.New(s3err.NoSuchVersion, "").With("Key", o.key).With("VersionId", o.version.value.String())
	}
	return s3err.New(s3err.NoSuchKey, "").With("Key", o.key)
}

// hide turns an object's absence into AccessDenied for senders who may not list
// the bucket, and so must not learn its contents, nor that there was an object
// before.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (r *Request) hide(err error) error {
	absent := errors.Is(err, s3err.NoSuchKey) || errors.Is(err, s3err.NoSuchVersion) || errors.Is(err, engine.ErrMarker)
	if !absent || r.Bucket.ID.IsZero() {
		return err
	}
	needs := []access.Need{r.bucketNeed("s3:ListBucket")}
	if r.source != nil { // the source may be the absent object
		needs = append(needs, r.needOn("s3:ListBucket", &object{bucket: r.source.bucket}))
	}
	if r.decide(needs...).Allow {
		return err
	}
	return s3err.AccessDenied
}

// bucketFacts returns access's view of a bucket; nil for a bucket that was not
// resolved. Unreadable settings deny everything.
func (r *Request) bucketFacts(b meta.Bucket) *access.Bucket {
	if b.ID.IsZero() {
		return nil
	}
	if r.facts != nil && r.factsOf == b.ID {
		return r.facts
	}
	f := &access.Bucket{Name: b.Name, Owner: access.ID(b.Owner), Account: accounts.Account(b.Owner)}
	s, err := r.server.engine.Buckets().ReadableSettings(r.Context(), b)
	if err != nil {
		f.Broken = fmt.Errorf("the settings of bucket %s cannot be read: %w", b.Name, err)
	} else if broken := r.server.readAccess(f, s); len(broken) > 0 {
		f.Broken = fmt.Errorf("the bucket's settings %q cannot be read", broken)
		if gone := s.Gone(); gone != nil {
			f.Broken = fmt.Errorf("%w: %w", f.Broken, gone)
		}
		f.Repairing = b.ID == r.Bucket.ID && (r.repairs(broken, s) || r.clears(s))
	} else if len(f.Policy.Unknown()) > 0 {
		if f.Policy, err = r.server.identified(r.Context(), b, f.Policy); err != nil {
			f.Broken = fmt.Errorf("the principals in the policy of bucket %s cannot be looked up: %w", b.Name, err)
		}
	}
	if b.ID == r.Bucket.ID {
		r.facts, r.factsOf, r.settings = f, b.ID, s
	}
	return f
}

// readAccess fills in the settings that decide access. It returns the names of
// all settings that cannot be read, including those that do not decide access.
func (s *Server) readAccess(f *access.Bucket, settings *buckets.Settings) (broken []string) {
	broken = settings.Broken()
	note := func(name string, err error) {
		if err != nil && !slices.Contains(broken, name) {
			broken = append(broken, name)
		}
	}
	var err error
	f.Policy, _, err = buckets.ParsedFor(settings, settingPolicy, f.Name, func(doc []byte) (*access.Policy, error) {
		return parseBucketPolicy(f.Name, doc)
	})
	note(settingPolicy, err)
	f.ACL, _, err = buckets.Parsed(settings, settingACL, parseACL)
	note(settingACL, err)
	f.Ownership, _, err = ownership(settings)
	note(settingOwnership, err)
	block, err := s.publicAccessBlock(settings)
	note(settingPublicAccessBlock, err)
	f.Block = block.PublicAccessBlock
	return broken
}
