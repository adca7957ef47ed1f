package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// locked runs a gateway with a bucket, bkt, whose versions can be locked.
func locked(t testing.TB, now func() time.Time) *gatewaytest.Gateway {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, Now: now})
	g.Must(t, 200, "PUT", "/bkt", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
	return g
}

func retentionDocument(mode string, until time.Time) []byte {
	return fmt.Appendf(nil, "<Retention><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>", mode, until.UTC().Format(time.RFC3339))
}

func lockConfiguration(mode, period string) []byte {
	return fmt.Appendf(nil,
		"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>%s</Mode>%s</DefaultRetention></Rule></ObjectLockConfiguration>", mode, period)
}

// put stores an object and returns its version.
func put(t testing.TB, g *gatewaytest.Gateway, target string, headers ...string) string {
	t.Helper()
	res := g.Must(t, 200, "PUT", target, []byte("x"), append(headers, "X-Amz-Checksum-Crc32", sum("CRC32", []byte("x")))...)
	return res.Header.Get("X-Amz-Version-Id")
}

func TestLockedBuckets(t *testing.T) {
	g := locked(t, nil)
	if v := g.Must(t, 200, "GET", "/bkt?versioning", nil).Element("Status"); v != "Enabled" {
		t.Errorf("versioning %q", v)
	}
	suspend := []byte("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")
	expect(t, "suspend", g.Do(t, g.Root, "PUT", "/bkt?versioning", suspend), 409, "InvalidBucketState")
	res := g.Must(t, 200, "GET", "/bkt?object-lock", nil)
	if res.Element("ObjectLockEnabled") != "Enabled" || res.Element("Mode") != "" {
		t.Errorf("without a default: %s", res.Body)
	}
	for period, want := range map[string]string{"<Days>36500</Days>": "Days", "<Years>100</Years>": "Years"} {
		g.Must(t, 200, "PUT", "/bkt?object-lock", lockConfiguration("COMPLIANCE", period))
		res := g.Must(t, 200, "GET", "/bkt?object-lock", nil)
		if res.Element("Mode") != "COMPLIANCE" || res.Element(want) == "" || (res.Element("Days") == "") == (res.Element("Years") == "") {
			t.Errorf("%s: %s", period, res.Body)
		}
	}
	for doc, code := range map[string]string{
		string(lockConfiguration("FOREVER", "<Days>1</Days>")):                                         "MalformedXML",
		string(lockConfiguration("GOVERNANCE", "")):                                                    "MalformedXML",
		string(lockConfiguration("GOVERNANCE", "<Days>1</Days><Years>1</Years>")):                      "MalformedXML",
		string(lockConfiguration("GOVERNANCE", "<Days>0</Days>")):                                      "InvalidArgument",
		string(lockConfiguration("GOVERNANCE", "<Days>36501</Days>")):                                  "InvalidArgument",
		string(lockConfiguration("GOVERNANCE", "<Years>101</Years>")):                                  "InvalidArgument",
		"<ObjectLockConfiguration></ObjectLockConfiguration>":                                          "MalformedXML",
		"<ObjectLockConfiguration><ObjectLockEnabled>No</ObjectLockEnabled></ObjectLockConfiguration>": "MalformedXML",
	} {
		expect(t, doc, g.Do(t, g.Root, "PUT", "/bkt?object-lock", []byte(doc)), 400, code)
	}
	g.Must(t, 200, "PUT", "/bkt?object-lock", []byte("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"))
	if res := g.Must(t, 200, "GET", "/bkt?object-lock", nil); res.Element("Mode") != "" {
		t.Errorf("the default was taken away: %s", res.Body)
	}

	// Locks can be enabled later only in a bucket with versioning.
	g.Must(t, 200, "PUT", "/plain", nil)
	expect(t, "plain", g.Do(t, g.Root, "GET", "/plain?object-lock", nil), 404, "ObjectLockConfigurationNotFoundError")
	expect(t, "plain", g.Do(t, g.Root, "PUT", "/plain?object-lock", lockConfiguration("GOVERNANCE", "<Days>1</Days>")), 409, "InvalidBucketState")
	g.Must(t, 200, "PUT", "/plain?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"))
	g.Must(t, 200, "PUT", "/plain?object-lock", lockConfiguration("GOVERNANCE", "<Days>1</Days>"))
	put(t, g, "/plain/k")
	expectHeaders(t, "HEAD", g.Must(t, 200, "HEAD", "/plain/k", nil), "X-Amz-Object-Lock-Mode", "GOVERNANCE")
}

