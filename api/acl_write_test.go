package api_test

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta/sqlite"
	"github.com/sanctum-storage/gateway/weakhash"
)

// aclWriter may write to alice's bucket by its ACL alone.
type aclWriter struct {
	g    *gatewaytest.Gateway
	cred accounts.Credential // zero: anonymous
}

func (w aclWriter) do(t *testing.T, method, target, body string, headers ...string) gatewaytest.Response {
	t.Helper()
	if w.cred.AccessKey != "" {
		return w.g.Do(t, w.cred, method, target, []byte(body), headers...)
	}
	r := w.g.Request(t, method, target, []byte(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.g.Send(t, r)
}

func md5Of(s string) string {
	digest := weakhash.MD5([]byte(s))
	return base64.StdEncoding.EncodeToString(digest[:])
}

// writeRoads are all ways to replace the object at /bucket/k. Each returns the
// answer that decides. signed: not possible for anonymous requests.
var writeRoads = []struct {
	name   string
	signed bool
	// unversioned: only in a bucket that never had versions; removes: the
	// object is deleted.
	unversioned, removes bool
	take                 func(t *testing.T, w aclWriter) gatewaytest.Response
}{
	{name: "PutObject", take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		return w.do(t, "PUT", "/bucket/k", "theirs")
	}},
	{name: "PutObject of a promise kept", take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		return w.do(t, "PUT", "/bucket/k", "theirs", "If-Match", "*")
	}},
	{name: "PostObject", take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		u := good(w.g, []byte("theirs"), "key", "k")
		u.cred, u.bucket, u.unsigned = w.cred, "bucket", w.cred.AccessKey == ""
		return u.post(t, w.g, "/bucket")
	}},
	{name: "CopyObject", signed: true, take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		return w.do(t, "PUT", "/bucket/k", "", "x-amz-copy-source", "/bucket/source")
	}},
	{name: "CreateMultipartUpload", signed: true, take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		res := w.do(t, "POST", "/bucket/k?uploads", "")
		if res.Status != 200 {
			return res
		}
		id := res.Element("UploadId")
		tag := w.do(t, "PUT", "/bucket/k?partNumber=1&uploadId="+id, "theirs").Header.Get("ETag")
		return w.do(t, "POST", "/bucket/k?uploadId="+id, string(completeDocument(part(1, tag))))
	}},
	{name: "RenameObject", signed: true, unversioned: true, take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		if res := w.do(t, "PUT", "/bucket/mine", "theirs"); res.Status != 200 {
			t.Fatalf("an own object: %d %s", res.Status, res.Body)
		}
		return w.do(t, "PUT", "/bucket/k?renameObject", "", "x-amz-rename-source", "/bucket/mine")
	}},
	{name: "RenameObject away", signed: true, unversioned: true, removes: true, take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		return w.do(t, "PUT", "/bucket/away?renameObject", "", "x-amz-rename-source", "/bucket/k")
	}},
	{name: "DeleteObject", removes: true, take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		return w.do(t, "DELETE", "/bucket/k", "")
	}},
	{name: "DeleteObjects", removes: true, take: func(t *testing.T, w aclWriter) gatewaytest.Response {
		body := "<Delete><Object><Key>k</Key></Object></Delete>"
		res := w.do(t, "POST", "/bucket?delete", body, "Content-Md5", md5Of(body))
		if code := res.Element("Code"); res.Status == 200 && code != "" {
			res.Status = 403
		}
		return res
	}},
}

