package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// edit replaces the rows of settings by data that was never sealed.
func edit(t *testing.T, g *gatewaytest.Gateway, bucket string, names ...string) {
	t.Helper()
	for _, name := range names {
		g.EditSetting(t, bucket, name, []byte("edited by hand"))
	}
}

const (
	corsDoc       = `<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://example.com</AllowedOrigin></CORSRule></CORSConfiguration>`
	writerDoc     = `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`
	enforcedDoc   = `<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>`
	denyCORS      = `{"Effect":"Deny","Principal":"*","Action":"s3:PutBucketCORS","Resource":"arn:aws:s3:::bucket"}`
	allowEveryone = `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}`
)

// A setting that cannot be opened closes the bucket to every request, except to
// its replacement by the owner's root or the operator.
func TestRepairSettings(t *testing.T) {
	for _, c := range []struct {
		broken string
		repair []string // method, target, body, headers
		not    [][]string
	}{
		{"policy", []string{"PUT", "/bucket?policy", string(policyOf(readOpen))}, [][]string{{"GET", "/bucket?policy"}, {"PUT", "/bucket?cors", corsDoc}}},
		{"policy", []string{"DELETE", "/bucket?policy"}, [][]string{{"GET", "/bucket?policyStatus"}, {"DELETE", "/bucket"}}},
		{"cors", []string{"PUT", "/bucket?cors", corsDoc}, [][]string{{"PUT", "/bucket?policy", string(policyOf(readOpen))}, {"GET", "/bucket?cors"}}},
		{"cors", []string{"DELETE", "/bucket?cors"}, nil},
		{"acl", []string{"PUT", "/bucket?acl", "", "x-amz-acl", "private"},
			[][]string{{"GET", "/bucket?acl"}, {"PUT", "/bucket?acl", "", "x-amz-acl", "public-read"}}},
		{"ownership", []string{"PUT", "/bucket?ownershipControls", enforcedDoc},
			[][]string{{"DELETE", "/bucket?ownershipControls"}, {"GET", "/bucket?ownershipControls"}}},
		{"public-access-block", []string{"PUT", "/bucket?publicAccessBlock", string(block("1111"))},
			[][]string{{"DELETE", "/bucket?publicAccessBlock"}, {"PUT", "/bucket?policy", string(policyOf(readOpen))}}},
		{"tags", []string{"DELETE", "/bucket?tagging"}, nil},
		{"website", []string{"DELETE", "/bucket?website"}, nil},
		{"lifecycle", []string{"DELETE", "/bucket?lifecycle"}, nil},
		{"encryption", []string{"DELETE", "/bucket?encryption"}, nil},
		{"logging", []string{"PUT", "/bucket?logging", `<BucketLoggingStatus/>`}, nil},
		{"inventory/a", []string{"DELETE", "/bucket?inventory&id=a"}, [][]string{{"DELETE", "/bucket?inventory&id=b"}}},
	} {
		t.Run(c.broken+" "+c.repair[0], func(t *testing.T) {
			g, alice, bob := shared(t, gatewaytest.Options{})
			do := func(who accounts.Credential, call []string) gatewaytest.Response {
				call = append(slices.Clone(call), "")[:max(3, len(call))]
				return g.Do(t, who, call[0], call[1], []byte(call[2]), call[3:]...)
			}
			for _, operator := range []bool{false, true} {
				who := alice
				if operator {
					who = g.Root
				}
				edit(t, g, "bucket", c.broken)
				for _, call := range append(c.not, []string{"GET", "/bucket/open"}, []string{"GET", "/bucket"}, []string{"PUT", "/bucket/new", "x"}) {
					if res := do(who, call); res.Status < 400 {
						t.Errorf("%v: %d %s", call, res.Status, res.Body)
					}
				}
				if res := do(bob, c.repair); res.Status != 403 {
					t.Errorf("another tenant: %d %s", res.Status, res.Body)
				}
				if res := anonymously(t, g, c.repair[0], c.repair[1], nil); res.Status != 403 {
					t.Errorf("unsigned: %d %s", res.Status, res.Body)
				}
				if r, err := fsck.Run(t.Context(), g.Engine, fsck.Options{}); err != nil || len(r.Findings) != 1 ||
					r.Findings[0].Kind != "setting-unreadable" || !strings.Contains(r.Findings[0].Detail, c.broken) {
					t.Errorf("fsck: %+v, %v", r.Findings, err)
				}
				if res := do(who, c.repair); res.Status >= 300 {
					t.Fatalf("mend: %d %s", res.Status, res.Body)
				}
				expect(t, "open again", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")
				expect(t, "as ever", g.Do(t, bob, "GET", "/bucket/closed", nil), 403, "AccessDenied")
			}
			if r, err := fsck.Run(t.Context(), g.Engine, fsck.Options{}); err != nil || !r.Clean() {
				t.Errorf("fsck: %+v, %v", r.Findings, err)
			}
		})
	}
}

// Limits belong to the operator, and are replaced by the operator's own
// interface.
func TestMendLimits(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	edit(t, g, "bucket", "limits")
	for _, who := range []accounts.Credential{alice, g.Root} {
		for _, call := range []string{"/bucket/open", "/bucket?policy"} {
			if res := g.Do(t, who, "GET", call, nil); res.Status < 400 {
				t.Errorf("%s: %d", call, res.Status)
			}
		}
	}
	b, err := g.Engine.Buckets().Get(t.Context(), "bucket")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Engine.Buckets().SetLimits(t.Context(), b, meta.Limits{Versions: 100}); err != nil {
		t.Fatal(err)
	}
	expect(t, "open again", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")
}

// An unreadable policy is replaced first; a readable one applies.
func TestMendUnderPolicy(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	cors := func() gatewaytest.Response { return g.Do(t, alice, "PUT", "/bucket?cors", []byte(corsDoc)) }
	expect(t, "policy", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(allowEveryone, denyCORS)), 204, "")
	edit(t, g, "bucket", "cors")
	expect(t, "what the policy denies", cors(), 403, "AccessDenied")
	edit(t, g, "bucket", "policy")
	expect(t, "what the policy may deny", cors(), 403, "AccessDenied")
	expect(t, "the policy", g.Do(t, alice, "DELETE", "/bucket?policy", nil), 204, "")
	expect(t, "still closed", g.Do(t, alice, "GET", "/bucket/open", nil), 403, "AccessDenied")
	expect(t, "then the rest", cors(), 200, "")
	expect(t, "open", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")

	// All settings that decide access are unreadable at once.
	edit(t, g, "bucket", "policy", "acl", "ownership", "public-access-block")
	expect(t, "a policy without the block", g.Do(t, alice, "PUT", "/bucket?policy", policyOf(readOpen)), 500, "InternalError")
	expect(t, "delete the policy", g.Do(t, alice, "DELETE", "/bucket?policy", nil), 204, "")
	expect(t, "the block", g.Do(t, alice, "PUT", "/bucket?publicAccessBlock", block("1111")), 200, "")
	expect(t, "the ownership", g.Do(t, alice, "PUT", "/bucket?ownershipControls", []byte(writerDoc)), 200, "")
	expect(t, "the acl", g.Do(t, alice, "PUT", "/bucket?acl", nil, "x-amz-acl", "private"), 200, "")
	expect(t, "open again", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")
}

// An unreadable default retention can be replaced by another one, but not
// removed. The locks of versions stay.
func TestMendObjectLock(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	lock := func(rule string) gatewaytest.Response {
		return g.Do(t, alice, "PUT", "/locked?object-lock",
			[]byte(`<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>`+rule+`</ObjectLockConfiguration>`))
	}
	const year = `<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>1</Years></DefaultRetention></Rule>`
	expect(t, "bucket", g.Do(t, alice, "PUT", "/locked", nil, "x-amz-bucket-object-lock-enabled", "true"), 200, "")
	expect(t, "default", lock(year), 200, "")
	put := g.Do(t, alice, "PUT", "/locked/k", []byte("x"), "x-amz-checksum-crc32", sum("CRC32", []byte("x")))
	expect(t, "put", put, 200, "")
	edit(t, g, "locked", "object-lock")
	expect(t, "a version that might have to be locked", g.Do(t, alice, "PUT", "/locked/l", []byte("x")), 403, "AccessDenied")
	expect(t, "none", lock(""), 400, "InvalidRequest")
	expect(t, "another", lock(year), 200, "")
	gone := g.Do(t, alice, "DELETE", "/locked/k?versionId="+put.Header.Get("X-Amz-Version-Id"), nil, "x-amz-bypass-governance-retention", "true")
	expect(t, "the version", gone, 403, "AccessDenied")
	if res := g.Do(t, alice, "HEAD", "/locked/k", nil); res.Header.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" {
		t.Errorf("%d %v", res.Status, res.Header)
	}
}
