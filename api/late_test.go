package api_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

// later is a gateway whose clock a test moves, with alice's bucket.
type later struct {
	*household
	ahead atomic.Int64 // of the real clock
}

func newLater(t *testing.T) *later {
	t.Helper()
	l := &later{}
	g, alice, bob := shared(t, gatewaytest.Options{Grace: -1, Now: func() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }})
	l.household = &household{g: g, alice: alice, mallory: bob}
	// A client that waits for 100 Continue sends its body after the decision.
	g.Client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	return l
}

// arriving is a body; meanwhile runs when it begins to be read.
type arriving struct {
	io.Reader
	meanwhile func()
}

func (a *arriving) Read(p []byte) (int, error) {
	if a.meanwhile != nil {
		a.meanwhile()
		a.meanwhile = nil
	}
	return a.Reader.Read(p)
}

// slowly sends a request whose body takes an hour to arrive. meanwhile happens in
// that time. Without a credential the request is anonymous.
func (l *later) slowly(t *testing.T, c accounts.Credential, meanwhile func(), method, target string, body []byte, headers ...string) gatewaytest.Response {
	t.Helper()
	r := l.g.Request(t, method, target, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	r.Header.Set("Expect", "100-continue")
	if c.AccessKey != "" {
		l.g.Sign(t, r, c, body)
	}
	began := false
	r.GetBody = nil
	r.Body = io.NopCloser(&arriving{Reader: bytes.NewReader(body), meanwhile: func() {
		began = true
		meanwhile()
		l.ahead.Add(int64(time.Hour))
	}})
	res := l.g.Send(t, r)
	if !began {
		t.Fatalf("%s %s was answered before its body: %d %s", method, target, res.Status, res.Body)
	}
	return res
}

// A right that is taken away while the body of a request is on its way has no
// effect any more, whatever the request is and whichever way the right went.
func TestRightsTakenAwayUnderway(t *testing.T) {
	l := newLater(t)
	g, a := l.g, l.g.Engine.Accounts()
	const deny = `{"Effect":"Deny","Principal":"*","Action":["s3:Put*","s3:Delete*"],"Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}`
	md5 := func(b []byte) string {
		sum := weakhash.MD5(b)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	remove := []byte("<Delete><Object><Key>kept</Key></Object></Delete>")
	users := 0
	large := bytes.Repeat([]byte("large"), 100_000)
	for way, take := range map[string]struct {
		away func(accounts.Identity, accounts.Credential)
		code string
	}{
		"nothing": {func(accounts.Identity, accounts.Credential) {}, ""},
		"its policy": {func(i accounts.Identity, _ accounts.Credential) {
			if _, err := a.ChangeIdentity(t.Context(), i.Tenant, i.Kind, i.Name, func(i *accounts.Identity) error { i.Inline = nil; return nil }); err != nil {
				t.Error(err)
			}
		}, "AccessDenied"},
		"its key": {func(_ accounts.Identity, c accounts.Credential) {
			if err := a.DeleteAccessKey(t.Context(), c.AccessKey); err != nil {
				t.Error(err)
			}
		}, "InvalidAccessKeyId"},
		"its secret": {func(i accounts.Identity, c accounts.Credential) {
			if err := a.DeleteAccessKey(t.Context(), c.AccessKey); err != nil {
				t.Error(err)
			}
			if _, err := a.CreateAccessKey(t.Context(), l.alice.Tenant, i.ID, c.AccessKey, ""); err != nil {
				t.Error(err)
			}
		}, "InvalidAccessKeyId"},
		"the bucket's policy": {func(accounts.Identity, accounts.Credential) {
			expect(t, "deny", g.Do(t, l.alice, "PUT", "/bucket?policy", policyOf(deny)), 204, "")
		}, "AccessDenied"},
	} {
		for name, c := range map[string]struct {
			method, target string
			body           []byte
			headers        []string
		}{
			"PutObject":          {"PUT", "/bucket/new", []byte("new"), nil},
			"a large PutObject":  {"PUT", "/bucket/new", large, nil},
			"UploadPart":         {"PUT", "/bucket/up?partNumber=1&uploadId=", []byte("part"), nil},
			"Complete":           {"POST", "/bucket/up?uploadId=", nil, nil},
			"DeleteObjects":      {"POST", "/bucket?delete", remove, []string{"Content-Md5", md5(remove)}},
			"PutBucketPolicy":    {"PUT", "/bucket?policy", policyOf(readOpen), nil},
			"PutObjectTagging":   {"PUT", "/bucket/kept?tagging", tagDocument("a", "b"), nil},
			"PutBucketTagging":   {"PUT", "/bucket?tagging", tagDocument("a", "b"), nil},
			"PutBucketWebsite":   {"PUT", "/bucket?website", []byte("<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>"), nil},
			"PutBucketOwnership": {"PUT", "/bucket?ownershipControls", []byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"), nil},
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				expect(t, "no policy", g.Do(t, l.alice, "DELETE", "/bucket?policy", nil), 204, "")
				expect(t, "kept", g.Do(t, l.alice, "PUT", "/bucket/kept", []byte("kept")), 200, "")
				expect(t, "no object", g.Do(t, l.alice, "DELETE", "/bucket/new", nil), 204, "")
				i, user := l.user(t, l.alice, fmt.Sprint("user", users), allowAll)
				users++
				target, body := c.target, c.body
				if name == "UploadPart" || name == "Complete" {
					id := g.Do(t, user, "POST", "/bucket/up?uploads", nil).Element("UploadId")
					if target += id; name == "Complete" {
						tag := g.Do(t, user, "PUT", "/bucket/up?partNumber=1&uploadId="+id, []byte("part")).Header.Get("ETag")
						body = completeDocument(part(1, tag))
					}
				}
				res := l.slowly(t, user, func() { take.away(i, user) }, c.method, target, body, c.headers...)
				code := take.code
				if way == "the bucket's policy" && name == "PutBucketPolicy" {
					code = "AccessDenied"
				}
				if res.Code() != code {
					t.Errorf("%d %q, want %q: %s", res.Status, res.Code(), code, res.Body)
				}
				if take.code == "" {
					return
				}
				if res := g.Do(t, l.alice, "GET", "/bucket/new", nil); res.Status != 404 {
					t.Errorf("the object is there: %d", res.Status)
				}
				if res := g.Do(t, l.alice, "GET", "/bucket/kept", nil); res.Status != 200 {
					t.Errorf("what was there is gone: %d", res.Status)
				}
			})
		}
	}
}

// The same holds for everybody, where a bucket is open, and for sessions, whose
// own end in the meantime does not matter.
func TestOthersLate(t *testing.T) {
	l := newLater(t)
	g, a := l.g, l.g.Engine.Accounts()
	open := policyOf(`{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*"}`)
	expect(t, "open", g.Do(t, l.alice, "PUT", "/bucket?policy", open), 204, "")
	expect(t, "open", l.slowly(t, accounts.Credential{}, func() {}, "PUT", "/bucket/anybody", []byte("x")), 200, "")
	expect(t, "closed", l.slowly(t, accounts.Credential{}, func() {
		expect(t, "close", g.Do(t, l.alice, "DELETE", "/bucket?policy", nil), 204, "")
	}, "PUT", "/bucket/anybody", []byte("x")), 403, "AccessDenied")

	i, _ := l.user(t, l.alice, "holder", allowAll)
	session := func() accounts.Credential {
		return l.sessionOf(t, accounts.Session{Tenant: i.Tenant, Holder: i.ID, Kind: i.Kind, Expires: g.Now().Add(time.Minute)})
	}
	send := func(meanwhile func()) gatewaytest.Response {
		c := session()
		return l.slowly(t, c, meanwhile, "PUT", "/bucket/session", []byte("x"), "X-Amz-Security-Token", c.Token)
	}
	expect(t, "a session", send(func() {}), 200, "")
	expect(t, "a session without rights", send(func() {
		if _, err := a.ChangeIdentity(t.Context(), i.Tenant, i.Kind, i.Name, func(i *accounts.Identity) error { i.Inline = nil; return nil }); err != nil {
			t.Error(err)
		}
	}), 403, "AccessDenied")
}

// A default retention that is set while a body is on its way locks its object.
func TestDefaultRetentionUnderway(t *testing.T) {
	l := newLater(t)
	expect(t, "locks", l.g.Do(t, l.alice, "PUT", "/locked", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true"), 200, "")
	body := []byte("x")
	expect(t, "PUT", l.slowly(t, l.alice, func() {
		expect(t, "default", l.g.Do(t, l.alice, "PUT", "/locked?object-lock", lockConfiguration("GOVERNANCE", "<Days>1</Days>")), 200, "")
	}, "PUT", "/locked/k", body), 200, "")
	expectHeaders(t, "HEAD", l.g.Do(t, l.alice, "HEAD", "/locked/k", nil), "X-Amz-Object-Lock-Mode", "GOVERNANCE")
}

// An ACL that would make an object public is refused if that was blocked while
// the body, or the parts of an upload, arrived.
func TestPublicACLsBlockedUnderway(t *testing.T) {
	l := newLater(t)
	g := l.g
	expect(t, "ACLs", g.Do(t, l.alice, "PUT", "/bucket?ownershipControls",
		[]byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>")), 200, "")
	block := func(on string) {
		expect(t, "block", g.Do(t, l.alice, "PUT", "/bucket?publicAccessBlock",
			[]byte("<PublicAccessBlockConfiguration><BlockPublicAcls>"+on+"</BlockPublicAcls></PublicAccessBlockConfiguration>")), 200, "")
	}
	upload := func(acl string, meanwhile func()) gatewaytest.Response {
		id := g.Do(t, l.alice, "POST", "/bucket/up?uploads", nil, "X-Amz-Acl", acl).Element("UploadId")
		tag := g.Do(t, l.alice, "PUT", "/bucket/up?partNumber=1&uploadId="+id, []byte("part")).Header.Get("ETag")
		meanwhile()
		complete := func() gatewaytest.Response {
			return g.Do(t, l.alice, "POST", "/bucket/up?uploadId="+id, completeDocument(part(1, tag)))
		}
		res := complete()
		if again := complete(); again.Code() != res.Code() {
			t.Errorf("completed again: %q, before %q", again.Code(), res.Code())
		}
		return res
	}
	for acl, code := range map[string]string{"public-read": "AccessDenied", "private": ""} {
		status := map[string]int{"": 200, "AccessDenied": 403}[code]
		block("false")
		expect(t, acl, l.slowly(t, l.alice, func() { block("true") }, "PUT", "/bucket/new", []byte("x"), "X-Amz-Acl", acl), status, code)
		block("false")
		expect(t, acl+" of an upload", upload(acl, func() { block("true") }), status, code)
		block("false")
		expect(t, acl+" without a block", upload(acl, func() {}), 200, "")
	}
}
