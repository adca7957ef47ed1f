package api

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// xsi is the namespace of the attribute with a grantee's type.
const xsi = "http://www.w3.org/2001/XMLSchema-instance"

// granteeType matches the attribute with a grantee's type. The grantee's
// elements tell the type too. Unknown types, and elements of another type or of
// two types, are refused: it would be ambiguous who was meant.
var (
	granteeType  = regexp.MustCompile(`:type\s*=\s*["']([^"']*)["']`)
	granteeTypes = map[string]granteeKind{"CanonicalUser": granteeID, "Group": granteeURI, "AmazonCustomerByEmail": granteeEmail}
)

// maxGranteeTypes suffices to notice one grantee too many.
const maxGranteeTypes = access.MaxGrants + 1

// aclDocument is an AccessControlPolicy as clients send it. The element within
// a grantee tells its kind.
type aclDocument struct {
	Owner *struct {
		ID          string `xml:"ID"`
		DisplayName string `xml:"DisplayName"`
	} `xml:"Owner"`
	List *struct {
		Grant []struct {
			Grantee struct {
				ID           string `xml:"ID"`
				DisplayName  string `xml:"DisplayName"`
				URI          string `xml:"URI"`
				EmailAddress string `xml:"EmailAddress"`
				Type         string `xml:"Type"`
			} `xml:"Grantee"`
			Permission string `xml:"Permission"`
		} `xml:"Grant" max:"100"`
	} `xml:"AccessControlList"`
}

// grantHeaders are the headers that grant, with the permission of each.
var grantHeaders = []struct {
	name       string
	permission access.Permission
}{
	{"X-Amz-Grant-Full-Control", access.FullControl},
	{"X-Amz-Grant-Read", access.Read},
	{"X-Amz-Grant-Read-Acp", access.ReadACP},
	{"X-Amz-Grant-Write", access.Write},
	{"X-Amz-Grant-Write-Acp", access.WriteACP},
}

// hasACLHeaders reports whether the header asks for an ACL.
func (r *Request) hasACLHeaders() bool {
	return r.asked.canned.given || r.asked.grants.given
}

// askedGrant is a grant as requested. Its grantee may not exist.
type askedGrant struct {
	permission access.Permission
	kind       granteeKind
	grantee    string
}

// granteeKind is the way a grantee is named, as headers spell it.
type granteeKind string

const (
	granteeID    granteeKind = "id"
	granteeURI   granteeKind = "uri"
	granteeEmail granteeKind = "emailAddress"
)

// String is the grant in the normal form of condition keys: without quotes and
// white space, however it was given.
func (g askedGrant) String() string { return string(g.kind) + "=" + g.grantee }

// conditionKey returns the key of the header that grants the permission.
func (g askedGrant) conditionKey() string {
	for _, h := range grantHeaders {
		if h.permission == g.permission {
			return "s3:" + strings.ToLower(h.name)
		}
	}
	return ""
}

// sayGrants parses the headers that grant.
func (r *Request) sayGrants() (s said[[]askedGrant]) {
	for _, h := range grantHeaders {
		if !r.HasHeader(h.name) {
			continue
		}
		s.given = true
		for item := range strings.SplitSeq(r.Header(h.name), ",") {
			g, err := parseGrant(h.name, item)
			if err != nil && s.err == nil {
				s.err = err
			}
			g.permission = h.permission
			s.value = append(s.value, g)
		}
	}
	return s
}

// parseGrant parses one `id="…"`, `uri="…"` or `emailAddress="…"` of a header.
func parseGrant(header, item string) (g askedGrant, err error) {
	kind, value, ok := strings.Cut(strings.TrimSpace(item), "=")
	g.grantee = strings.Trim(strings.TrimSpace(value), `"`)
	for _, k := range []granteeKind{granteeID, granteeURI, granteeEmail} {
		if strings.EqualFold(strings.TrimSpace(kind), string(k)) {
			g.kind = k
		}
	}
	if !ok || g.kind == "" || g.grantee == "" {
		return g, s3err.New(s3err.InvalidArgument, "Argument format not recognized").
			With("ArgumentName", strings.ToLower(header)).With("ArgumentValue", item)
	}
	return g, nil
}

