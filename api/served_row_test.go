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

// rowReads are the calls of the store that read rows of versions.
var rowReads = []faults.Op{"Find", "Object", "Version"}

// counted is a gateway whose calls of the store are counted, with alice's
// bucket. ACLs are in effect there, and a policy tests tags.
func counted(t *testing.T) (g *gatewaytest.Gateway, alice, bob accounts.Credential, plan *faults.Plan) {
	t.Helper()
	plan = faults.NewPlan(1)
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	g, alice, bob = shared(t, gatewaytest.Options{Store: faults.Store(store, plan)})
	expect(t, "ACLs", g.Do(t, alice, "PUT", "/bucket?ownershipControls",
		[]byte("<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>")), 200, "")
	expect(t, "policy", g.Do(t, alice, "PUT", "/bucket?policy",
		policyOf(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"secret"}}}`)), 204, "")
	return g, alice, bob, plan
}

// Deciding about an object and answering about it reads its row once.
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
		"copy": {method: "PUT", target: "/bucket/copy", headers: []string{"x-amz-copy-source", "/bucket/k"},
			rows: 2}, // the row of the new key too, whose tags are replaced
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

// Between any two calls of the store, a public object is replaced by a private
// one, or the other way round. A sender who may not read the private one never
// gets any of it.
func TestRowJudgedIsRowServed(t *testing.T) {
	const private, public = "private bytes", "public"
	for _, by := range []string{"ACL", "tags", "ACL, private last", "tags, private last"} {
		for name, ask := range map[string]func(g *gatewaytest.Gateway, bob accounts.Credential) gatewaytest.Response{
			"GET": func(g *gatewaytest.Gateway, bob accounts.Credential) gatewaytest.Response {
				return g.Do(t, bob, "GET", "/bucket/k", nil)
			},
			"range": func(g *gatewaytest.Gateway, bob accounts.Credential) gatewaytest.Response {
				return g.Do(t, bob, "GET", "/bucket/k", nil, "Range", "bytes=0-", "If-Range", `"x"`)
			},
			"HEAD": func(g *gatewaytest.Gateway, bob accounts.Credential) gatewaytest.Response {
				return g.Do(t, bob, "HEAD", "/bucket/k", nil)
			},
			"attributes": func(g *gatewaytest.Gateway, bob accounts.Credential) gatewaytest.Response {
				return g.Do(t, bob, "GET", "/bucket/k?attributes", nil, "x-amz-object-attributes", "ObjectSize")
			},
			"copy": func(g *gatewaytest.Gateway, bob accounts.Credential) gatewaytest.Response {
				if res := g.Do(t, bob, "PUT", "/bobs/copy", nil, "x-amz-copy-source", "/bucket/k"); res.Status != 200 {
					return res
				}
				return g.Do(t, bob, "GET", "/bobs/copy", nil)
			},
			"part by copy": func(g *gatewaytest.Gateway, bob accounts.Credential) gatewaytest.Response {
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
						if strings.Contains(string(res.Body), private) ||
							res.Header.Get("Content-Length") == fmt.Sprint(len(private)) || res.Element("ObjectSize") == fmt.Sprint(len(private)) {
							t.Errorf("the private object was shown: %d %s", res.Status, res.Body)
						}
					})
				}
			}
		}
	}
}

// A change is decided for the object that is changed.
func TestRowJudgedIsRowChanged(t *testing.T) {
	for name, change := range map[string]func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response{
		"set tags": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k?tagging", []byte("<Tagging><TagSet></TagSet></Tagging>"))
		},
		"remove tags": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k?tagging", nil)
		},
		"set an ACL": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
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

// steady denies everything on objects that are tagged as locked.
const steady = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
	{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"locked"}}}]}`

const lockedTags = "<Tagging><TagSet><Tag><Key>class</Key><Value>locked</Value></Tag></TagSet></Tagging>"

// lateLock is an event between the decision about bucket/k and the act.
type lateLock struct {
	name string
	was  string // the object's tags before; empty: no object
	hide func(t *testing.T, g *gatewaytest.Gateway, alice accounts.Credential)
}

var lateLocks = []lateLock{
	{"another object", "class=free", putLocked},
	{"an object where none was", "", putLocked},
	{"other tags of the same", "class=free", func(t *testing.T, g *gatewaytest.Gateway, alice accounts.Credential) {
		expect(t, "tag", g.Do(t, alice, "PUT", "/bucket/k?tagging", []byte(lockedTags)), 200, "")
	}},
}

func putLocked(t *testing.T, g *gatewaytest.Gateway, alice accounts.Credential) {
	expect(t, "put", g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", "class=locked"), 200, "")
}

// versionings are the versioning states of a bucket.
var versionings = []string{"", "Enabled", "Suspended"}

func setVersioning(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, status string) {
	if status == "" {
		return
	}
	for _, s := range []string{"Enabled", status} {
		expect(t, "versioning", g.Do(t, c, "PUT", "/bucket?versioning", []byte("<VersioningConfiguration><Status>"+s+"</Status></VersioningConfiguration>")), 200, "")
	}
}

// The deleted row is the row decided on, as it was then: singly or with others,
// by key or by version, with a condition or without.
func TestRowJudgedIsRowDeleted(t *testing.T) {
	several := func(g *gatewaytest.Gateway, c accounts.Credential, entry string) gatewaytest.Response {
		document := "<Delete><Object><Key>other</Key></Object><Object><Key>k</Key>" + entry + "</Object></Delete>"
		sum := weakhash.MD5([]byte(document))
		return g.Do(t, c, "POST", "/bucket?delete", []byte(document), "Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	type deletion func(g *gatewaytest.Gateway, c accounts.Credential, id string) gatewaytest.Response
	for name, remove := range map[string]deletion{
		"one": func(g *gatewaytest.Gateway, c accounts.Credential, _ string) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k", nil)
		},
		"on a condition": func(g *gatewaytest.Gateway, c accounts.Credential, _ string) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k", nil, "If-Match", "*")
		},
		"among several": func(g *gatewaytest.Gateway, c accounts.Credential, _ string) gatewaytest.Response {
			return several(g, c, "")
		},
		"a version": func(g *gatewaytest.Gateway, c accounts.Credential, id string) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k?versionId="+id, nil)
		},
		"a version on a condition": func(g *gatewaytest.Gateway, c accounts.Credential, id string) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k?versionId="+id, nil, "If-Match", "*")
		},
		"a version among several": func(g *gatewaytest.Gateway, c accounts.Credential, id string) gatewaytest.Response {
			return several(g, c, "<VersionId>"+id+"</VersionId>")
		},
	} {
		for _, status := range versionings {
			for _, late := range lateLocks {
				version := strings.HasPrefix(name, "a version")
				if version && status == "Enabled" && late.name != "other tags of the same" {
					continue // the named version is not the one that arrives
				}
				if late.was == "" && name == "a version on a condition" {
					continue // the condition fails on a vacant key
				}
				t.Run(name+", "+status+", "+late.name, func(t *testing.T) {
					g, alice, _, plan := counted(t)
					setVersioning(t, g, alice, status)
					_, user := (&household{g: g, alice: alice}).user(t, alice, "user", steady)
					id := "null"
					if late.was != "" {
						res := g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", late.was)
						expect(t, "put", res, 200, "")
						if v := res.Header.Get("X-Amz-Version-Id"); v != "" {
							id = v
						}
					}
					hide := func() {
						plan.Clear()
						late.hide(t, g, alice)
					}
					plan.Add(faults.Rule{Op: "RemoveObjects", N: 1, When: faults.Before, Hook: hide})
					if late.was == "" { // a condition finds no object, so the store is not asked to remove one
						plan.Add(faults.Rule{Op: "Object", N: 2, When: faults.Before, Hook: hide})
					}
					if res := remove(g, user, id); !strings.Contains(string(res.Body), "AccessDenied") {
						t.Errorf("%d %s", res.Status, res.Body)
					}
					if res := g.Do(t, alice, "GET", "/bucket/k?tagging", nil); res.Element("Value") != "locked" {
						t.Errorf("an object that nobody may delete is gone: %d %s", res.Status, res.Body)
					}
				})
			}
		}
	}
}

