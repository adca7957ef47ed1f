package api_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// rowReads are the calls of the store that read versions' rows.
var rowReads = []faults.Op{"Find", "Object", "Version"}

// counted is a gateway whose calls of the store are counted, with alice's bucket: ACLs
// count in it, and a policy asks for tags.
func counted(t *testing.T) (g *gatewaytest.Gateway, alice, bob engine.Credential, plan *faults.Plan) {
	t.Helper()
	plan = faults.NewPlan(1)
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	g, alice, bob = shared(t, gatewaytest.Options{Store: faults.Store(store, plan)})
	expect(t, "ACLs", g.Do(t, alice, "PUT", "/bucket?ownershipControls", []byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>")), 200, "")
	expect(t, "policy", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"secret"}}}`)), 204, "")
	return g, alice, bob, plan
}

// Deciding about an object and answering about it read its row once.
func TestRowsAreReadOnce(t *testing.T) {
	g, alice, _, plan := counted(t)
	expect(t, "put", g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", "a=b"), 200, "")
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
		rows                 int // 0: 1
	}{
		"GET":           {method: "GET", target: "/bucket/k"},
		"HEAD":          {method: "HEAD", target: "/bucket/k"},
		"attributes":    {method: "GET", target: "/bucket/k?attributes", headers: []string{"x-amz-object-attributes", "ETag"}},
		"ACL":           {method: "GET", target: "/bucket/k?acl"},
		"tags":          {method: "GET", target: "/bucket/k?tagging"},
		"to set tags":   {method: "PUT", target: "/bucket/k?tagging", body: "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"},
		"to set an ACL": {method: "PUT", target: "/bucket/k?acl", headers: []string{"x-amz-acl", "private"}},
		"copy":          {method: "PUT", target: "/bucket/copy", headers: []string{"x-amz-copy-source", "/bucket/k"}, rows: 2}, // and what the new key holds, whose tags are replaced
	} {
		count := func() (n int) {
			for _, op := range rowReads {
				n += plan.Calls(op)
			}
			return n
		}
		before := count()
		if res := g.Do(t, alice, c.method, c.target, []byte(c.body), c.headers...); res.Status != 200 {
			t.Fatalf("%s: %d %s", name, res.Status, res.Body)
		}
		if n := count() - before; n != max(c.rows, 1) {
			t.Errorf("%s: %d reads of rows", name, n)
		}
	}
}

// An object that everybody may read takes the place of a private one, or the other way
// round, between any two calls of the store: whoever may not read the private one never
// gets anything of it.
func TestRowJudgedIsRowServed(t *testing.T) {
	const private, public = "private bytes", "public"
	for _, by := range []string{"ACL", "tags", "ACL, private last", "tags, private last"} {
		for name, ask := range map[string]func(g *gatewaytest.Gateway, bob engine.Credential) gatewaytest.Response{
			"GET": func(g *gatewaytest.Gateway, bob engine.Credential) gatewaytest.Response {
				return g.Do(t, bob, "GET", "/bucket/k", nil)
			},
			"range": func(g *gatewaytest.Gateway, bob engine.Credential) gatewaytest.Response {
				return g.Do(t, bob, "GET", "/bucket/k", nil, "Range", "bytes=0-", "If-Range", `"x"`)
			},
			"HEAD": func(g *gatewaytest.Gateway, bob engine.Credential) gatewaytest.Response {
				return g.Do(t, bob, "HEAD", "/bucket/k", nil)
			},
			"attributes": func(g *gatewaytest.Gateway, bob engine.Credential) gatewaytest.Response {
				return g.Do(t, bob, "GET", "/bucket/k?attributes", nil, "x-amz-object-attributes", "ObjectSize")
			},
			"copy": func(g *gatewaytest.Gateway, bob engine.Credential) gatewaytest.Response {
				if res := g.Do(t, bob, "PUT", "/bobs/copy", nil, "x-amz-copy-source", "/bucket/k"); res.Status != 200 {
					return res
				}
				return g.Do(t, bob, "GET", "/bobs/copy", nil)
			},
			"part by copy": func(g *gatewaytest.Gateway, bob engine.Credential) gatewaytest.Response {
				id := g.Do(t, bob, "POST", "/bobs/up?uploads", nil).Element("UploadId")
				res := g.Do(t, bob, "PUT", "/bobs/up?partNumber=1&uploadId="+id, nil, "x-amz-copy-source", "/bucket/k")
				if res.Status != 200 {
					return res
				}
				g.Do(t, bob, "POST", "/bobs/up?uploadId="+id, completeDocument(part(1, strings.ReplaceAll(res.Element("ETag"), "&#34;", ""))))
				return g.Do(t, bob, "GET", "/bobs/up", nil)
			},
		} {
			for _, op := range rowReads {
				for n := 1; n <= 2; n++ {
					t.Run(fmt.Sprintf("%s by %s, after %s %d", name, by, op, n), func(t *testing.T) {
						g, alice, bob, plan := counted(t)
						put := func(body, tags, acl string) {
							expect(t, "put", g.Do(t, alice, "PUT", "/bucket/k", []byte(body), "x-amz-tagging", tags, "x-amz-acl", acl), 200, "")
						}
						hide, show := func() { put(private, "a=b", "private") }, func() { put(public, "a=b", "public-read") }
						if strings.HasPrefix(by, "tags") {
							hide = func() { put(private, "class=secret", "public-read") }
						}
						first, second := hide, show
						if strings.HasSuffix(by, "last") {
							first, second = show, hide
						}
						first()
						expect(t, "bob's", g.Do(t, bob, "PUT", "/bobs", nil), 200, "")
						plan.Add(faults.Rule{Op: op, N: n, When: faults.After, Hook: func() {
							plan.Clear()
							second()
						}})
						res := ask(g, bob)
						if strings.Contains(string(res.Body), private) || res.Header.Get("Content-Length") == fmt.Sprint(len(private)) || res.Element("ObjectSize") == fmt.Sprint(len(private)) {
							t.Errorf("the private object was shown: %d %s", res.Status, res.Body)
						}
					})
				}
			}
		}
	}
}

// A change is decided about the object that is changed.
func TestRowJudgedIsRowChanged(t *testing.T) {
	for name, change := range map[string]func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response{
		"set tags": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k?tagging", []byte("<Tagging><TagSet></TagSet></Tagging>"))
		},
		"remove tags": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k?tagging", nil)
		},
		"set an ACL": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k?acl", nil, "x-amz-acl", "public-read")
		},
	} {
		g, alice, _, plan := counted(t)
		h := &household{g: g, alice: alice}
		_, user := h.user(t, alice, "user", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
			{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"locked"}}}]}`)
		put := func(tags string) {
			expect(t, "put", g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", tags), 200, "")
		}
		put("class=free")
		plan.Add(faults.Rule{Op: "AmendVersion", N: 1, When: faults.Before, Hook: func() {
			plan.Clear()
			put("class=locked")
		}})
		expect(t, name, change(g, user), 403, "AccessDenied")
		if res := g.Do(t, alice, "GET", "/bucket/k?tagging", nil); res.Element("Value") != "locked" {
			t.Errorf("%s: the other object was changed: %s", name, res.Body)
		}
	}
}

