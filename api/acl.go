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

// xsi is the namespace of the attribute that says what kind of grantee one is.
const xsi = "http://www.w3.org/2001/XMLSchema-instance"

// granteeType is the attribute that says what kind of grantee one is. What a grantee
// holds says it too. A kind that there is not, and a grantee that holds what is of another
// kind than it says, or of two, are refused: it would be open who was meant.
var (
	granteeType  = regexp.MustCompile(`:type\s*=\s*["']([^"']*)["']`)
	granteeTypes = map[string]granteeKind{"CanonicalUser": granteeID, "Group": granteeURI, "AmazonCustomerByEmail": granteeEmail}
)

const maxGranteeTypes = access.MaxGrants + 1

// aclDocument is an AccessControlPolicy as clients send it. The kind of a grantee
// follows from what it holds.
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

// grantHeaders give one permission each.
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

// hasACLHeaders reports whether the request's header asks for an ACL.
func (r *Request) hasACLHeaders() bool {
	return r.asked.canned.given || r.asked.grants.given
}

// askedGrant is a grant as it was asked for: nobody has looked yet whether there is whom
// it names.
type askedGrant struct {
	permission access.Permission
	kind       granteeKind
	grantee    string
}

// granteeKind is how a grantee is named, as headers spell it.
type granteeKind string

const (
	granteeID    granteeKind = "id"
	granteeURI   granteeKind = "uri"
	granteeEmail granteeKind = "emailAddress"
)

// String is the grant in the one form that condition keys have: without quotes and
// white space, whatever the header or document looked like.
func (g askedGrant) String() string { return string(g.kind) + "=" + g.grantee }

// conditionKey is the key of the header that gives the permission.
func (g askedGrant) conditionKey() string {
	for _, h := range grantHeaders {
		if h.permission == g.permission {
			return "s3:" + strings.ToLower(h.name)
		}
	}
	return ""
}

// sayGrants reads the headers that grant.
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

// parseGrant reads one `id="…"`, `uri="…"` or `emailAddress="…"` of a header.
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

// askedACL is an AccessControlPolicy document, read.
type askedACL struct {
	owner  string // the canonical id
	grants []askedGrant
}

// headerACL is the ACL that the request's header asks for, for something that
// owner owns; nil when it asks for none. bucketOwner is zero for a bucket's ACL.
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

// granting is the ACL of what owner owns that makes the grants.
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

// grantee finds whom a grant names. An account must exist; there are no e-mail
// addresses.
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

// requestedACL is the ACL that a PutBucketAcl or PutObjectAcl asks for: by its
// header or by its document, and not by both.
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
		err = s3err.AccessDenied // an ACL does not give anything away as a whole
	}
	return a, err
}

// aclOfDocument reads an AccessControlPolicy document, unless the header says it all.
var aclOfDocument = documentFacts{
	keys: openKeys("s3:x-amz-grant-full-control", "s3:x-amz-grant-read", "s3:x-amz-grant-read-acp", "s3:x-amz-grant-write", "s3:x-amz-grant-write-acp"),
	read: func(r *Request) {
		if len(r.XML) > 0 {
			r.asked.granted = saying(parseACLDocument(r.XML))
		}
	},
}

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

func checkGrants(a *access.ACL) error {
	if len(a.Grants) > access.MaxGrants {
		return s3err.MalformedACL
	}
	return nil
}

// admitACL refuses an ACL where the bucket has ACLs disabled, but for such as
// leave everything to the bucket's owner, and a public one where those are
// blocked.
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

// noACLs is what is said where ACLs are disabled; to nobody not even that.
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

// showACL renders an ACL; nil is that of something private.
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

// objectOwner is the tenant that owns an object which the request makes in a
// bucket: the bucket's owner where ACLs are disabled, or where it is given full
// control and preferred; nobody's object is the bucket owner's, too.
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

// objectACL is the ACL, as it is stored, that the header asks for the object that
// the request makes; nil: private.
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
	if !f.Ownership.ACLsEnabled() {
		return nil, nil
	}
	return json.Marshal(a)
}

// writeNeeds are the rights that it takes to make an object the way the request's
// header asks for.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func writeNeeds(r *Request) ([]access.Need, error) {
	needs := append(r.compareNeeds(), r.need("s3:PutObject"))
	if r.hasACLHeaders() {
		needs = append(needs, r.need("s3:PutObjectAcl"))
	}
	return append(needs, markNeeds(r)...), nil
}

// parseACL reads an ACL as it is stored.
func parseACL(doc []byte) (*access.ACL, error) {
	a := new(access.ACL)
	if err := json.Unmarshal(doc, a); err != nil {
		return nil, err
	}
	return a, nil
}