func TestLockHeaders(t *testing.T) {
	g := locked(t, nil)
	g.Must(t, 200, "PUT", "/plain", nil)
	day := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Millisecond)
	for what, c := range map[string]struct {
		target, code string
		headers      []string
	}{
		"mode alone":   {"/bkt/k", "InvalidArgument", []string{"X-Amz-Object-Lock-Mode", "GOVERNANCE"}},
		"date alone":   {"/bkt/k", "InvalidArgument", []string{"X-Amz-Object-Lock-Retain-Until-Date", day.Format(time.RFC3339)}},
		"unknown mode": {"/bkt/k", "InvalidArgument", []string{"X-Amz-Object-Lock-Mode", "x", "X-Amz-Object-Lock-Retain-Until-Date", day.Format(time.RFC3339)}},
		"no date":      {"/bkt/k", "InvalidArgument", []string{"X-Amz-Object-Lock-Mode", "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date", "tomorrow"}},
		"past": {"/bkt/k", "InvalidArgument",
			[]string{"X-Amz-Object-Lock-Mode", "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date", "2020-01-01T00:00:00Z"}},
		"hold":      {"/bkt/k", "InvalidArgument", []string{"X-Amz-Object-Lock-Legal-Hold", "yes"}},
		"no digest": {"/bkt/k", "InvalidRequest", []string{"X-Amz-Object-Lock-Legal-Hold", "ON"}},
		"no locks":  {"/plain/k", "InvalidRequest", []string{"X-Amz-Object-Lock-Legal-Hold", "OFF"}},
	} {
		expect(t, what, g.Do(t, g.Root, "PUT", c.target, []byte("x"), c.headers...), 400, c.code)
	}
	lock := []string{"X-Amz-Object-Lock-Mode", "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date",
		day.Format(time.RFC3339Nano), "X-Amz-Object-Lock-Legal-Hold", "ON"}
	put(t, g, "/bkt/k", lock...)
	id := newUpload(t, g, "/bkt/up", lock...)
	expect(t, "part without digest", g.Do(t, g.Root, "PUT", "/bkt/up?partNumber=1&uploadId="+id, []byte("x")), 400, "InvalidRequest")
	tag := sendPart(t, g, "/bkt/up", id, 1, []byte("x"), "X-Amz-Checksum-Crc32", sum("CRC32", []byte("x")))
	g.Must(t, 200, "POST", "/bkt/up?uploadId="+id, completeDocument(part(1, tag)))
	g.Must(t, 200, "PUT", "/bkt/copy", nil, append(lock, "X-Amz-Copy-Source", "/bkt/k")...)
	for _, target := range []string{"/bkt/k", "/bkt/up", "/bkt/copy"} {
		expectHeaders(t, target, g.Must(t, 200, "GET", target, nil), "X-Amz-Object-Lock-Mode", "COMPLIANCE",
			"X-Amz-Object-Lock-Retain-Until-Date", day.Format("2006-01-02T15:04:05.000Z"), "X-Amz-Object-Lock-Legal-Hold", "ON")
	}
	// A lock is never copied.
	g.Must(t, 200, "PUT", "/bkt/free", nil, "X-Amz-Copy-Source", "/bkt/k")
	expectHeaders(t, "copy", g.Must(t, 200, "HEAD", "/bkt/free", nil), "X-Amz-Object-Lock-Mode", "", "X-Amz-Object-Lock-Legal-Hold", "")
}

func TestDefaultRetention(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	g := locked(t, func() time.Time { return now })
	g.Must(t, 200, "PUT", "/bkt?object-lock", lockConfiguration("GOVERNANCE", "<Days>10</Days>"))
	expect(t, "no digest", g.Do(t, g.Root, "PUT", "/bkt/k", []byte("x")), 400, "InvalidRequest")
	id := newUpload(t, g, "/bkt/up")
	tag := sendPart(t, g, "/bkt/up", id, 1, []byte("x"))
	now = now.Add(5 * time.Minute)
	put(t, g, "/bkt/k")
	g.Must(t, 200, "POST", "/bkt/up?uploadId="+id, completeDocument(part(1, tag)))
	for _, target := range []string{"/bkt/k", "/bkt/up"} {
		res := g.Must(t, 200, "GET", target+"?retention", nil)
		if res.Element("Mode") != "GOVERNANCE" || res.Element("RetainUntilDate") != "2030-01-11T00:05:00.000Z" {
			t.Errorf("%s: %s", target, res.Body)
		}
	}
	put(t, g, "/bkt/own", "X-Amz-Object-Lock-Mode", "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date", "2030-01-02T00:00:00Z")
	if res := g.Must(t, 200, "GET", "/bkt/own?retention", nil); res.Element("RetainUntilDate") != "2030-01-02T00:00:00.000Z" {
		t.Errorf("the copy's own lock: %s", res.Body)
	}
}

