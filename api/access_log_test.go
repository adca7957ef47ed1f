package api_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/backends/mem"
	"github.com/sanctum-storage/gateway/internal/faults"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// logFields parses a line as readers of S3's logs do.
var logFields = regexp.MustCompile(`\[[^\]]*\]|"[^"]*"|\S+`)

// Positions in a record.
const (
	fieldBucket    = 1
	fieldTime      = 2
	fieldRemote    = 3
	fieldRequester = 4
	fieldRequest   = 5
	fieldOperation = 6
	fieldKey       = 7
	fieldURI       = 8
	fieldStatus    = 9
	fieldCode      = 10
	fieldSent      = 11
	fieldSize      = 12
	fieldReferer   = 15
	fieldAgent     = 16
	fieldVersion   = 17
	fieldSignature = 19
	fieldAuth      = 21
	fieldHost      = 22
	fieldCount     = 26
)

type logRig struct {
	*gatewaytest.Gateway
	t   *testing.T
	now time.Time
}

func newLogRig(t *testing.T) *logRig {
	t.Helper()
	l := &logRig{t: t, now: time.Date(2030, 1, 15, 23, 59, 50, 0, time.UTC)}
	l.Gateway = gatewaytest.Start(t, gatewaytest.Options{Now: func() time.Time { return l.now }})
	l.Must(t, 200, "PUT", "/bkt", nil)
	l.Must(t, 200, "PUT", "/logs", nil)
	return l
}

func (l *logRig) enable(format string) {
	l.t.Helper()
	l.Must(l.t, 200, "PUT", "/bkt?logging", []byte("<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>of/bkt/</TargetPrefix>"+
		format+"</LoggingEnabled></BucketLoggingStatus>"))
}

// unsigned sends a GET without credentials.
func (l *logRig) unsigned(target string) gatewaytest.Response {
	l.t.Helper()
	return l.Send(l.t, l.Request(l.t, "GET", target, nil))
}

// delivered returns the delivered log objects: their keys, and the records by
// operation.
func (l *logRig) delivered() (keys []string, records map[string][]string, text string) {
	l.t.Helper()
	b, err := l.Engine.Buckets().Get(l.t.Context(), "logs")
	if err != nil {
		l.t.Fatal(err)
	}
	page, err := l.Engine.ListObjects(l.t.Context(), meta.ListQuery{Bucket: b.ID, Limit: 100})
	if err != nil {
		l.t.Fatal(err)
	}
	records = make(map[string][]string)
	for _, entry := range page.Entries {
		keys = append(keys, entry.Key)
		res := l.Must(l.t, 200, "GET", "/logs/"+entry.Key, nil)
		text += string(res.Body)
	}
	for line := range strings.Lines(text) {
		fields := logFields.FindAllString(strings.TrimSuffix(line, "\n"), -1)
		if len(fields) != fieldCount {
			l.t.Fatalf("%d fields in %q", len(fields), line)
		}
		records[fields[fieldOperation]] = fields
	}
	return keys, records, text
}

func (l *logRig) deliver(want int) {
	l.t.Helper()
	r, err := l.API.DeliverLogs(l.t.Context(), true)
	if err != nil || r.Delivered != want || r.Dropped != 0 {
		l.t.Fatalf("%+v, %v; want %d records", r, err, want)
	}
}