// askedACL is a parsed AccessControlPolicy document.
type askedACL struct {
	owner  string // the canonical id
	grants []askedGrant
}

// headerACL returns the ACL that the request's header asks for, for a resource
// of owner; nil when it asks for none. bucketOwner is zero for a bucket's ACL.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
func (r *Request) headerACL(owner, bucketOwner meta.ID) (*access.ACL, error) {
	switch canned, grants := &r.asked.canned, &r.asked.grants; {
	case canned.given && grants.given:
		return nil, s3err.New(s3err.InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
	case canned.given:
		return access.CannedACL(canned.value, access.ID(owner), access.ID(bucketOwner))
	case !grants.given:
		return nil, nil
	case grants.err != nil:
		return nil, grants.err
	}
	return r.server.granting(r.Context(), owner, r.asked.grants.value)
}

// granting returns the ACL with these grants for a resource of owner.
func (s *Server) granting(ctx context.Context, owner meta.ID, grants []askedGrant) (*access.ACL, error) {
	a := &access.ACL{Owner: access.ID(owner)}
	for _, g := range grants {
		who, err := s.grantee(ctx, g)
		if err != nil {
			return nil, err
		}
		a.Grants = append(a.Grants, access.Grant{Grantee: who, Permission: g.permission})
	}
	return a, checkGrants(a)
}

// grantee resolves the grantee of a grant. An account must exist. No account
// has an e-mail address.
func (s *Server) grantee(ctx context.Context, g askedGrant) (access.Grantee, error) {
	switch {
	case g.kind == granteeEmail:
		return access.Grantee{}, s3err.New(s3err.UnresolvableGrantByEmailAddress, "").With("Email", g.grantee)
	case g.kind == granteeURI && slices.Contains([]string{access.AllUsers, access.AuthenticatedUsers, access.LogDelivery}, g.grantee):
		return access.Grantee{Group: g.grantee}, nil
	case g.kind == granteeURI:
		return access.Grantee{}, s3err.New(s3err.InvalidArgument, "Invalid group uri").
			With("ArgumentName", "uri").With("ArgumentValue", g.grantee)
	}
	t, err := s.accounts.TenantByCanonical(ctx, g.grantee)
	if err != nil {
		return access.Grantee{}, err
	}
	if t.ID.IsZero() {
		return access.Grantee{}, s3err.New(s3err.InvalidArgument, "Invalid id").
			With("ArgumentName", "CanonicalUser/ID").With("ArgumentValue", g.grantee)
	}
	return access.Grantee{ID: access.ID(t.ID)}, nil
}

// requestedACL returns the ACL that a PutBucketAcl or PutObjectAcl asks for, in
// its header or its document, but not in both.
func (r *Request) requestedACL(owner, bucketOwner meta.ID) (*access.ACL, error) {
	if r.hasACLHeaders() {
		if len(r.XML) > 0 {
			return nil, s3err.UnexpectedContent
		}
		return r.headerACL(owner, bucketOwner)
	}
	if len(r.XML) == 0 {
		return nil, s3err.New(s3err.MissingSecurityHeader, "Your request was missing a required header").With("MissingHeaderName", "x-amz-acl")
	}
	d, err := r.asked.granted.get()
	if err != nil {
		return nil, err
	}
	a, err := r.server.granting(r.Context(), owner, d.grants)
	if err == nil && d.owner != owner.Canonical() {
		err = s3err.AccessDenied // an ACL cannot change the owner
	}
	return a, err
}

// aclOfDocument reads an AccessControlPolicy document. With an ACL in the
// header there is none.
var aclOfDocument = documentFacts{
	keys: openKeys(
		"s3:x-amz-grant-full-control", "s3:x-amz-grant-read", "s3:x-amz-grant-read-acp",
		"s3:x-amz-grant-write", "s3:x-amz-grant-write-acp",
	),
	read: func(r *Request) {
		if len(r.XML) > 0 {
			r.asked.granted = saying(parseACLDocument(r.XML))
		}
	},
}

// parseACLDocument parses an AccessControlPolicy. decodeXML ignores attributes,
// so that the grantees' types are matched in the text. They can be assigned to
// grants only if there is one for each.
func parseACLDocument(document []byte) (a askedACL, err error) {
	var types []string
	for _, m := range granteeType.FindAllSubmatch(document, maxGranteeTypes) {
		if granteeTypes[string(m[1])] == "" {
			return a, s3err.MalformedACL
		}
		types = append(types, string(m[1]))
	}
	var d aclDocument
	if err := decodeXML(document, "AccessControlPolicy", &d); err != nil {
		return a, s3err.Wrap(s3err.MalformedACL, err)
	}
	if d.Owner == nil || d.Owner.ID == "" || d.List == nil {
		return a, s3err.MalformedACL
	}
	a.owner = d.Owner.ID
	for i, g := range d.List.Grant {
		asked := askedGrant{permission: access.Permission(g.Permission)}
		named := 0
		// The order does not matter, because a grantee with two names is refused
		// below.
		for kind, name := range map[granteeKind]string{granteeID: g.Grantee.ID, granteeURI: g.Grantee.URI, granteeEmail: g.Grantee.EmailAddress} {
			if name != "" {
				asked.kind, asked.grantee = kind, name
				named++
			}
		}
		if t := g.Grantee.Type; t != "" && granteeTypes[t] != asked.kind {
			return a, s3err.MalformedACL
		}
		if !asked.permission.Valid() || named != 1 || len(types) == len(d.List.Grant) && granteeTypes[types[i]] != asked.kind {
			return a, s3err.MalformedACL
		}
		a.grants = append(a.grants, asked)
	}
	return a, nil
}

// checkGrants bounds the grants of an ACL, as S3 does.
func checkGrants(a *access.ACL) error {
	if len(a.Grants) > access.MaxGrants {
		return s3err.MalformedACL
	}
	return nil
}

// admitACL refuses ACLs that the bucket does not take: with ACLs disabled all
// that give something to others than the bucket's owner, and public ones where
// those are blocked.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
func (r *Request) admitACL(a *access.ACL, f *access.Bucket) error {
	if f.Broken != nil {
		return f.Broken
	}
	if !f.Ownership.ACLsEnabled() && sharedACL(a, f.Owner) {
		return s3err.AccessControlListNotSupported
	}
	if f.Block.BlockPublicACLs && a.Public() {
		return s3err.New(s3err.AccessDenied, "Public ACLs are blocked by the BlockPublicAcls setting in the block public access settings.")
	}
	return nil
}

// noACLs is the error where ACLs are disabled. Unsigned requests are not even
// told that.
func (r *Request) noACLs() error {
	if r.Principal.Kind == access.Nobody {
		return s3err.AccessDenied
	}
	return s3err.AccessControlListNotSupported
}

// shownACL is the answer to GetBucketAcl and GetObjectAcl.
type shownACL struct {
	acl   *access.ACL
	names map[access.ID]string
}

// showACL renders an ACL. nil stands for a private resource.
func (s *Server) showACL(ctx context.Context, a *access.ACL, owner meta.ID) (*Reply, error) {
	if a == nil {
		a = &access.ACL{Owner: access.ID(owner), Grants: []access.Grant{{Grantee: access.Grantee{ID: access.ID(owner)}, Permission: access.FullControl}}}
	}
	names := map[access.ID]string{}
	for _, g := range append([]access.Grant{{Grantee: access.Grantee{ID: a.Owner}}}, a.Grants...) {
		id := g.Grantee.ID
		if _, known := names[id]; known || id.IsZero() {
			continue
		}
		t, err := s.accounts.Tenant(ctx, meta.ID(id))
		if err != nil {
			return nil, err
		}
		names[id] = t.Name
	}
	return &Reply{XML: shownACL{a, names}}, nil
}

// AppendXML writes AccessControlPolicy.
func (a shownACL) AppendXML(b []byte) []byte {
	b = openRoot(b, "AccessControlPolicy")
	b = appendOwner(b, "Owner", meta.ID(a.acl.Owner), a.names[a.acl.Owner])
	b = openTag(b, "AccessControlList")
	for _, g := range a.acl.Grants {
		b = openTag(b, "Grant")
		kind := "CanonicalUser"
		if g.Grantee.Group != "" {
			kind = "Group"
		}
		b = append(b, `<Grantee xmlns:xsi="`+xsi+`" xsi:type="`+kind+`">`...)
		if g.Grantee.Group != "" {
			b = appendElement(b, "URI", g.Grantee.Group)
		} else {
			b = appendElement(b, "ID", meta.ID(g.Grantee.ID).Canonical())
			if name := a.names[g.Grantee.ID]; name != "" {
				b = appendElement(b, "DisplayName", name)
			}
		}
		b = closeTag(b, "Grantee")
		b = closeTag(appendElement(b, "Permission", string(g.Permission)), "Grant")
	}
	return closeTag(closeTag(b, "AccessControlList"), "AccessControlPolicy")
}

// objectOwner returns the tenant that owns an object which the request creates.
// The bucket's owner owns it where ACLs are disabled, where the bucket prefers
// its owner and the request gives it full control, and when the request is
// unsigned.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
func (r *Request) objectOwner() meta.ID {
	f := r.bucketFacts(r.Bucket)
	switch {
	case !f.Ownership.ACLsEnabled(), r.Principal.Tenant.IsZero():
		return r.Bucket.Owner
	case f.Ownership == access.BucketOwnerPreferred && r.Header("X-Amz-Acl") == "bucket-owner-full-control":
		return r.Bucket.Owner
	}
	return r.Owner()
}

// objectACL returns the stored form of the ACL that the header asks for, for
// the object that the request creates; nil: private.
func (r *Request) objectACL() ([]byte, error) {
	owner := r.objectOwner()
	a, err := r.headerACL(owner, r.Bucket.Owner)
	if err != nil || a == nil {
		return nil, err
	}
	f := r.bucketFacts(r.Bucket)
	if err := r.admitACL(a, f); err != nil {
		return nil, err
	}
	// Such an ACL changes nothing; it would come into effect if the bucket
	// enabled ACLs later.
	if !f.Ownership.ACLsEnabled() {
		return nil, nil
	}
	return json.Marshal(a)
}

// admitUploadACL refuses to complete an upload whose ACL, which is as old as the
// upload, the bucket does not take any more.
func (r *Request) admitUploadACL() error {
	f := r.bucketFacts(r.Bucket)
	if !f.Block.BlockPublicACLs || !f.Ownership.ACLsEnabled() {
		return nil
	}
	u, err := r.underway()
	// Of one that is gone the engine knows whether it was completed by the same request.
	if err != nil || u == nil || len(u.Marks.ACL) == 0 {
		return err
	}
	a, err := parseACL(u.Marks.ACL)
	if err != nil {
		return err
	}
	return r.admitACL(a, f)
}

// writeNeeds returns the rights that the object needs with all that the header
// sets on it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func writeNeeds(r *Request) ([]access.Need, error) {
	needs := append(r.compareNeeds(), r.need("s3:PutObject"))
	if r.hasACLHeaders() {
		needs = append(needs, r.need("s3:PutObjectAcl"))
	}
	return append(needs, markNeeds(r)...), nil
}

// parseACL parses the stored form of an ACL.
func parseACL(doc []byte) (*access.ACL, error) {
	a := new(access.ACL)
	if err := json.Unmarshal(doc, a); err != nil {
		return nil, err
	}
	return a, nil
}
