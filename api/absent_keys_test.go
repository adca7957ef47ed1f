package api_test

import (
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// askAs sends a request of somebody; nil sends it unsigned.
func (h *household) askAs(t *testing.T, c *accounts.Credential, method, target string, headers ...string) gatewaytest.Response {
	t.Helper()
	if c != nil {
		return h.g.Do(t, *c, method, target, nil, headers...)
	}
	r := h.g.Request(t, method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return h.g.Send(t, r)
}

// mustAsAlice sends a request of the bucket's owner.
func (h *household) mustAsAlice(t *testing.T, method, target, document string, headers ...string) gatewaytest.Response {
	t.Helper()
	res := h.g.Do(t, h.alice, method, target, []byte(document), headers...)
	if res.Status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, target, res.Status, res.Body)
	}
	return res
}

// Senders who may list a bucket, by whatever right, are told that an object is
// absent. All others are denied, as they are for an existing one.
func TestAbsentKeys(t *testing.T) {
	const (
		mayList = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket"},{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}`
		mayNot  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucketVersions","s3:PutObject"],"Resource":"*"}]}`
	)
	listing := func(principal string) string {
		return string(policyOf(`{"Effect":"Allow","Principal":` + principal + `,"Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket"}`))
	}
	h := newHousehold(t)
	_, lister := h.user(t, h.alice, "lister", mayList)
	_, other := h.user(t, h.alice, "other", mayNot)
	for road, c := range map[string]struct {
		policy, acl string
		listers     []*accounts.Credential
		others      []*accounts.Credential
	}{
		"identity": {listers: []*accounts.Credential{&lister}, others: []*accounts.Credential{&other, &h.mallory, nil}},
		"policy": {policy: listing(`{"AWS":"` + accounts.Account(h.mallory.Tenant.ID) + `"}`),
			listers: []*accounts.Credential{&lister, &h.mallory}, others: []*accounts.Credential{&other, nil}},
		"policy for all":  {policy: listing(`"*"`), listers: []*accounts.Credential{&lister, &other, &h.mallory, nil}},
		"ACL for all":     {acl: "public-read", listers: []*accounts.Credential{&lister, &other, &h.mallory, nil}},
		"ACL for signers": {acl: "authenticated-read", listers: []*accounts.Credential{&lister, &other, &h.mallory}, others: []*accounts.Credential{nil}},
	} {
		t.Run(road, func(t *testing.T) {
			h.mustAsAlice(t, "DELETE", "/bucket?policy", "")
			if c.policy != "" {
				h.mustAsAlice(t, "PUT", "/bucket?policy", c.policy)
			}
			if c.acl != "" {
				h.mustAsAlice(t, "PUT", "/bucket?ownershipControls", ownedBy)
				h.mustAsAlice(t, "PUT", "/bucket?acl", "", "X-Amz-Acl", c.acl)
				defer h.mustAsAlice(t, "PUT", "/bucket?acl", "", "X-Amz-Acl", "private")
			}
			for _, who := range c.listers {
				h.readsAbsent(t, who, true)
			}
			for _, who := range c.others {
				h.readsAbsent(t, who, false)
			}
		})
	}
}

// readsAbsent reads an absent object in every way, by a sender without the
// right to read.
func (h *household) readsAbsent(t *testing.T, who *accounts.Credential, lists bool) {
	t.Helper()
	name := "nobody"
	if who != nil {
		name = who.AccessKey
	}
	ask := func(method, target string, absent bool, code string, headers ...string) {
		t.Helper()
		status := 403
		if absent && lists {
			status = 404
		} else {
			code = "AccessDenied"
		}
		res := h.askAs(t, who, method, target, headers...)
		if res.Status != status || method != "HEAD" && res.Code() != code {
			t.Errorf("%s, %s %s %v: %d %s, want %d %s", name, method, target, headers, res.Status, res.Body, status, code)
		}
	}
	const none = "0123456789abcdef0123456789abcdef"
	for _, query := range []string{"", "tagging", "acl", "retention", "legal-hold", "attributes"} {
		methods := []string{"GET"}
		if query == "" {
			methods = append(methods, "HEAD")
		}
		for _, method := range methods {
			ask(method, "/bucket/absent?"+query, true, "NoSuchKey", "X-Amz-Object-Attributes", "ETag")
			ask(method, "/bucket/absent?versionId="+none+"&"+query, true, "NoSuchVersion", "X-Amz-Object-Attributes", "ETag")
			ask(method, "/bucket/key?versionId="+none+"&"+query, true, "NoSuchVersion", "X-Amz-Object-Attributes", "ETag")
			ask(method, "/bucket/key?"+query, false, "", "X-Amz-Object-Attributes", "ETag")
			ask(method, "/bucket/key?versionId="+h.version+"&"+query, false, "", "X-Amz-Object-Attributes", "ETag")
		}
	}
	// A sender who expects another owner is told nothing.
	res := h.askAs(t, who, "GET", "/bucket/absent", "X-Amz-Expected-Bucket-Owner", strings.Repeat("1", 12))
	expect(t, name+" who expects another owner", res, 403, "AccessDenied")
	if who == nil || who.Tenant.ID != h.alice.Tenant.ID { // without the right to write, the source is not looked for
		return
	}
	for source, absent := range map[string]bool{"absent": true, "absent?versionId=" + none: true, "key": false, "key?versionId=" + h.version: false} {
		code := "NoSuchKey"
		if strings.Contains(source, "?") {
			code = "NoSuchVersion"
		}
		ask("PUT", "/bucket/copy", absent, code, "X-Amz-Copy-Source", "/bucket/"+source)
		ask("PUT", "/bucket/key?partNumber=2&uploadId="+h.upload, absent, code, "X-Amz-Copy-Source", "/bucket/"+source)
	}
}

