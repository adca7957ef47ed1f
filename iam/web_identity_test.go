package iam_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// provider is an identity provider with a key of each kind.
type provider struct {
	*httptest.Server
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	var err error
	if p.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if p.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		point, _ := p.ec.PublicKey.Bytes()
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
		case "/keys":
			json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{
				{"kty": "RSA", "kid": "rsa", "use": "sig", "n": b64(p.rsa.N.Bytes()), "e": b64(big.NewInt(int64(p.rsa.E)).Bytes())},
				{"kty": "EC", "kid": "ec", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
				{"kty": "oct", "kid": "secret", "k": b64([]byte("secret"))},
				{"kty": "RSA", "kid": "encrypts", "use": "enc", "n": b64(p.rsa.N.Bytes()), "e": "AQAB"},
			}})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// sign makes a token by the algorithm, whatever the key's name.
func (p *provider) sign(t *testing.T, algorithm, kid string, claims map[string]any) string {
	t.Helper()
	header, _ := json.Marshal(map[string]string{"alg": algorithm, "kid": kid, "typ": "JWT"})
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := b64(header) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	switch algorithm {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, p.rsa, crypto.SHA256, sum[:])
	case "ES256":
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, p.ec, sum[:])
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case "HS256": // by the public key, which is known to everybody
		m := hmac.New(sha256.New, p.rsa.N.Bytes())
		m.Write([]byte(text))
		signature = m.Sum(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(signature)
}

