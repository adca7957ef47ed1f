//go:build linux

package clustertest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/blobs"
	"github.com/sanctum-storage/gateway/fsck"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/lifecycle"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

const bypass = "X-Amz-Bypass-Governance-Retention"

// vault is a bucket of versions that COMPLIANCE retentions keep.
type vault struct {
	*pair
	alice  accounts.Credential // whose bucket it is
	upload string              // that became "completed"
	locked []kept
}

// kept is a locked version with its bytes.
type kept struct {
	key, version string
	data         []byte
}

// digested are the headers of a request that has to prove its body.
func digested(body []byte, headers ...string) []string {
	sum := weakhash.MD5(body)
	return append(headers, "Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
}

func (v *vault) do(g *gatewaytest.Gateway, status int, method, target string, body []byte, headers ...string) gatewaytest.Response {
	v.t.Helper()
	res := g.Do(v.t, v.alice, method, target, body, headers...)
	if res.Status != status {
		v.t.Fatalf("%s %s: %d %s, want %d", method, target, res.Status, res.Body, status)
	}
	return res
}

func newVault(t *testing.T, onPostgres bool) *vault {
	t.Helper()
	v := &vault{pair: newPair(t, onPostgres)}
	v.alice = v.a.User(t, "alice")
	v.do(v.a, 200, "PUT", "/vault", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
	until := v.now().Add(30 * 24 * time.Hour).Format(time.RFC3339)
	lock := []string{"X-Amz-Object-Lock-Mode", "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date", until}
	keep := func(key string, data []byte, res gatewaytest.Response) {
		v.locked = append(v.locked, kept{key, res.Header.Get("X-Amz-Version-Id"), data})
	}
	put := func(key, text string, headers ...string) gatewaytest.Response {
		t.Helper()
		return v.do(v.a, 200, "PUT", "/vault/"+key, []byte(text), digested([]byte(text), headers...)...)
	}
	keep("current", []byte("one"), put("current", "one", lock...))
	keep("current", bytes.Repeat([]byte("two"), 30_000), put("current", strings.Repeat("two", 30_000), lock...))
	keep("noncurrent", []byte("three"), put("noncurrent", "three", lock...))
	put("noncurrent", "free")
	keep("hidden", []byte("four"), put("hidden", "four", lock...))
	v.do(v.a, 204, "DELETE", "/vault/hidden", nil)
	keep("retained", []byte("five"), put("retained", "five"))
	document := fmt.Appendf(nil, "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>", until)
	v.do(v.a, 200, "PUT", "/vault/retained?retention", document, digested(document)...)
	v.upload = v.do(v.a, 200, "POST", "/vault/completed?uploads", nil, lock...).Element("UploadId")
	tag := v.do(v.a, 200, "PUT", "/vault/completed?partNumber=1&uploadId="+v.upload, []byte("six"), digested([]byte("six"))...).Header.Get("Etag")
	keep("completed", []byte("six"), v.do(v.a, 200, "POST", "/vault/completed?uploadId="+v.upload, v.completion(tag)))
	return v
}

func (v *vault) completion(tag string) []byte {
	return fmt.Appendf(nil, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", tag)
}

// wantAll reads every locked version on both gateways.
func (v *vault) wantAll() {
	v.t.Helper()
	for _, g := range []*gatewaytest.Gateway{v.a, v.b} {
		for _, k := range v.locked {
			target := "/vault/" + k.key + "?versionId=" + k.version
			if res := g.Do(v.t, v.alice, "GET", target, nil); res.Status != 200 || !bytes.Equal(res.Body, k.data) {
				v.t.Errorf("%s: %d with %d bytes", target, res.Status, len(res.Body))
			}
			if mode := g.Do(v.t, v.alice, "GET", "/vault/"+k.key+"?retention&versionId="+k.version, nil).Element("Mode"); mode != "COMPLIANCE" {
				v.t.Errorf("%s: retention %q", target, mode)
			}
		}
	}
}

// each makes a request for every locked version, by its owner and by the operator,
// and demands the answer.
func (v *vault) each(status int, code, method, query string, body func(kept) []byte, headers ...string) {
	v.t.Helper()
	for _, k := range v.locked {
		for _, who := range []accounts.Credential{v.alice, v.b.Root} {
			var data []byte
			if body != nil {
				data = body(k)
			}
			target := "/vault/" + k.key + strings.ReplaceAll(query, "VERSION", k.version)
			res := v.b.Do(v.t, who, method, target, data, digested(data, headers...)...)
			if res.Status != status || res.Code() != code {
				v.t.Errorf("%s %s %v: %d %s, want %d %s", method, target, headers, res.Status, res.Body, status, code)
			}
		}
	}
}

// attempts are all ways in which data leave a bucket.
var attempts = []struct {
	name string
	try  func(*vault)
}{
	{"delete the version", func(v *vault) { v.each(403, "AccessDenied", "DELETE", "?versionId=VERSION", nil) }},
	{"delete with bypass", func(v *vault) { v.each(403, "AccessDenied", "DELETE", "?versionId=VERSION", nil, bypass, "true") }},
	{"delete the key", func(v *vault) { v.each(204, "", "DELETE", "", nil, bypass, "true") }},
	{"overwrite", func(v *vault) { v.each(200, "", "PUT", "", func(kept) []byte { return []byte("newer") }) }},
	{"delete several", func(v *vault) { v.deleteSeveral() }},
	{"delete several with bypass", func(v *vault) { v.deleteSeveral(bypass, "true") }},
	{"copy onto itself", func(v *vault) {
		v.each(200, "", "PUT", "", nil, "X-Amz-Copy-Source", "vault/current?versionId="+v.locked[0].version)
	}},
	{"shorten", func(v *vault) { v.retain("COMPLIANCE", v.now().Add(time.Hour)) }},
	{"weaken", func(v *vault) { v.retain("GOVERNANCE", v.now().Add(1000*24*time.Hour)) }},
	{"lift the retention", func(v *vault) {
		v.each(403, "AccessDenied", "PUT", "?retention&versionId=VERSION", func(kept) []byte { return []byte("<Retention/>") }, bypass, "true")
	}},
	{"lift a hold that is not there", func(v *vault) {
		v.each(200, "", "PUT", "?legal-hold&versionId=VERSION", func(kept) []byte { return []byte("<LegalHold><Status>OFF</Status></LegalHold>") })
	}},
	{"suspend versioning", func(v *vault) {
		doc := []byte("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")
		v.do(v.b, 409, "PUT", "/vault?versioning", doc, digested(doc)...)
	}},
	{"no default retention", func(v *vault) {
		doc := []byte("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>")
		v.do(v.b, 200, "PUT", "/vault?object-lock", doc, digested(doc)...)
	}},
	{"delete the bucket", func(v *vault) { v.do(v.b, 409, "DELETE", "/vault", nil, bypass, "true") }},
	{"abort another upload", func(v *vault) {
		id := v.do(v.b, 200, "POST", "/vault/completed?uploads", nil).Element("UploadId")
		v.do(v.b, 200, "PUT", "/vault/completed?partNumber=1&uploadId="+id, []byte("seven"), digested([]byte("seven"))...)
		v.do(v.b, 204, "DELETE", "/vault/completed?uploadId="+id, nil)
	}},
	{"abort what was completed", func(v *vault) { v.do(v.b, 404, "DELETE", "/vault/completed?uploadId="+v.upload, nil) }},
	{"remove the tenant", func(v *vault) {
		if err := v.b.Engine.Accounts().DeleteTenant(v.t.Context(), "alice"); !errors.Is(err, s3err.DeleteConflict) {
			v.t.Errorf("%v, want DeleteConflict", err)
		}
	}},
	{"expire", func(v *vault) { v.expire() }},
	{"drain", func(v *vault) { v.drain(first, second) }},
	{"collect", func(v *vault) { v.collect() }},
}

func (v *vault) deleteSeveral(headers ...string) {
	v.t.Helper()
	var b strings.Builder
	for _, k := range v.locked {
		fmt.Fprintf(&b, "<Object><Key>%s</Key><VersionId>%s</VersionId></Object>", k.key, k.version)
	}
	body := []byte("<Delete>" + b.String() + "</Delete>")
	for _, who := range []accounts.Credential{v.alice, v.b.Root} {
		res := v.b.Do(v.t, who, "POST", "/vault?delete", body, digested(body, headers...)...)
		if n := strings.Count(string(res.Body), "<Code>AccessDenied</Code>"); res.Status != 200 || n != len(v.locked) {
			v.t.Errorf("%d refusals of %d: %d %s", n, len(v.locked), res.Status, res.Body)
		}
	}
}

func (v *vault) retain(mode string, until time.Time) {
	v.t.Helper()
	v.each(403, "AccessDenied", "PUT", "?retention&versionId=VERSION", func(kept) []byte {
		return fmt.Appendf(nil, "<Retention><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>", mode, until.Format(time.RFC3339))
	}, bypass, "true")
}

// expire lets a rule take whatever it may, days later.
func (v *vault) expire() {
	v.t.Helper()
	doc := []byte(`<LifecycleConfiguration><Rule><ID>all</ID><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration>` +
		`<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>`)
	v.do(v.b, 200, "PUT", "/vault?lifecycle", doc, digested(doc)...)
	var sum lifecycle.Report
	for range 5 { // what is current becomes noncurrent first
		v.advance(3 * 24 * time.Hour)
		for more := true; more; {
			r, err := v.a.Lifecycles.Step(v.t.Context())
			must(v.t, err)
			sum.Add(r)
			more = r.More
		}
	}
	if sum.Locked == 0 || sum.Removed == 0 || sum.Failed > 0 {
		v.t.Errorf("the rules met no lock, or removed nothing else: %+v", sum)
	}
}

func (v *vault) collect() {
	v.t.Helper()
	v.advance(time.Second)
	for {
		r, err := v.a.Engine.Blobs().Collect(v.t.Context())
		must(v.t, err)
		if r == (blobs.CollectReport{}) {
			return
		}
	}
}

func (v *vault) drain(from, to string) {
	v.t.Helper()
	must(v.t, v.b.Engine.Blobs().DrainBackend(v.t.Context(), from, to))
	for range 100 {
		v.advance(time.Second)
		must(v.t, v.b.Engine.Beat(v.t.Context()))
		_, err := v.a.Engine.Blobs().Move(v.t.Context())
		must(v.t, err)
		_, err = v.a.Engine.Blobs().Collect(v.t.Context())
		must(v.t, err)
		all, err := v.a.Engine.Blobs().BackendStatus(v.t.Context())
		must(v.t, err)
		for _, b := range all {
			if b.Row.Name == from && b.Row.State == meta.BackendRetired {
				return
			}
		}
	}
	v.t.Fatalf("%s is never retired", from)
}

// A version under a COMPLIANCE retention is there after everything that removes
// data, tried on another gateway than the one that was asked to lock it; and is
// removed once the retention is over.
func TestComplianceOutlivesEverything(t *testing.T) {
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			v := newVault(t, store == "postgres")
			v.wantAll()
			for _, a := range attempts {
				t.Run(a.name, func(t *testing.T) {
					v.t = t
					a.try(v)
					v.wantAll()
				})
			}
			v.t = t
			v.advance(31 * 24 * time.Hour)
			v.each(204, "", "DELETE", "?versionId=VERSION", nil)
			for _, k := range v.locked {
				if res := v.a.Do(t, v.alice, "GET", "/vault/"+k.key+"?versionId="+k.version, nil); res.Code() != "NoSuchVersion" {
					t.Errorf("%s after its retention: %d %s", k.key, res.Status, res.Code())
				}
			}
			v.collect()
			if r, err := fsck.Run(t.Context(), v.a.Engine, fsck.Options{Deep: true}); err != nil || !r.Clean() {
				t.Errorf("fsck: %+v, %v", r.Findings, err)
			}
		})
	}
}