func TestAccessLog(t *testing.T) {
	l := newLogRig(t)
	l.Must(t, 200, "PUT", "/bkt/before", []byte("x"))
	l.enable("")
	put := l.Must(t, 200, "PUT", "/bkt/a%20b%2Bc", []byte("twelve bytes"), "User-Agent", "an \"agent\" of mine", "Referer", "https://example.com/")
	l.Must(t, 200, "HEAD", "/bkt/a%20b%2Bc", nil)
	l.Must(t, 206, "GET", "/bkt/a%20b%2Bc", nil, "Range", "bytes=0-3")
	l.Must(t, 200, "GET", "/bkt?list-type=2", nil)
	expect(t, "absent", l.Do(t, l.Root, "DELETE", "/bkt/x?tagging&versionId=null", nil), 404, "NoSuchVersion")
	l.Must(t, 200, "PUT", "/bkt/copy", nil, "X-Amz-Copy-Source", "/bkt/before")
	expect(t, "nobody", l.unsigned("/bkt?acl"), 403, "AccessDenied")
	wrong := l.Root
	wrong.SecretKey = "wrong"
	expect(t, "wrong secret", l.Do(t, wrong, "GET", "/bkt?policy", nil), 403, "SignatureDoesNotMatch")
	l.deliver(8)

	keys, records, text := l.delivered()
	if len(keys) != 1 || !regexp.MustCompile(`^of/bkt/2030-01-15-23-59-50-[0-9A-F]{16}$`).MatchString(keys[0]) {
		t.Errorf("keys %q", keys)
	}
	for operation, want := range map[string]map[int]string{
		"REST.PUT.OBJECT": {
			fieldBucket: "bkt", fieldTime: "[15/Jan/2030:23:59:50 +0000]", fieldRemote: "127.0.0.1", fieldRequester: l.Root.Tenant.ID.Canonical(),
			fieldRequest: put.Header.Get("X-Amz-Request-Id"), fieldKey: "a%2Bb%252Bc", fieldURI: `"PUT /bkt/a%20b%2Bc HTTP/1.1"`, fieldStatus: "200", fieldCode: "-",
			fieldSent: "-", fieldSize: "12", fieldReferer: `"https://example.com/"`, fieldAgent: `"an %22agent%22 of mine"`,
			fieldSignature: "SigV4", fieldAuth: "AuthHeader", fieldHost: strings.TrimPrefix(l.URL, "http://"),
		},
		"REST.HEAD.OBJECT":           {fieldSize: "12", fieldSent: "-"},
		"REST.GET.OBJECT":            {fieldStatus: "206", fieldSent: "4", fieldSize: "12"},
		"REST.GET.BUCKET":            {fieldKey: "-", fieldSize: "-"},
		"REST.DELETE.OBJECT_TAGGING": {fieldStatus: "404", fieldCode: "NoSuchVersion"},
		"REST.COPY.OBJECT":           {fieldKey: "copy"},
		"REST.GET.ACL":               {fieldRequester: "-", fieldStatus: "403", fieldCode: "AccessDenied", fieldSignature: "-", fieldAuth: "-"},
		"REST.GET.BUCKETPOLICY":      {fieldRequester: "-", fieldStatus: "403", fieldCode: "SignatureDoesNotMatch"},
	} {
		got := records[operation]
		if got == nil {
			t.Errorf("no record of %s in\n%s", operation, text)
			continue
		}
		for i, w := range want {
			if got[i] != w {
				t.Errorf("%s: field %d is %s, want %s", operation, i, got[i], w)
			}
		}
	}
	if key, err := url.QueryUnescape(records["REST.PUT.OBJECT"][fieldKey]); err != nil {
		t.Error(err)
	} else if key, _ = url.QueryUnescape(key); key != "a b+c" {
		t.Errorf("decoded twice, the key is %q", key)
	}
	if strings.Contains(text, "Credential=") || strings.Contains(text, "Signature=") {
		t.Errorf("an Authorization is in the log:\n%s", text)
	}
}

// records returns the fields of all records of an operation, ordered by key.
func (l *logRig) records(operation string) (all [][]string) {
	l.t.Helper()
	_, _, text := l.delivered()
	for line := range strings.Lines(text) {
		if fields := logFields.FindAllString(strings.TrimSuffix(line, "\n"), -1); fields[fieldOperation] == operation {
			all = append(all, fields)
		}
	}
	slices.SortFunc(all, func(a, b []string) int { return strings.Compare(a[fieldKey], b[fieldKey]) })
	return all
}

func (l *logRig) wantRecord(got []string, want map[int]string) {
	l.t.Helper()
	for i, w := range want {
		if got[i] != w {
			l.t.Errorf("field %d is %s, want %s: %q", i, got[i], w, got)
		}
	}
}