// A retention cannot be shortened, except for governance with bypass.
func TestRetention(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	g := locked(t, func() time.Time { return now })
	day := func(n int) time.Time { return time.Date(2030, 1, 1+n, 0, 0, 0, 0, time.UTC) }
	const bypass = "X-Amz-Bypass-Governance-Retention"
	for _, c := range []struct {
		had  string
		doc  []byte
		head []string
		code string
	}{
		{"GOVERNANCE", retentionDocument("GOVERNANCE", day(3)), nil, ""},
		{"GOVERNANCE", retentionDocument("GOVERNANCE", day(2)), nil, ""},
		{"GOVERNANCE", retentionDocument("GOVERNANCE", day(1)), nil, "AccessDenied"},
		{"GOVERNANCE", retentionDocument("COMPLIANCE", day(3)), nil, "AccessDenied"},
		{"GOVERNANCE", []byte("<Retention/>"), nil, "AccessDenied"},
		{"GOVERNANCE", retentionDocument("GOVERNANCE", day(1)), []string{bypass, "false"}, "AccessDenied"},
		{"GOVERNANCE", retentionDocument("GOVERNANCE", day(1)), []string{bypass, "true"}, ""},
		{"GOVERNANCE", retentionDocument("COMPLIANCE", day(1)), []string{bypass, "true"}, ""},
		{"GOVERNANCE", []byte("<Retention/>"), []string{bypass, "true"}, ""},
		{"COMPLIANCE", retentionDocument("COMPLIANCE", day(3)), nil, ""},
		{"COMPLIANCE", retentionDocument("COMPLIANCE", day(2)), nil, ""},
		{"COMPLIANCE", retentionDocument("COMPLIANCE", day(1)), []string{bypass, "true"}, "AccessDenied"},
		{"COMPLIANCE", retentionDocument("GOVERNANCE", day(9)), []string{bypass, "true"}, "AccessDenied"},
		{"COMPLIANCE", []byte("<Retention/>"), []string{bypass, "true"}, "AccessDenied"},
		{"", []byte("<Retention/>"), nil, ""},
		{"", retentionDocument("FOREVER", day(1)), nil, "MalformedXML"},
		{"", retentionDocument("GOVERNANCE", day(-1)), nil, "InvalidArgument"},
		{"", []byte("<Retention><Mode>GOVERNANCE</Mode></Retention>"), nil, "MalformedXML"},
	} {
		v := put(t, g, "/bkt/k")
		target := "/bkt/k?retention&versionId=" + v
		if c.had != "" {
			g.Must(t, 200, "PUT", target, retentionDocument(c.had, day(2)))
		}
		res := g.Do(t, g.Root, "PUT", target, c.doc, c.head...)
		if res.Code() != c.code {
			t.Errorf("%s, then %s %v: %d %s", c.had, c.doc, c.head, res.Status, res.Body)
		}
	}
	// The headers that lock a new object have no meaning for an existing one.
	v := put(t, g, "/bkt/k")
	g.Must(t, 200, "PUT", "/bkt/k?retention&versionId="+v, []byte("<Retention/>"), "X-Amz-Object-Lock-Mode", "COMPLIANCE",
		"X-Amz-Object-Lock-Retain-Until-Date", day(3).Format(time.RFC3339))
	if res := g.Do(t, g.Root, "GET", "/bkt/k?retention&versionId="+v, nil); res.Code() != "NoSuchObjectLockConfiguration" {
		t.Errorf("locked by headers: %d %s", res.Status, res.Body)
	}
	// Once expired, a retention can be replaced, also for compliance.
	v = put(t, g, "/bkt/k")
	g.Must(t, 200, "PUT", "/bkt/k?retention&versionId="+v, retentionDocument("COMPLIANCE", day(2)))
	now = day(2)
	g.Must(t, 200, "PUT", "/bkt/k?retention&versionId="+v, retentionDocument("GOVERNANCE", day(3)))

	expect(t, "never set", g.Do(t, g.Root, "GET", "/bkt/k2?retention", nil), 404, "NoSuchKey")
	put(t, g, "/bkt/k2")
	expect(t, "never set", g.Do(t, g.Root, "GET", "/bkt/k2?retention", nil), 404, "NoSuchObjectLockConfiguration")
}