// The compared row is the row decided on, too. A user who may delete but not
// read learns nothing about another object that arrives in between, singly or
// with others.
func TestRowJudgedIsRowCompared(t *testing.T) {
	const hidden = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
		{"Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"locked"}}}]}`
	for name, remove := range map[string]func(g *gatewaytest.Gateway, c accounts.Credential, etag string) gatewaytest.Response{
		"one": func(g *gatewaytest.Gateway, c accounts.Credential, etag string) gatewaytest.Response {
			return g.Do(t, c, "DELETE", "/bucket/k", nil, "If-Match", etag)
		},
		"among several": func(g *gatewaytest.Gateway, c accounts.Credential, etag string) gatewaytest.Response {
			document := "<Delete><Object><Key>k</Key><ETag>" + etag + "</ETag></Object></Delete>"
			sum := weakhash.MD5([]byte(document))
			return g.Do(t, c, "POST", "/bucket?delete", []byte(document), "Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		},
	} {
		g, alice, _, plan := counted(t)
		_, user := (&household{g: g, alice: alice}).user(t, alice, "user", hidden)
		etag := g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", "class=free").Header.Get("ETag")
		plan.Add(faults.Rule{Op: "RemoveObjects", N: 1, When: faults.Before, Hook: func() {
			plan.Clear()
			putLocked(t, g, alice)
		}})
		if res := remove(g, user, etag); !strings.Contains(string(res.Body), "AccessDenied") {
			t.Errorf("%s: %d %s", name, res.Status, res.Body)
		}
		expect(t, name, g.Do(t, alice, "HEAD", "/bucket/k", nil), 200, "")
	}
}

// The replaced row is the row decided on, as it was then.
func TestRowJudgedIsRowReplaced(t *testing.T) {
	for name, write := range map[string]func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response{
		"put": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k", []byte("new"), "x-amz-tagging", "a=b")
		},
		"put on a condition": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k", []byte("new"), "x-amz-tagging", "a=b", "If-Match", "*")
		},
		"put with an ACL": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k", []byte("new"), "x-amz-acl", "private")
		},
		"copy": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k", nil, "x-amz-copy-source", "/bucket/source", "x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "a=b")
		},
		"copy with its tags": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k", nil, "x-amz-copy-source", "/bucket/source")
		},
		"rename": func(g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
			return g.Do(t, c, "PUT", "/bucket/k?renameObject", nil, "x-amz-rename-source", "/bucket/source")
		},
	} {
		for _, status := range versionings {
			for _, late := range lateLocks {
				if name == "rename" && status != "" || name == "put on a condition" && late.was == "" {
					continue
				}
				t.Run(name+", "+status+", "+late.name, func(t *testing.T) {
					g, alice, _, plan := counted(t)
					setVersioning(t, g, alice, status)
					_, user := (&household{g: g, alice: alice}).user(t, alice, "user", steady)
					expect(t, "source", g.Do(t, alice, "PUT", "/bucket/source", []byte("source"), "x-amz-tagging", "c=d"), 200, "")
					if late.was != "" {
						expect(t, "put", g.Do(t, alice, "PUT", "/bucket/k", []byte("x"), "x-amz-tagging", late.was), 200, "")
					}
					for _, op := range []faults.Op{"CommitObject", "RenameObject"} {
						plan.Add(faults.Rule{Op: op, N: 1, When: faults.Before, Hook: func() {
							plan.Clear()
							late.hide(t, g, alice)
						}})
					}
					if res := write(g, user); !strings.Contains(string(res.Body), "AccessDenied") {
						t.Errorf("%d %s", res.Status, res.Body)
					}
					if res := g.Do(t, alice, "GET", "/bucket/k?tagging", nil); res.Element("Value") != "locked" {
						t.Errorf("an object that nobody may tag again was replaced: %d %s", res.Status, res.Body)
					}
				})
			}
		}
	}
}