// Each key of a DeleteObjects has a record besides the request's.
func TestAccessLogOfDeletedKeys(t *testing.T) {
	l := newLogRig(t)
	l.Must(t, 200, "PUT", "/bkt/a", []byte("seven b"))
	l.enable("")
	body := []byte("<Delete><Object><Key>a</Key></Object><Object><Key>b c</Key></Object><Object><Key>d</Key><VersionId>wrong</VersionId></Object></Delete>")
	res := l.Must(t, 200, "POST", "/bkt?delete", body, "X-Amz-Checksum-Crc32", sum("CRC32", body), "User-Agent", "mine")
	l.deliver(4)
	all := l.records("BATCH.DELETE.OBJECT")
	if len(all) != 3 || len(l.records("REST.POST.MULTI_OBJECT_DELETE")) != 1 {
		t.Fatalf("%q", all)
	}
	ofRequest := map[int]string{fieldBucket: "bkt", fieldRemote: "127.0.0.1", fieldRequester: l.Root.Tenant.ID.Canonical(),
		fieldRequest: res.Header.Get("X-Amz-Request-Id"),
		fieldURI:     "-", fieldSent: "-", fieldReferer: "-", fieldAgent: "-", fieldSignature: "SigV4", fieldAuth: "AuthHeader", fieldHost: strings.TrimPrefix(l.URL, "http://")}
	for i, want := range []map[int]string{
		{fieldKey: "a", fieldStatus: "204", fieldCode: "-", fieldSize: "7", fieldVersion: "-"},
		{fieldKey: "b%2Bc", fieldStatus: "204", fieldCode: "-", fieldSize: "-"},
		{fieldKey: "d", fieldStatus: "404", fieldCode: "NoSuchVersion", fieldVersion: "wrong"},
	} {
		l.wantRecord(all[i], want)
		l.wantRecord(all[i], ofRequest)
	}
	// A request that is refused as a whole has one record.
	expect(t, "malformed", l.Do(t, l.Root, "POST", "/bkt?delete", []byte("<Delete>"), "X-Amz-Checksum-Crc32",
		sum("CRC32", []byte("<Delete>"))), 400, "MalformedXML")
	l.deliver(1)
}

// Actions of lifecycles have records, by the sender that S3 gives them.
func TestAccessLogOfLifecycles(t *testing.T) {
	l := newLogRig(t)
	rules := `<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>1</Days></Expiration>` +
		`<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays></NoncurrentVersionExpiration>` +
		`<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>` +
		`<Rule><ID>b</ID><Status>Enabled</Status><Filter><Prefix>old/</Prefix></Filter><Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition></Rule></LifecycleConfiguration>`
	l.Must(t, 200, "PUT", "/bkt?lifecycle", []byte(rules), "X-Amz-Checksum-Crc32", sum("CRC32", []byte(rules)))
	l.Must(t, 200, "PUT", "/bkt/tmp/a%20b", []byte("free"))
	l.Must(t, 200, "POST", "/bkt/tmp/upload?uploads", nil)
	expired := func(days int, records int) {
		t.Helper()
		l.now = l.now.Add(time.Duration(days) * 24 * time.Hour)
		for range 20 {
			r, err := l.Lifecycles.Step(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !r.More {
				break
			}
		}
		l.deliver(records)
	}
	expired(3, 0) // logging is off
	l.Must(t, 200, "PUT", "/bkt/tmp/a%20b", []byte("free"))
	l.Must(t, 200, "POST", "/bkt/tmp/upload?uploads", nil)
	l.enable("")
	of := map[int]string{fieldBucket: "bkt", fieldRemote: "-", fieldRequester: "AmazonS3", fieldURI: `"-"`, fieldStatus: "-", fieldCode: "-", fieldSent: "-",
		fieldReferer: `"-"`, fieldAgent: `"-"`, fieldSignature: "-", fieldAuth: "-", fieldHost: "-"}
	find := func(operation, key, size string) []string {
		t.Helper()
		for _, r := range l.records(operation) {
			if r[fieldKey] == key && r[fieldSize] == size {
				l.wantRecord(r, of)
				return r
			}
		}
		t.Fatalf("no record of %s of %s", operation, key)
		return nil
	}
	expired(3, 2)
	l.wantRecord(find("S3.EXPIRE.OBJECT", "tmp/a%2Bb", "4"), map[int]string{fieldVersion: "-"})
	find("S3.DELETE.UPLOAD", "tmp/upload", "-")

	l.Must(t, 200, "PUT", "/bkt?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"))
	put := l.Must(t, 200, "PUT", "/bkt/tmp/v", []byte("kept once"))
	l.Must(t, 200, "PUT", "/bkt/old/moved", bytesOf(200<<10))
	l.deliver(3)
	expired(3, 1)
	marker := find("S3.CREATE.DELETEMARKER", "tmp/v", "9")
	if id := marker[fieldVersion]; len(id) != 32 || id == put.Header.Get("X-Amz-Version-Id") {
		t.Errorf("the marker's version is %q", id)
	}
	expired(40, 2)
	l.wantRecord(find("S3.EXPIRE.OBJECT", "tmp/v", "9"), map[int]string{fieldVersion: put.Header.Get("X-Amz-Version-Id")})
	find("S3.TRANSITION_SIA.OBJECT", "old/moved", "204800")
}

