package iam_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

const readOnly = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}]}`

// rig is a gateway with a tenant that has a bucket, an object and a user.
type rig struct {
	*gatewaytest.Gateway
	tenant accounts.Credential // its root
	user   accounts.Identity
	cred   accounts.Credential // the user's
}

func newRig(t *testing.T, o gatewaytest.Options) *rig {
	t.Helper()
	g := &rig{Gateway: gatewaytest.Start(t, o)}
	g.tenant = g.User(t, "tenant")
	g.want(t, g.tenant, "PUT", "/bucket", "")
	g.want(t, g.tenant, "PUT", "/bucket/key", "")
	var err error
	ctx := context.Background()
	if g.user, err = g.Engine.Accounts().CreateIdentity(ctx, accounts.Identity{Tenant: g.tenant.Tenant.ID, Kind: meta.IdentityUser, Name: "dev"}); err != nil {
		t.Fatal(err)
	}
	if g.cred, err = g.Engine.Accounts().CreateAccessKey(ctx, g.tenant.Tenant, g.user.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	return g
}

// try sends an empty request and returns the error's code; "" for success.
func try(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, method, target string) string {
	t.Helper()
	r := g.Request(t, method, target, nil)
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
	}
	g.Sign(t, r, c, nil)
	resp := g.Send(t, r)
	if resp.Status < 300 {
		return ""
	}
	_, rest, _ := strings.Cut(string(resp.Body), "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	if code == "" {
		t.Fatalf("%s %s: %d %s", method, target, resp.Status, resp.Body)
	}
	return code
}

func (g *rig) want(t *testing.T, c accounts.Credential, method, target, code string) {
	t.Helper()
	if got := try(t, g.Gateway, c, method, target); got != code {
		t.Fatalf("%s %s by %s: %q, want %q", method, target, c.AccessKey, got, code)
	}
}

func (g *rig) change(t *testing.T, kind meta.IdentityKind, name string, change func(*accounts.Identity)) {
	t.Helper()
	_, err := g.Engine.Accounts().ChangeIdentity(context.Background(), g.tenant.Tenant.ID, kind, name, func(i *accounts.Identity) error { change(i); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func (g *rig) create(t *testing.T, i accounts.Identity) accounts.Identity {
	t.Helper()
	i.Tenant = g.tenant.Tenant.ID
	i, err := g.Engine.Accounts().CreateIdentity(context.Background(), i)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func policy(name, document string) accounts.Identity {
	return accounts.Identity{Kind: meta.IdentityPolicy, Name: name, Policy: &accounts.PolicyFacts{
		Versions: []accounts.PolicyVersion{{Number: 1, Document: document}}, Default: 1, Next: 2}}
}

func TestUserHasItsPolicies(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	g.want(t, g.cred, "GET", "/bucket/key", "AccessDenied")
	g.want(t, g.cred, "PUT", "/other", "AccessDenied")
	g.change(t, meta.IdentityUser, "dev", func(i *accounts.Identity) { i.Inline = []accounts.InlinePolicy{{Name: "read", Document: readOnly}} })
	g.want(t, g.cred, "GET", "/bucket/key", "")
	g.want(t, g.cred, "GET", "/bucket", "")
	g.want(t, g.cred, "PUT", "/bucket/key", "AccessDenied")

	// By a group and a managed policy instead.
	p := g.create(t, policy("read", readOnly))
	group := g.create(t, accounts.Identity{Kind: meta.IdentityGroup, Name: "readers", Attached: []meta.ID{p.ID}})
	g.change(t, meta.IdentityUser, "dev", func(i *accounts.Identity) { i.Inline, i.Groups = nil, []meta.ID{group.ID} })
	g.want(t, g.cred, "GET", "/bucket/key", "")
	// A boundary narrows it.
	b := g.create(t, policy("boundary", strings.Replace(readOnly, `"s3:GetObject",`, "", 1)))
	g.change(t, meta.IdentityUser, "dev", func(i *accounts.Identity) { i.Boundary = b.ID })
	g.want(t, g.cred, "GET", "/bucket/key", "AccessDenied")
	g.want(t, g.cred, "GET", "/bucket", "")
	// If one of its policies is unavailable, nothing is allowed.
	b, err := g.Engine.Accounts().Identity(t.Context(), g.tenant.Tenant.ID, meta.IdentityPolicy, "boundary")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Accounts().DeleteIdentity(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	g.want(t, g.cred, "GET", "/bucket", "AccessDenied")
	g.create(t, policy("boundary", readOnly)) // another one with the same name
	g.want(t, g.cred, "GET", "/bucket", "AccessDenied")
	g.change(t, meta.IdentityUser, "dev", func(i *accounts.Identity) { i.Boundary = meta.ID{} })
	g.want(t, g.cred, "GET", "/bucket", "")
	g.create(t, policy("garbage", "{"))
	garbage, err := g.Engine.Accounts().Identity(t.Context(), g.tenant.Tenant.ID, meta.IdentityPolicy, "garbage")
	if err != nil {
		t.Fatal(err)
	}
	g.change(t, meta.IdentityUser, "dev", func(i *accounts.Identity) { i.Attached = []meta.ID{garbage.ID} })
	g.want(t, g.cred, "GET", "/bucket", "AccessDenied")
}

func TestSessions(t *testing.T) {
	now := time.Now()
	g := newRig(t, gatewaytest.Options{Now: func() time.Time { return now }})
	role := g.create(t, accounts.Identity{Kind: meta.IdentityRole, Name: "reader", Inline: []accounts.InlinePolicy{{Name: "read", Document: readOnly}},
		Role: &accounts.RoleFacts{Trust: "{}", MaxSession: time.Hour}})
	session := accounts.Session{Tenant: g.tenant.Tenant.ID, Holder: role.ID, Kind: meta.IdentityRole, Name: "me", Expires: now.Add(time.Hour)}
	c, err := g.Engine.Accounts().NewSession(session)
	if err != nil {
		t.Fatal(err)
	}
	g.want(t, c, "GET", "/bucket/key", "")
	g.want(t, c, "PUT", "/bucket/key", "AccessDenied")
	u, err := sigv4.Presign(tokenRequest(t, g.Gateway, c), c.AccessKey, c.SecretKey, g.Region, "s3", time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	if r := g.Send(t, g.Request(t, "GET", strings.TrimPrefix(u, g.URL), nil)); r.Status != 200 {
		t.Errorf("presigned by a session: %d %s", r.Status, r.Body)
	}
	for name, wrong := range map[string]accounts.Credential{
		"InvalidAccessKeyId":    {AccessKey: c.AccessKey, SecretKey: c.SecretKey},
		"SignatureDoesNotMatch": {AccessKey: c.AccessKey, SecretKey: g.cred.SecretKey, Token: c.Token},
		"InvalidToken":          {AccessKey: g.cred.AccessKey, SecretKey: g.cred.SecretKey, Token: c.Token},
	} {
		g.want(t, wrong, "GET", "/bucket/key", name)
	}
	torn := c
	torn.Token = c.Token[:100] + strings.ToLower(c.Token[100:])
	g.want(t, torn, "GET", "/bucket/key", "InvalidToken")

	// Session policies narrow; an empty list allows nothing.
	session.Policies = []accounts.PolicyText{}
	nothing, err := g.Engine.Accounts().NewSession(session)
	if err != nil {
		t.Fatal(err)
	}
	g.want(t, nothing, "GET", "/bucket/key", "AccessDenied")

	// The role created again is another one.
	role, err = g.Engine.Accounts().Identity(t.Context(), g.tenant.Tenant.ID, meta.IdentityRole, "reader")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Accounts().DeleteIdentity(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	g.create(t, accounts.Identity{Kind: meta.IdentityRole, Name: "reader", Inline: role.Inline, Role: role.Role})
	g.want(t, c, "GET", "/bucket/key", "InvalidToken")

	session = accounts.Session{Tenant: g.tenant.Tenant.ID, Holder: g.tenant.Tenant.ID, Expires: now.Add(time.Hour)}
	if c, err = g.Engine.Accounts().NewSession(session); err != nil {
		t.Fatal(err)
	}
	g.want(t, c, "PUT", "/bucket/key", "")
	now = now.Add(time.Hour)
	g.want(t, c, "PUT", "/bucket/key", "ExpiredToken")
}

func tokenRequest(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential) *http.Request {
	r := g.Request(t, "GET", "/bucket/key", nil)
	q := r.URL.Query()
	q.Set("X-Amz-Security-Token", c.Token)
	r.URL.RawQuery = q.Encode()
	return r
}

// A credential that one gateway revokes is refused by the other within
// CredentialTTL.
func TestRevocationOnAnotherGateway(t *testing.T) {
	g := newRig(t, gatewaytest.Options{Several: true})
	other := gatewaytest.Start(t, gatewaytest.Options{Store: g.Store, Backend: g.Backend, Keys: g.Keys, Several: true})
	gone := func(what, code string, c accounts.Credential) {
		t.Helper()
		began := time.Now()
		for try(t, other, c, "GET", "/bucket/key") == "" {
			if took := time.Since(began); took > accounts.CredentialTTL+10*time.Second {
				t.Fatalf("%s still counts after %s", what, took)
			}
		}
		if got := try(t, other, c, "GET", "/bucket/key"); got != code {
			t.Fatalf("%s: %s, want %s", what, got, code)
		}
	}
	back := func() {
		t.Helper()
		began := time.Now()
		for try(t, other, g.cred, "GET", "/bucket/key") != "" {
			if time.Since(began) > accounts.CredentialTTL+10*time.Second {
				t.Fatal("a granted right has no effect")
			}
		}
	}
	read := func(i *accounts.Identity) { i.Inline = []accounts.InlinePolicy{{Name: "read", Document: readOnly}} }
	g.change(t, meta.IdentityUser, "dev", read)
	back()
	g.change(t, meta.IdentityUser, "dev", func(i *accounts.Identity) { i.Inline = nil })
	gone("a policy", "AccessDenied", g.cred)
	g.change(t, meta.IdentityUser, "dev", read)
	back()
	if err := g.Engine.Accounts().SetAccessKeyInactive(t.Context(), g.cred.AccessKey, true); err != nil {
		t.Fatal(err)
	}
	g.want(t, g.cred, "GET", "/bucket/key", "InvalidAccessKeyId")
	gone("an inactive key", "InvalidAccessKeyId", g.cred)
	if err := g.Engine.Accounts().SetAccessKeyInactive(t.Context(), g.cred.AccessKey, false); err != nil {
		t.Fatal(err)
	}
	back()
	session, err := g.Engine.Accounts().NewSession(accounts.Session{Tenant: g.tenant.Tenant.ID, Holder: g.user.ID,
		Kind: meta.IdentityUser, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if code := try(t, other, session, "GET", "/bucket/key"); code != "" {
		t.Fatal(code)
	}
	if err := g.Engine.Accounts().DeleteAccessKey(t.Context(), g.cred.AccessKey); err != nil {
		t.Fatal(err)
	}
	gone("a removed key", "InvalidAccessKeyId", g.cred)
	user, err := g.Engine.Accounts().Identity(t.Context(), g.tenant.Tenant.ID, meta.IdentityUser, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Accounts().DeleteIdentity(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	gone("a session of a removed user", "InvalidToken", session)
}

// Damaged or moved rows of a credential or an identity deny.
func TestMovedRows(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	other := g.User(t, "other")
	row, err := g.Store.Identity(t.Context(), g.tenant.Tenant.ID, meta.IdentityUser, "dev")
	if err != nil {
		t.Fatal(err)
	}
	moved := row
	moved.Name = "ops"
	if err := g.Store.UpdateIdentity(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Engine.Accounts().Identity(t.Context(), g.tenant.Tenant.ID, meta.IdentityUser, "ops"); err == nil {
		t.Error("a row under another name is read")
	}
	elsewhere := row
	elsewhere.ID, elsewhere.Tenant = meta.NewID(), other.Tenant.ID
	if err := g.Store.CreateIdentity(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	_, err = g.Engine.Accounts().Identity(t.Context(), other.Tenant.ID, meta.IdentityUser, "dev")
	if err == nil || s3err.From(err).Code != s3err.InternalError {
		t.Errorf("a document under another id: %v", err)
	}
	if code := try(t, g.Gateway, g.cred, "GET", "/bucket/key"); code != "InternalError" {
		t.Errorf("a user with a moved row: %q", code)
	}
}

func FuzzToken(f *testing.F) {
	g := gatewaytest.Start(f, gatewaytest.Options{})
	root := g.Engine.Accounts().Root()
	c, err := g.Engine.Accounts().NewSession(accounts.Session{Tenant: root.ID, Holder: root.ID, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.AccessKey, c.Token)
	f.Add(c.AccessKey, "")
	f.Add("ASIA", "AQ==")
	f.Fuzz(func(t *testing.T, accessKey, token string) {
		got, err := g.Engine.Accounts().Credential(t.Context(), accessKey, token)
		if err == nil && (accessKey != c.AccessKey || token != c.Token) && accessKey != g.Root.AccessKey {
			t.Fatalf("%q with %q is %v", accessKey, token, got)
		}
	})
}
