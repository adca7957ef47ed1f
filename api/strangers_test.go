package api_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
)

const (
	allowAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	denyAll   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["s3:*","s3express:*"],"Resource":"*"}]}`
	elsewhere = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::elsewhere","arn:aws:s3:::elsewhere/*"]}]}`
)

// household is alice's bucket, with senders who may use it and senders who may
// not.
type household struct {
	g              *gatewaytest.Gateway
	log            *lines
	alice, mallory accounts.Credential // roots of two tenants
	upload         string              // in progress, of the key
	version        string              // of the key, not its newest
	sourceVersion  string              // of source
}

// newHousehold gives alice the bucket, versions, upload and settings that
// example requests name.
func newHousehold(t *testing.T) *household {
	t.Helper()
	h := &household{log: &lines{}}
	h.g = gatewaytest.Start(t, gatewaytest.Options{SignatureV2: sigv4.Version2All, Log: slog.New(slog.NewJSONHandler(h.log, nil))})
	h.alice, h.mallory = h.g.User(t, "alice"), h.g.User(t, "mallory")
	must := func(method, target string, body string, headers ...string) gatewaytest.Response {
		t.Helper()
		res := h.g.Do(t, h.alice, method, target, []byte(body), headers...)
		if res.Status != 200 {
			t.Fatalf("%s %s: %d %s", method, target, res.Status, res.Body)
		}
		return res
	}
	must("PUT", "/bucket", "", "X-Amz-Bucket-Object-Lock-Enabled", "true")
	h.version = must("PUT", "/bucket/key", "one", "X-Amz-Tagging", "a=b").Header.Get("X-Amz-Version-Id")
	must("PUT", "/bucket/key", "two")
	h.sourceVersion = must("PUT", "/bucket/source", "source").Header.Get("X-Amz-Version-Id")
	h.upload = must("POST", "/bucket/key?uploads", "").Element("UploadId")
	must("PUT", "/bucket/key?partNumber=1&uploadId="+h.upload, "part")
	return h
}

// user creates a user of a tenant with its own policy; empty: none.
func (h *household) user(t *testing.T, of accounts.Credential, name, policy string) (accounts.Identity, accounts.Credential) {
	t.Helper()
	i := accounts.Identity{Tenant: of.Tenant.ID, Kind: meta.IdentityUser, Name: name}
	if policy != "" {
		i.Inline = []accounts.InlinePolicy{{Name: "own", Document: policy}}
	}
	i, err := h.g.Engine.Accounts().CreateIdentity(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.g.Engine.Accounts().CreateAccessKey(t.Context(), of.Tenant, i.ID, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return i, c
}

// session creates a temporary credential of alice's root.
func (h *household) session(t *testing.T, lives time.Duration, policies ...accounts.PolicyText) accounts.Credential {
	t.Helper()
	return h.sessionOf(t, accounts.Session{Tenant: h.alice.Tenant.ID, Holder: h.alice.Tenant.ID, Policies: policies, Expires: time.Now().Add(lives)})
}

func (h *household) sessionOf(t *testing.T, s accounts.Session) accounts.Credential {
	t.Helper()
	c, err := h.g.Engine.Accounts().NewSession(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// friends may do everything to alice's bucket.
func (h *household) friends(t *testing.T) map[string]accounts.Credential {
	t.Helper()
	user, friend := h.user(t, h.alice, "friend", allowAll)
	return map[string]accounts.Credential{
		"root": h.g.Root, "alice": h.alice, "a user who may": friend, "a session": h.session(t, time.Hour),
		"a user's session": h.sessionOf(t, accounts.Session{Tenant: h.alice.Tenant.ID, Holder: user.ID, Kind: user.Kind, Expires: time.Now().Add(time.Hour)}),
	}
}

// refusal is a way in which a request must fail.
type refusal struct {
	name   string
	cred   accounts.Credential
	at     time.Duration // from now
	spoil  bool          // break the signature
	code   string        // in the header, or in a form
	inURL  string        // code of a presigned request; empty: not tried
	chunks string        // code of a presigned, chunked request, which is refused as such first
	// policies: policies take part, so that a request with several keys is
	// decided for each.
	policies bool
}

// refusals are all reasons to refuse a sender everything in alice's bucket.
func (h *household) refusals(t *testing.T) []refusal {
	t.Helper()
	const invalid, denied = "InvalidRequest", "AccessDenied"
	wrong := func(name, code string, c accounts.Credential) refusal {
		return refusal{name: name, cred: c, code: code, inURL: code, chunks: invalid}
	}
	narrowed := func(r refusal) refusal { r.policies = true; return r }
	_, inactive := h.user(t, h.alice, "sleeping", allowAll)
	if err := h.g.Engine.Accounts().SetAccessKeyInactive(t.Context(), inactive.AccessKey, true); err != nil {
		t.Fatal(err)
	}
	_, nobody := h.user(t, h.alice, "nobody", "")
	denied1, bad := h.user(t, h.alice, "denied", denyAll)
	_, neighbour := h.user(t, h.mallory, "neighbour", allowAll)
	live := h.session(t, time.Hour)
	foreign, torn, bare := live, live, live
	foreign.Token = h.session(t, time.Hour).Token
	torn.Token = live.Token[:len(live.Token)/2] + strings.Repeat("A", len(live.Token)-len(live.Token)/2)
	bare.Token = ""
	tokened := h.alice
	tokened.Token = live.Token
	spoilt := wrong("bad signature", "SignatureDoesNotMatch", h.alice)
	spoilt.spoil = true
	spoiltSession := wrong("bad signature of a session", "SignatureDoesNotMatch", live)
	spoiltSession.spoil = true
	return []refusal{
		spoilt, spoiltSession,
		wrong("another's secret", "SignatureDoesNotMatch", accounts.Credential{AccessKey: h.alice.AccessKey, SecretKey: h.mallory.SecretKey}),
		wrong("unknown key", "InvalidAccessKeyId", accounts.Credential{AccessKey: "SGUNKNOWN", SecretKey: h.alice.SecretKey}),
		wrong("inactive key", "InvalidAccessKeyId", inactive),
		wrong("session without its token", "InvalidAccessKeyId", bare),
		wrong("another session's token", "InvalidToken", foreign),
		wrong("edited token", "InvalidToken", torn),
		wrong("a token that is no session's", "InvalidToken", tokened),
		wrong("a session that ended", "ExpiredToken", h.session(t, -time.Minute)),
		{name: "long ago", cred: h.alice, at: -2 * time.Hour, code: "RequestTimeTooSkewed", inURL: denied, chunks: denied},
		{name: "in the future", cred: h.alice, at: 2 * time.Hour, code: "RequestTimeTooSkewed", inURL: denied, chunks: denied},
		{name: "anonymous", code: denied},
		wrong("another tenant", denied, h.mallory),
		narrowed(wrong("another tenant's user", denied, neighbour)),
		wrong("a user without policies", denied, nobody),
		narrowed(wrong("a user who is denied", denied, bad)),
		narrowed(wrong("a session for elsewhere", denied, h.session(t, time.Hour, accounts.PolicyText{Name: "session", Document: elsewhere}))),
		narrowed(wrong("a denied user's session", denied, h.sessionOf(t, accounts.Session{Tenant: h.alice.Tenant.ID, Holder: denied1.ID, Kind: denied1.Kind,
			Policies: []accounts.PolicyText{{Name: "session", Document: allowAll}}, Expires: time.Now().Add(time.Hour)}))),
	}
}