// A presigned URL in the log can no longer be used.
func TestAccessLogHidesSignatures(t *testing.T) {
	l := newLogRig(t)
	l.enable("")
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=abcdef0123&x-amz-security-token=token%2Fvalue&prefix=kept&%58-Amz-Signature=coded0123&%zz=bad"
	l.unsigned("/bkt?" + query)
	l.unsigned("/bkt?" + strings.TrimSuffix(query, "&%zz=bad"))
	l.API.DeliverLogs(t.Context(), true)
	_, _, text := l.delivered()
	if !strings.Contains(text, "prefix=kept") {
		t.Fatalf("no record of the request:\n%s", text)
	}
	for _, secret := range []string{"abcdef0123", "token", "coded0123"} {
		if strings.Contains(strings.ReplaceAll(text, "security-token", ""), secret) {
			t.Errorf("%s is in the log:\n%s", secret, text)
		}
	}
}

// Partitioned keys have the day of the requests or of the delivery.
func TestAccessLogPartitions(t *testing.T) {
	for source, days := range map[string]string{"EventTime": "2030/01/15 2030/01/16", "DeliveryTime": "2030/01/16"} {
		l := newLogRig(t)
		l.enable("<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>" + source + "</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>")
		l.Must(t, 200, "GET", "/bkt?list-type=2", nil)
		l.now = l.now.Add(time.Minute)
		l.Must(t, 200, "GET", "/bkt?list-type=2", nil)
		l.deliver(2)
		keys, _, _ := l.delivered()
		var want []string
		for day := range strings.FieldsSeq(days) {
			stamp := strings.ReplaceAll(day, "/", "-") + "-00-0"
			want = append(want, `of/bkt/\d{12}/us-east-1/bkt/`+day+`/`+stamp+`0-\d\d-[0-9A-F]{16}`)
		}
		if !regexp.MustCompile(`^` + strings.Join(want, " ") + `$`).MatchString(strings.Join(keys, " ")) {
			t.Errorf("%s: keys %q", source, keys)
		}
	}
}