// The initiator of an upload may list its parts and abort it, and so may the
// root of its account. Nobody else may who can only write.
func TestInitiators(t *testing.T) {
	const writes = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}`
	h := newHousehold(t)
	h.mustAsAlice(t, "PUT", "/bucket?policy", string(policyOf(`{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*"}`)))
	of := func(c accounts.Credential, name, policy string) accounts.Credential {
		_, u := h.user(t, c, name, policy)
		return u
	}
	hers, hersToo := of(h.alice, "hers", writes), of(h.alice, "hers-too", writes)
	theirs, theirsToo := of(h.mallory, "theirs", writes), of(h.mallory, "theirs-too", writes)
	_, narrow := h.user(t, h.mallory, "narrow", writes)
	denied := of(h.alice, "denied",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"},{"Effect":"Deny","Action":"s3:Abort*","Resource":"*"}]}`)
	everybody := map[string]accounts.Credential{"alice": h.alice, "mallory": h.mallory, "hers": hers, "hersToo": hersToo,
		"theirs": theirs, "theirsToo": theirsToo, "denied": denied}
	for _, ownership := range []string{"BucketOwnerEnforced", "ObjectWriter"} {
		h.mustAsAlice(t, "PUT", "/bucket?ownershipControls", strings.Replace(ownedBy, "ObjectWriter", ownership, 1))
		for name, may := range map[string][]string{
			"hers": {"alice", "hers"}, "alice": {"alice"}, "theirs": {"alice", "mallory", "theirs"}, "mallory": {"alice", "mallory"}, "denied": {"alice", "denied"},
		} {
			by := everybody[name]
			res := h.g.Do(t, by, "POST", "/bucket/began?uploads", nil)
			if res.Status != 200 {
				t.Fatalf("%s begins: %d %s", name, res.Status, res.Body)
			}
			target := "/bucket/began?uploadId=" + res.Element("UploadId")
			for who, c := range everybody {
				want := 403
				for _, m := range may {
					if m == who {
						want = 200
					}
				}
				if res := h.g.Do(t, c, "GET", target, nil); res.Status != want {
					t.Errorf("%s, %s lists the parts of %s: %d %s", ownership, who, name, res.Status, res.Body)
				}
				if want == 403 || who == "denied" {
					expect(t, who+" aborts that of "+name, h.g.Do(t, c, "DELETE", target, nil), 403, "AccessDenied")
				}
				expect(t, who+" asks of another key", h.g.Do(t, everybody["theirsToo"], "DELETE", strings.Replace(target, "began", "other", 1), nil), 403, "AccessDenied")
			}
			shown := h.g.Do(t, h.alice, "GET", target, nil).Element("Initiator")
			if id := "<ID>" + by.Tenant.ID.Canonical() + "</ID>"; (name == "alice" || name == "mallory") && shown != id ||
				(name == "hers" || name == "theirs") && shown != "<ID>arn:aws:iam::"+accounts.Account(by.Tenant.ID)+":user/"+name+"</ID>" {
				t.Errorf("the initiator of %s's upload is shown as %s", name, shown)
			}
			last := h.alice
			if name != "denied" {
				last = by
			}
			if res := h.g.Do(t, last, "DELETE", target, nil); res.Status != 204 {
				t.Errorf("%s aborts: %d %s", name, res.Status, res.Body)
			}
		}
	}
	// A Deny in the bucket's policy applies to the initiator too.
	h.mustAsAlice(t, "PUT", "/bucket?policy", string(policyOf(`{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*"}`,
		`{"Effect":"Deny","Principal":"*","Action":["s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],"Resource":"arn:aws:s3:::bucket/*"}`)))
	target := "/bucket/began?uploadId=" + h.g.Do(t, narrow, "POST", "/bucket/began?uploads", nil).Element("UploadId")
	for _, method := range []string{"GET", "DELETE"} {
		expect(t, method+" against a denial", h.g.Do(t, narrow, method, target, nil), 403, "AccessDenied")
	}
}