// TestWriteByACL tries every way to replace an object with WRITE of the
// bucket's ACL alone, under every versioning and by every kind of sender.
// Another owner's object cannot be replaced; one's own object and a vacant key
// can.
func TestWriteByACL(t *testing.T) {
	cases := 0
	for _, versioning := range []string{"", "Enabled", "Suspended"} {
		for _, who := range []string{"a tenant", "all users", "anonymous"} {
			for _, road := range writeRoads {
				if road.signed && who == "anonymous" || road.unversioned && versioning != "" {
					continue
				}
				cases++
				t.Run(fmt.Sprintf("%s by %s, versioning %q", road.name, who, versioning), func(t *testing.T) {
					g, alice, bob := shared(t, gatewaytest.Options{})
					must := func(c accounts.Credential, method, target, body string, headers ...string) gatewaytest.Response {
						t.Helper()
						res := g.Do(t, c, method, target, []byte(body), headers...)
						if res.Status/100 != 2 {
							t.Fatalf("%s %s: %d %s", method, target, res.Status, res.Body)
						}
						return res
					}
					must(alice, "PUT", "/bucket?ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>")
					grantee := `uri="http://acs.amazonaws.com/groups/global/AllUsers"`
					if who == "a tenant" {
						grantee = "id=" + bob.Tenant.ID.Canonical()
					}
					must(alice, "PUT", "/bucket?acl", "", "x-amz-grant-write", grantee)
					must(alice, "PUT", "/bucket/source", "theirs", "x-amz-acl", "public-read")
					w := aclWriter{g: g, cred: bob}
					if who == "anonymous" {
						w.cred = accounts.Credential{}
					}

					// Over the bucket owner's object.
					must(alice, "PUT", "/bucket/k", "hers")
					if versioning != "" {
						must(alice, "PUT", "/bucket?versioning", "<VersioningConfiguration><Status>"+versioning+"</Status></VersioningConfiguration>")
					}
					expect(t, "over another's", road.take(t, w), 403, "AccessDenied")
					if got := must(alice, "GET", "/bucket/k", "").Body; string(got) != "hers" {
						t.Errorf("it holds %q", got)
					}
					// Nor over a null version that is not current.
					if versioning == "Suspended" && !road.removes && !strings.Contains(road.name, "promise") {
						must(alice, "PUT", "/bucket?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
						must(alice, "DELETE", "/bucket/k", "")
						must(alice, "PUT", "/bucket?versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")
						expect(t, "over another's null version", road.take(t, w), 403, "AccessDenied")
						if got := must(alice, "GET", "/bucket/k?versionId=null", "").Body; string(got) != "hers" {
							t.Errorf("the null version holds %q", got)
						}
						must(alice, "DELETE", "/bucket/k?versionId=null", "")
					} else {
						must(alice, "DELETE", "/bucket/k", "")
					}
					if !road.removes && !strings.Contains(road.name, "promise") {
						if res := road.take(t, w); res.Status/100 != 2 {
							t.Errorf("where nothing is: %d %s", res.Status, res.Body)
						}
					}
					if who == "anonymous" {
						expect(t, "what was made anonymously is the bucket owner's", w.do(t, "DELETE", "/bucket/k", ""), 403, "AccessDenied")
						return
					}
					if versioning == "" || road.removes || strings.Contains(road.name, "promise") {
						must(bob, "PUT", "/bucket/k", "his")
					}
					if res := road.take(t, w); res.Status/100 != 2 {
						t.Errorf("over one's own: %d %s", res.Status, res.Body)
					}
				})
			}
		}
	}
	if cases < 40 {
		t.Errorf("only %d cases", cases)
	}
}

// TestWriteByACLTooLate puts another owner's object under the key just before
// the commit of each request. The earlier check does not count any more.
func TestWriteByACLTooLate(t *testing.T) {
	for _, road := range writeRoads {
		t.Run(road.name, func(t *testing.T) {
			plan := faults.NewPlan(1)
			store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			g, alice, bob := shared(t, gatewaytest.Options{Store: faults.Store(store, plan)})
			g.Do(t, alice, "PUT", "/bucket?ownershipControls",
				[]byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"))
			g.Do(t, alice, "PUT", "/bucket?acl", nil, "x-amz-grant-write", "id="+bob.Tenant.ID.Canonical())
			g.Do(t, alice, "PUT", "/bucket/source", []byte("theirs"), "x-amz-acl", "public-read")
			for _, key := range []string{"k", "mine"} {
				expect(t, "his", g.Do(t, bob, "PUT", "/bucket/"+key, []byte("his")), 200, "")
			}
			n := 1
			if road.name == "RenameObject" {
				n = 2 // the first PUT is that of the source
			}
			fired := false
			for _, op := range []faults.Op{"CommitObject", "CompleteUpload", "RenameObject", "RemoveObjects"} {
				at := 1
				if op == "CommitObject" {
					at = n
				}
				plan.Add(faults.Rule{Op: op, N: at, Hook: func() {
					plan.Clear()
					fired = true
					expect(t, "alice is faster", g.Do(t, alice, "PUT", "/bucket/k", []byte("hers")), 200, "")
				}})
			}
			expect(t, "too late", road.take(t, aclWriter{g: g, cred: bob}), 403, "AccessDenied")
			if !fired {
				t.Error("nothing was committed")
			}
			if got := g.Do(t, alice, "GET", "/bucket/k", nil).Body; string(got) != "hers" {
				t.Errorf("it holds %q", got)
			}
		})
	}
}

// TestUploadsByACL: an upload that was started on a vacant key by WRITE of the
// bucket's ACL does not replace an object that was put there since.
func TestUploadsByACL(t *testing.T) {
	g, alice, bob := shared(t, gatewaytest.Options{})
	g.Do(t, alice, "PUT", "/bucket?ownershipControls",
		[]byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"))
	expect(t, "grant", g.Do(t, alice, "PUT", "/bucket?acl", nil, "x-amz-grant-write", "id="+bob.Tenant.ID.Canonical()), 200, "")
	id := g.Do(t, bob, "POST", "/bucket/k?uploads", nil).Element("UploadId")
	tag := g.Do(t, bob, "PUT", "/bucket/k?partNumber=1&uploadId="+id, []byte("his")).Header.Get("ETag")
	expect(t, "alice's", g.Do(t, alice, "PUT", "/bucket/k", []byte("hers")), 200, "")
	expect(t, "complete", g.Do(t, bob, "POST", "/bucket/k?uploadId="+id, completeDocument(part(1, tag))), 403, "AccessDenied")
	expect(t, "another part", g.Do(t, bob, "PUT", "/bucket/k?partNumber=2&uploadId="+id, []byte("his")), 403, "AccessDenied")
	if got := g.Do(t, alice, "GET", "/bucket/k", nil).Body; string(got) != "hers" {
		t.Errorf("it holds %q", got)
	}
}

// TestPolicyBesideACL: an ACL takes nothing away from a sender whom a policy
// allows to write.
func TestPolicyBesideACL(t *testing.T) {
	for name, policy := range map[string]string{
		"a named account": `{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":["s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::bucket/*"}`,
		"everybody":       `{"Effect":"Allow","Principal":"*","Action":["s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::bucket/*"}`,
	} {
		g, alice, bob := shared(t, gatewaytest.Options{})
		g.Do(t, alice, "PUT", "/bucket?ownershipControls",
			[]byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"))
		expect(t, "grant", g.Do(t, alice, "PUT", "/bucket?acl", nil, "x-amz-grant-write", "id="+bob.Tenant.ID.Canonical()), 200, "")
		if strings.Contains(policy, "%s") {
			policy = fmt.Sprintf(policy, accounts.Account(bob.Tenant.ID))
		}
		expect(t, "policy", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(policy)), 204, "")
		expect(t, name+" overwrites", g.Do(t, bob, "PUT", "/bucket/open", []byte("his")), 200, "")
	}
}