// The object that is deleted is the one that was decided about, by itself or with others, in a bucket that
// keeps versions and in one that does not.
func TestRowJudgedIsRowDeleted(t *testing.T) {
	digest := func(document string) []string {
		sum := md5.Sum([]byte(document))
		return []string{"Content-Md5", base64.StdEncoding.EncodeToString(sum[:])}
	}
	several := "<Delete><Object><Key>other</Key></Object><Object><Key>k</Key></Object></Delete>"
	null := "<Delete><Object><Key>k</Key><VersionId>null</VersionId></Object></Delete>"
	for name, remove := range map[string]func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response{
		"one": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k", nil)
		},
		"the null version": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k?versionId=null", nil)
		},
		"on a condition": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k", nil, "If-Match", "*")
		},
		"several": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "POST", "/bucket?delete", []byte(several), digest(several)...)
		},
		"the null version among several": func(g *gatewaytest.Gateway, c engine.Credential) gatewaytest.Response {
			return g.Do(t, c, "POST", "/bucket?delete", []byte(null), digest(null)...)
		},
	} {
		for _, was := range []string{"class=free", ""} {
			for _, versions := range []bool{false, true} {
				if versions && (was == "" || strings.HasPrefix(name, "the null")) {
					continue // nothing that may be another is removed
				}
				g, alice, _, plan := counted(t)
				if versions {
					expect(t, "versions", g.Do(t, alice, "PUT", "/bucket?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")), 200, "")
				}
				h := &household{g: g, alice: alice}
				_, user := h.user(t, alice, "user", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
					{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"locked"}}}]}`)
				put := func(tags string) {
					expect(t, "put", g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", tags), 200, "")
				}
				hide := func() {
					plan.Clear()
					put("class=locked")
				}
				plan.Add(faults.Rule{Op: "RemoveObjects", N: 1, When: faults.Before, Hook: hide})
				if was == "" { // where nothing is there nothing is removed, but looked for once more
					plan.Add(faults.Rule{Op: "Object", N: 2, When: faults.Before, Hook: hide})
				} else {
					put(was)
				}
				if res := remove(g, user); was != "" && !strings.Contains(string(res.Body), "AccessDenied") {
					t.Errorf("%s: %d %s", name, res.Status, res.Body)
				}
				if res := g.Do(t, alice, "GET", "/bucket/k?tagging", nil); res.Element("Value") != "locked" {
					t.Errorf("%s, of %q, versions %v: the other object is gone: %d %s", name, was, versions, res.Status, res.Body)
				}
				expect(t, name+", again", g.Do(t, alice, "DELETE", "/bucket/k", nil), 204, "")
			}
		}
	}
}