func TestWebIdentity(t *testing.T) {
	idp := newProvider(t)
	var log logged
	g := newRig(t, gatewaytest.Options{Log: log.logger(), ProviderKeys: iam.NewKeys(iam.KeysOptions{Client: idp.Client()})})
	account, host := accounts.Account(g.tenant.Tenant.ID), strings.TrimPrefix(idp.URL, "https://")
	arn := g.root(t, "", "CreateOpenIDConnectProvider", "Url", idp.URL, "ClientIDList.member.1", "app",
		"ThumbprintList.member.1", strings.Repeat("a", 40)).one("OpenIDConnectProviderArn")
	g.root(t, "EntityAlreadyExists", "CreateOpenIDConnectProvider", "Url", idp.URL)
	g.root(t, "InvalidInput", "CreateOpenIDConnectProvider", "Url", strings.Replace(idp.URL, "https", "http", 1))
	if a := g.root(t, "", "ListOpenIDConnectProviders"); a.one("Arn") != arn {
		t.Error(a.body)
	}
	g.root(t, "", "AddClientIDToOpenIDConnectProvider", "OpenIDConnectProviderArn", arn, "ClientID", "second")
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + arn + `"},"Action":"sts:AssumeRoleWithWebIdentity",
		"Condition":{"StringEquals":{"` + host + `:aud":["app","second"]},"StringLike":{"` + host + `:sub":"repo:ours/*"}}}]}`
	role := g.root(t, "", "CreateRole", "RoleName", "ci", "AssumeRolePolicyDocument", trust).one("Arn")
	g.root(t, "", "PutRolePolicy", "RoleName", "ci", "PolicyName", "read", "PolicyDocument", readOnly)

	now := time.Now()
	claims := func(change ...any) map[string]any {
		c := map[string]any{"iss": idp.URL, "sub": "repo:ours/x", "aud": "app", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix()}
		for i := 0; i+1 < len(change); i += 2 {
			if c[change[i].(string)] = change[i+1]; change[i+1] == nil {
				delete(c, change[i].(string))
			}
		}
		return c
	}
	assume := func(name, code, token string) answer {
		t.Helper()
		v := form("Action", "AssumeRoleWithWebIdentity", "RoleArn", role, "RoleSessionName", "run", "WebIdentityToken", token)
		a := post(t, g.Gateway, accounts.Credential{}, "", v)
		if got := a.one("Code"); got != code || (a.status == 200) != (code == "") {
			t.Errorf("%s: %d %s, want %q", name, a.status, a.body, code)
		}
		return a
	}
	assumed := assume("RS256", "", idp.sign(t, "RS256", "rsa", claims()))
	s := credentialOf(assumed)
	log.want(t, assumed.one("RequestId"), map[string]any{"api": "sts", "action": "sts:AssumeRoleWithWebIdentity", "principal": arn, "subject": "repo:ours/x",
		"session": "run", "resource": role, "decision": "allow", "status": 200.0})
	g.want(t, s, "GET", "/bucket/key", "")
	g.want(t, s, "PUT", "/bucket/key", "AccessDenied")
	if a := g.call(t, s, "", "GetCallerIdentity"); a.one("Arn") != "arn:aws:sts::"+account+":assumed-role/ci/run" {
		t.Error(a.body)
	}
	assume("ES256", "", idp.sign(t, "ES256", "ec", claims("aud", []string{"other", "second"}, "azp", "second")))
	good := idp.sign(t, "RS256", "rsa", claims())
	torn := good[:len(good)-8] + "AAAAAAAA"
	for _, c := range []struct{ name, code, token string }{
		{"HS256 by the public key", "InvalidIdentityToken", idp.sign(t, "HS256", "rsa", claims())},
		{"no algorithm", "InvalidIdentityToken", idp.sign(t, "none", "rsa", claims())},
		{"the other kind's key", "InvalidIdentityToken", idp.sign(t, "ES256", "rsa", claims())},
		{"a key for encryption", "InvalidIdentityToken", idp.sign(t, "RS256", "encrypts", claims())},
		{"a symmetric key", "InvalidIdentityToken", idp.sign(t, "HS256", "secret", claims())},
		{"an unknown key", "InvalidIdentityToken", idp.sign(t, "RS256", "nobody", claims())},
		{"no key's id", "InvalidIdentityToken", idp.sign(t, "RS256", "", claims())},
		{"another signature", "InvalidIdentityToken", torn},
		{"another provider", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("iss", "https://idp.test"))},
		{"no provider's address", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("iss", "file:///etc"))},
		{"another client", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("aud", "stranger"))},
		{"another party", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("azp", "stranger"))},
		{"expired", "ExpiredToken", idp.sign(t, "RS256", "rsa", claims("exp", now.Add(-time.Second).Unix()))},
		{"without end", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("exp", nil))},
		{"without beginning", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("iat", nil))},
		{"not yet", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("nbf", now.Add(time.Hour).Unix()))},
		{"from the future", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("iat", now.Add(time.Hour).Unix()))},
		{"old", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("iat", now.Add(-25*time.Hour).Unix()))},
		{"another subject", "AccessDenied", idp.sign(t, "RS256", "rsa", claims("sub", "repo:theirs/x"))},
		{"another subject beside it in capitals", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("sub", "repo:theirs/x", "SUB", "repo:ours/x"))},
		{"a party in capitals", "InvalidIdentityToken", idp.sign(t, "RS256", "rsa", claims("aud", "stranger", "AZP", "app"))},
		{"no token", "InvalidIdentityToken", "a.b.c"},
		{"two parts", "InvalidIdentityToken", "a.b"},
		{"large", "InvalidIdentityToken", strings.Repeat("a", 20_001)},
	} {
		refused := assume(c.name, c.code, c.token)
		who := "unproven"
		if c.code == "AccessDenied" {
			who = arn
		}
		log.want(t, refused.one("RequestId"), map[string]any{"principal": who, "session": "run", "resource": role, "code": c.code})
	}
	g.root(t, "", "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
	assume("a provider that was removed", "InvalidIdentityToken", good)
}