// A log whose target is gone is dropped; a log that cannot be written waits.
func TestAccessLogTargets(t *testing.T) {
	l := newLogRig(t)
	l.enable("")
	l.Must(t, 200, "GET", "/bkt?list-type=2", nil)
	l.deliver(1)
	keys, _, _ := l.delivered()
	if r, err := l.API.DeliverLogs(t.Context(), false); err != nil || r.Objects != 0 {
		t.Errorf("nothing waits: %+v, %v", r, err)
	}
	l.Must(t, 200, "GET", "/bkt?list-type=2", nil)
	if r, err := l.API.DeliverLogs(t.Context(), false); err != nil || r.Objects != 0 {
		t.Errorf("a record that is new is delivered already: %+v, %v", r, err)
	}
	l.Must(t, http.StatusNoContent, "DELETE", "/logs/"+keys[0], nil)
	l.Must(t, http.StatusNoContent, "DELETE", "/logs", nil)
	l.Must(t, 200, "PUT", "/logs", nil) // another bucket with its name
	if r, err := l.API.DeliverLogs(t.Context(), true); err == nil || r.Dropped != 1 || r.Delivered != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if keys, _, _ := l.delivered(); len(keys) != 0 {
		t.Errorf("keys %q", keys)
	}
}

// A log that cannot be written now is written later, together with newer
// records.
func TestAccessLogWaits(t *testing.T) {
	plan := faults.NewPlan(1)
	l := &logRig{t: t, now: time.Date(2030, 1, 15, 0, 0, 0, 0, time.UTC)}
	l.Gateway = gatewaytest.Start(t, gatewaytest.Options{Now: func() time.Time { return l.now }, Backend: faults.Backend(mem.New(), plan)})
	l.Must(t, 200, "PUT", "/bkt", nil)
	l.Must(t, 200, "PUT", "/logs", nil)
	l.enable("")
	l.Must(t, 200, "GET", "/bkt?list-type=2", nil)
	plan.Add(faults.Rule{Op: "Put"})
	if r, err := l.API.DeliverLogs(t.Context(), true); err == nil || r != (api.LogReport{}) {
		t.Errorf("%+v, %v", r, err)
	}
	plan.Clear()
	l.Must(t, 200, "HEAD", "/bkt", nil)
	l.deliver(2)
	if _, records, text := l.delivered(); len(records) != 2 {
		t.Error(text)
	}
}

// Requests to a website have records of their own kind, also for a page that
// was not found.
func TestAccessLogOfWebsite(t *testing.T) {
	l := &logRig{t: t, Gateway: startSite(t, "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>")}
	l.Must(t, 200, "PUT", "/logs", nil)
	l.enable("")
	visit(t, l.Gateway, "GET", site, "/page.html")
	visit(t, l.Gateway, "HEAD", site, "/nowhere")
	l.deliver(2)
	_, records, text := l.delivered()
	get, head := records["WEBSITE.GET.OBJECT"], records["WEBSITE.HEAD.OBJECT"]
	if get == nil || head == nil {
		t.Fatal(text)
	}
	if get[fieldStatus] != "200" || get[fieldKey] != "page.html" || get[fieldRequester] != "-" || get[fieldHost] != site || get[fieldAuth] != "-" {
		t.Errorf("%q", get)
	}
	if head[fieldStatus] == "200" || head[fieldCode] == "-" {
		t.Errorf("%q", head)
	}
}

// The deletion of a bucket has a record if the bucket had a log.
func TestAccessLogOfDeletedBucket(t *testing.T) {
	l := newLogRig(t)
	tags := []byte("<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>")
	l.Must(t, 200, "PUT", "/set", nil)
	l.Must(t, 204, "PUT", "/set?tagging", tags, "X-Amz-Checksum-Crc32", sum("CRC32", tags))
	l.Must(t, 204, "DELETE", "/set", nil)
	l.deliver(0)
	l.enable("")
	res := l.Must(t, 204, "DELETE", "/bkt", nil)
	l.deliver(1)
	all := l.records("REST.DELETE.BUCKET")
	if len(all) != 1 {
		t.Fatalf("%q", all)
	}
	l.wantRecord(all[0], map[int]string{fieldBucket: "bkt", fieldStatus: "204",
		fieldRequest: res.Header.Get("X-Amz-Request-Id"), fieldRequester: l.Root.Tenant.ID.Canonical()})
	// The next bucket with its name starts without a log.
	l.Must(t, 200, "PUT", "/bkt", nil)
	l.Must(t, 404, "GET", "/bkt/none", nil)
	l.deliver(0)
}