func TestLegalHold(t *testing.T) {
	g := locked(t, nil)
	v := put(t, g, "/bkt/k")
	hold := func(status string) []byte { return []byte("<LegalHold><Status>" + status + "</Status></LegalHold>") }
	expect(t, "never set", g.Do(t, g.Root, "GET", "/bkt/k?legal-hold", nil), 404, "NoSuchObjectLockConfiguration")
	for _, doc := range []string{"", "<LegalHold></LegalHold>", string(hold("on"))} {
		expect(t, doc, g.Do(t, g.Root, "PUT", "/bkt/k?legal-hold", []byte(doc)), 400, "MalformedXML")
	}
	for _, status := range []string{"ON", "OFF", "ON"} {
		g.Must(t, 200, "PUT", "/bkt/k?legal-hold", hold(status))
		if got := g.Must(t, 200, "GET", "/bkt/k?legal-hold", nil).Element("Status"); got != status {
			t.Errorf("%s: %s", status, got)
		}
		expectHeaders(t, status, g.Must(t, 200, "HEAD", "/bkt/k", nil), "X-Amz-Object-Lock-Legal-Hold", status)
	}
	bypass := []string{"X-Amz-Bypass-Governance-Retention", "true"}
	expect(t, "held", g.Do(t, g.Root, "DELETE", "/bkt/k?versionId="+v, nil, bypass...), 403, "AccessDenied")
	g.Must(t, 200, "PUT", "/bkt/k?legal-hold", hold("OFF"))
	g.Must(t, 204, "DELETE", "/bkt/k?versionId="+v, nil)
	expect(t, "gone", g.Do(t, g.Root, "GET", "/bkt/k?legal-hold", nil), 404, "NoSuchKey")

	g.Must(t, 200, "PUT", "/plain", nil)
	g.Must(t, 200, "PUT", "/plain/k", []byte("x"))
	for _, sub := range []string{"?legal-hold", "?retention"} {
		expect(t, sub, g.Do(t, g.Root, "GET", "/plain/k"+sub, nil), 400, "InvalidRequest")
		expect(t, sub, g.Do(t, g.Root, "GET", "/plain/none"+sub, nil), 404, "NoSuchKey")
	}
	expect(t, "hold", g.Do(t, g.Root, "PUT", "/plain/k?legal-hold", hold("ON")), 400, "InvalidRequest")
}

// A locked version cannot be removed, but its key can be deleted and written.
func TestLockedVersionsStay(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	g := locked(t, func() time.Time { return now })
	until := []string{"X-Amz-Object-Lock-Retain-Until-Date", "2030-01-02T00:00:00Z"}
	governed := put(t, g, "/bkt/g", append(until, "X-Amz-Object-Lock-Mode", "GOVERNANCE")...)
	complied := put(t, g, "/bkt/c", append(until, "X-Amz-Object-Lock-Mode", "COMPLIANCE")...)
	bypass := []string{"X-Amz-Bypass-Governance-Retention", "true"}
	for target, headers := range map[string][]string{"/bkt/g?versionId=" + governed: nil, "/bkt/c?versionId=" + complied: bypass} {
		expect(t, target, g.Do(t, g.Root, "DELETE", target, nil, headers...), 403, "AccessDenied")
	}
	both := fmt.Appendf(nil,
		"<Delete><Object><Key>g</Key><VersionId>%s</VersionId></Object><Object><Key>c</Key><VersionId>%s</VersionId></Object></Delete>", governed, complied)
	res := g.Must(t, 200, "POST", "/bkt?delete", both, "X-Amz-Checksum-Crc32", sum("CRC32", both))
	if res.Element("Deleted") != "" || res.Element("Error") == "" {
		t.Errorf("locked versions by DeleteObjects: %s", res.Body)
	}
	for _, k := range []string{"/bkt/g", "/bkt/c"} {
		g.Must(t, 204, "DELETE", k, nil)
		put(t, g, k)
	}
	if got := content(t, g, "/bkt/c?versionId="+complied); string(got) != "x" {
		t.Errorf("a locked version reads %q", got)
	}
	g.Must(t, 204, "DELETE", "/bkt/g?versionId="+governed, nil, bypass...)
	now = now.Add(24 * time.Hour)
	g.Must(t, 204, "DELETE", "/bkt/c?versionId="+complied, nil)
}