// The existence of a role or account is revealed to nobody: neither without a
// valid token nor with one that the role's trust policy does not accept.
func TestWebIdentityTellsNoRoles(t *testing.T) {
	idp, other := newProvider(t), newProvider(t)
	g := newRig(t, gatewaytest.Options{ProviderKeys: iam.NewKeys(iam.KeysOptions{Client: idp.Client()})})
	arn := g.root(t, "", "CreateOpenIDConnectProvider", "Url", idp.URL, "ClientIDList.member.1", "app").one("OpenIDConnectProviderArn")
	host := strings.TrimPrefix(idp.URL, "https://")
	there := g.root(t, "", "CreateRole", "RoleName", "ci", "AssumeRolePolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
		"Principal":{"Federated":"`+arn+`"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"`+host+`:sub":"ours"}}}]}`).one("Arn")
	places := map[string]string{"there": there, "another role": strings.Replace(there, "role/ci", "role/cd", 1),
		"another path": strings.Replace(there, "role/ci", "role/x/ci", 1)}
	elsewhere := strings.Replace(there, accounts.Account(g.tenant.Tenant.ID), "999999999999", 1)
	now := time.Now()
	claims := func(issuer string, more ...any) map[string]any {
		c := map[string]any{"iss": issuer, "sub": "theirs", "aud": "app", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix()}
		for i := 0; i+1 < len(more); i += 2 {
			c[more[i].(string)] = more[i+1]
		}
		return c
	}
	for name, token := range map[string]string{
		"no token":              "a.b.c",
		"an unknown provider":   other.sign(t, "RS256", "rsa", claims("https://idp.test")),
		"a false signature":     other.sign(t, "RS256", "rsa", claims(idp.URL)),
		"an unknown key":        idp.sign(t, "RS256", "nobody", claims(idp.URL)),
		"another client":        idp.sign(t, "RS256", "rsa", claims(idp.URL, "aud", "stranger")),
		"one that has ended":    idp.sign(t, "RS256", "rsa", claims(idp.URL, "exp", now.Add(-time.Minute).Unix())),
		"tags that are none":    idp.sign(t, "RS256", "rsa", claims(idp.URL, "https://aws.amazon.com/tags", "x")),
		"a subject not trusted": idp.sign(t, "RS256", "rsa", claims(idp.URL)),
	} {
		t.Run(name, func(t *testing.T) {
			told := func(role string) string {
				a := post(t, g.Gateway, accounts.Credential{}, "",
					form("Action", "AssumeRoleWithWebIdentity", "RoleArn", role, "RoleSessionName", "run", "WebIdentityToken", token))
				if a.status == 200 {
					t.Fatalf("%s: %s", role, a.body)
				}
				return a.one("Code") + ": " + a.one("Message")
			}
			all := make(map[string][]string)
			for what, role := range places {
				all[told(role)] = append(all[told(role)], what)
			}
			if name == "no token" || name == "an unknown provider" {
				all[told(elsewhere)] = append(all[told(elsewhere)], "another account")
			}
			if len(all) != 1 {
				t.Errorf("answers tell roles apart: %q", all)
			}
		})
	}
}

// A provider at a private address is asked only if that is allowed, whatever
// its name.
func TestPrivateProviders(t *testing.T) {
	idp := newProvider(t)
	asked := false
	idp.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true })
	g := newRig(t, gatewaytest.Options{ProviderKeys: iam.NewKeys(iam.KeysOptions{})})
	arn := g.root(t, "", "CreateOpenIDConnectProvider", "Url", idp.URL, "ClientIDList.member.1", "app").one("OpenIDConnectProviderArn")
	role := g.root(t, "", "CreateRole", "RoleName", "ci", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"`+arn+`"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`).one("Arn")
	token := idp.sign(t, "RS256", "rsa",
		map[string]any{"iss": idp.URL, "sub": "s", "aud": "app", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()})
	a := post(t, g.Gateway, accounts.Credential{}, "",
		form("Action", "AssumeRoleWithWebIdentity", "RoleArn", role, "RoleSessionName", "run", "WebIdentityToken", token))
	if a.one("Code") != "IDPCommunicationError" || asked || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("%v: %d %s", asked, a.status, a.body)
	}
}
