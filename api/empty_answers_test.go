package api_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// emptyAnswers are the documents without configuration, with exactly the
// elements that AWS sends then. OWNER and UPLOAD stand for ids.
var emptyAnswers = []struct{ target, answer string }{
	{"/", "<ListAllMyBucketsResult><Owner><ID>OWNER</ID><DisplayName>empty</DisplayName></Owner><Buckets></Buckets></ListAllMyBucketsResult>"},
	{"/?prefix=a", "<ListAllMyBucketsResult><Owner><ID>OWNER</ID><DisplayName>empty</DisplayName></Owner><Buckets></Buckets><Prefix>a</Prefix></ListAllMyBucketsResult>"},

	{"/nix", "<ListBucketResult><Name>nix</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Marker></Marker></ListBucketResult>"},
	{"/nix?prefix=&marker=&delimiter=&encoding-type=",
		"<ListBucketResult><Name>nix</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Marker></Marker></ListBucketResult>"},
	{"/nix?prefix=p&marker=m&delimiter=/&encoding-type=url&max-keys=0",
		"<ListBucketResult><Name>nix</Name><Prefix>p</Prefix><Delimiter>/</Delimiter><MaxKeys>0</MaxKeys><EncodingType>url</EncodingType>" +
			"<IsTruncated>false</IsTruncated><Marker>m</Marker></ListBucketResult>"},
	{"/nix?list-type=2",
		"<ListBucketResult><Name>nix</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"},
	{"/nix?list-type=2&prefix=p&start-after=s&continuation-token=t&delimiter=/&encoding-type=url&max-keys=5&fetch-owner=true",
		"<ListBucketResult><Name>nix</Name><Prefix>p</Prefix><Delimiter>/</Delimiter>" +
			"<MaxKeys>5</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount><StartAfter>s</StartAfter><ContinuationToken>t</ContinuationToken></ListBucketResult>"},
	{"/nix?versions",
		"<ListVersionsResult><Name>nix</Name><Prefix></Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListVersionsResult>"},
	{"/nix?versions&prefix=p&delimiter=/&key-marker=k&encoding-type=url",
		"<ListVersionsResult><Name>nix</Name><Prefix>p</Prefix><KeyMarker>k</KeyMarker><VersionIdMarker></VersionIdMarker>" +
			"<MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated></ListVersionsResult>"},
	{"/nix?uploads",
		"<ListMultipartUploadsResult><Bucket>nix</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker>" +
			"<Prefix></Prefix><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"},
	{"/nix?uploads&prefix=p&delimiter=/&key-marker=k&encoding-type=url&max-uploads=7",
		"<ListMultipartUploadsResult><Bucket>nix</Bucket><KeyMarker>k</KeyMarker><UploadIdMarker></UploadIdMarker>" +
			"<NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker><Prefix>p</Prefix><Delimiter>/</Delimiter><EncodingType>url</EncodingType><MaxUploads>7</MaxUploads><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"},
	{"/full/u?uploadId=UPLOAD",
		"<ListPartsResult><Bucket>full</Bucket><Key>u</Key><UploadId>UPLOAD</UploadId><Initiator><ID>OWNER</ID></Initiator><Owner><ID>OWNER</ID></Owner><StorageClass>STANDARD</StorageClass>" +
			"<PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>0</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated><ChecksumAlgorithm>null</ChecksumAlgorithm><ChecksumType>null</ChecksumType></ListPartsResult>"},

	{"/nix?location", "<LocationConstraint></LocationConstraint>"},
	{"/nix?versioning", "<VersioningConfiguration></VersioningConfiguration>"},
	{"/nix?logging", "<BucketLoggingStatus></BucketLoggingStatus>"},
	{"/nix?notification", "<NotificationConfiguration></NotificationConfiguration>"},
	{"/nix?accelerate", "<AccelerateConfiguration></AccelerateConfiguration>"},
	{"/nix?requestPayment", "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>"},
	{"/nix?encryption",
		"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"},
	{"/nix?ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"},
	{"/nix?acl", aclOfOwner},
	{"/full/k?acl", aclOfOwner},
	{"/full/k?tagging", "<Tagging><TagSet></TagSet></Tagging>"},
	{"/nix?analytics", "<ListBucketAnalyticsConfigurationResult><IsTruncated>false</IsTruncated></ListBucketAnalyticsConfigurationResult>"},
	{"/nix?metrics", "<ListMetricsConfigurationsResult><IsTruncated>false</IsTruncated></ListMetricsConfigurationsResult>"},
	{"/nix?inventory", "<ListInventoryConfigurationsResult><IsTruncated>false</IsTruncated></ListInventoryConfigurationsResult>"},
	{"/nix?intelligent-tiering",
		"<ListBucketIntelligentTieringConfigurationsOutput><IsTruncated>false</IsTruncated></ListBucketIntelligentTieringConfigurationsOutput>"},
}

const aclOfOwner = `<AccessControlPolicy><Owner><ID>OWNER</ID><DisplayName>empty</DisplayName></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">` +
	"<ID>OWNER</ID><DisplayName>empty</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"

func TestEmptyAnswers(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	empty := g.User(t, "empty")
	must := func(status int, method, target string) gatewaytest.Response {
		res := g.Do(t, empty, method, target, nil)
		if res.Status != status {
			t.Fatalf("%s %s: %d %s", method, target, res.Status, res.Body)
		}
		return res
	}
	ask := func(list []struct{ target, answer string }, upload string) {
		for _, c := range list {
			got := shown(must(200, "GET", strings.ReplaceAll(c.target, "UPLOAD", upload)))
			want := strings.NewReplacer("OWNER", empty.Tenant.ID.Canonical(), "UPLOAD", upload).Replace(c.answer)
			if got != want {
				t.Errorf("%s:\n%s\nwant\n%s", c.target, got, want)
			}
		}
	}
	ask(emptyAnswers[:2], "")
	must(200, "PUT", "/nix")
	must(200, "PUT", "/full")
	must(200, "PUT", "/full/k")
	ask(emptyAnswers[2:], must(200, "POST", "/full/u?uploads").Element("UploadId"))

	quiet := []byte("<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>")
	got := shown(g.Do(t, empty, "POST", "/nix?delete", quiet, "x-amz-checksum-crc32", sum(engine.CRC32, quiet)))
	if got != "<DeleteResult></DeleteResult>" {
		t.Errorf("DeleteObjects that has nothing to say: %s", got)
	}
}

// Answers without a document have no body.
func TestAnswersWithoutDocument(t *testing.T) {
	g := start(t)
	for _, c := range []struct {
		method, target, document string
		status                   int
	}{
		{"PUT", "/new", "", 200}, {"HEAD", "/new", "", 200}, {"DELETE", "/new", "", 204},
		{"PUT", "/bkt/k", "x", 200}, {"HEAD", "/bkt/k", "", 200}, {"DELETE", "/bkt/k", "", 204}, {"DELETE", "/bkt/k", "", 204},
		{"PUT", "/bkt?tagging", someTags(1), 204}, {"DELETE", "/bkt?tagging", "", 204}, {"DELETE", "/bkt?tagging", "", 204},
		{"DELETE", "/bkt?cors", "", 204}, {"DELETE", "/bkt?policy", "", 204}, {"DELETE", "/bkt?website", "", 204}, {"DELETE", "/bkt?lifecycle", "", 204},
		{"DELETE", "/bkt?encryption", "", 204}, {"DELETE", "/bkt?ownershipControls", "", 204}, {"DELETE",
			"/bkt?publicAccessBlock", "", 204}, {"DELETE", "/bkt?replication", "", 204},
	} {
		if res := g.Must(t, c.status, c.method, c.target, []byte(c.document)); len(res.Body) > 0 {
			t.Errorf("%s %s: %s", c.method, c.target, res.Body)
		}
	}
}

// anyTime finds the times of a document, with the fraction of their second.
var anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// Times of events have whole seconds, in every document as in every header.
// Clients compare the two, and copy an object again if they differ.
func TestTimesAreWholeSeconds(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 987_654_321, time.UTC)
	g := gatewaytest.Start(t, gatewaytest.Options{Now: func() time.Time { return now }})
	g.Must(t, 200, "PUT", "/bkt", nil)
	g.Must(t, 200, "PUT", "/bkt?versioning", []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"))
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"))
	g.Must(t, 200, "PUT", "/bkt/gone", []byte("x"))
	g.Must(t, 204, "DELETE", "/bkt/gone", nil)
	id := newUpload(t, g, "/bkt/u")
	sendPart(t, g, "/bkt/u", id, 1, []byte("x"))
	source := []string{"X-Amz-Copy-Source", "/bkt/k"}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, c := range []struct {
		method, target, body string
		headers              []string
		times                int
	}{
		{"GET", "/", "", nil, 1},
		{"GET", "/bkt", "", nil, 1},
		{"GET", "/bkt?list-type=2", "", nil, 1},
		{"GET", "/bkt?versions", "", nil, 3},
		{"GET", "/bkt?uploads", "", nil, 1},
		{"GET", "/bkt/u?uploadId=" + id, "", nil, 1},
		{"PUT", "/bkt/copy", "", source, 1},
		{"PUT", "/bkt/u?partNumber=2&uploadId=" + id, "", source, 1},
		{"POST", "/", "Action=CreateUser&UserName=u&Version=2010-05-08", form, 1},
		{"POST", "/", "Action=GetUser&UserName=u&Version=2010-05-08", form, 1},
		{"POST", "/", "Action=ListUsers&Version=2010-05-08", form, 1},
		{"POST", "/", "Action=CreateAccessKey&UserName=u&Version=2010-05-08", form, 1},
		{"POST", "/", "Action=ListAccessKeys&UserName=u&Version=2010-05-08", form, 1},
		{"POST", "/",
			"Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%22*%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D&Version=2010-05-08", form, 1},
		{"POST", "/", "Action=CreateGroup&GroupName=u&Version=2010-05-08", form, 1},
		{"POST", "/", "Action=GetSessionToken&Version=2011-06-15", form, 1},
	} {
		r := g.Request(t, c.method, c.target, []byte(c.body))
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		service := "s3"
		if c.body != "" {
			service = "iam"
			if strings.Contains(c.body, "2011-06-15") {
				service = "sts"
			}
		}
		if err := sigv4.Sign(r, g.Root.AccessKey, g.Root.SecretKey, g.Region, service, sigv4.PayloadHash([]byte(c.body)), now); err != nil {
			t.Fatal(err)
		}
		res := g.Send(t, r)
		times := anyTime.FindAllSubmatch(res.Body, -1)
		if res.Status != 200 || len(times) != c.times {
			t.Errorf("%s %s %s: %d with %d times, want %d: %s", c.method, c.target, c.body, res.Status, len(times), c.times, res.Body)
		}
		for _, m := range times {
			if fraction := string(m[1]); fraction != ".000" && (c.body == "" || fraction != "") {
				t.Errorf("%s %s %s shows %s", c.method, c.target, c.body, m[0])
			}
		}
	}
	listed := g.Must(t, 200, "GET", "/bkt?list-type=2&prefix=k", nil).Element("LastModified")
	head := g.Must(t, 200, "HEAD", "/bkt/k", nil).Header.Get("Last-Modified")
	if listed != "2026-05-04T03:02:01.000Z" || head != "Mon, 04 May 2026 03:02:01 GMT" {
		t.Errorf("listed as of %s, by HEAD as of %s", listed, head)
	}
	// The same times decide conditions, in either form.
	for _, shown := range []string{listed, head} {
		for header, status := range map[string]int{"If-Modified-Since": 304, "If-Unmodified-Since": 200} {
			if res := g.Do(t, g.Root, "GET", "/bkt/k", nil, header, shown); res.Status != status {
				t.Errorf("%s: %s: %d, want %d", header, shown, res.Status, status)
			}
		}
		for header, status := range map[string]int{"If-Modified-Since": 412, "If-Unmodified-Since": 200} {
			res := g.Do(t, g.Root, "PUT", "/bkt/copied", nil, "X-Amz-Copy-Source", "/bkt/k", "X-Amz-Copy-Source-"+header, shown)
			if res.Status != status {
				t.Errorf("copy, %s: %s: %d, want %d", header, shown, res.Status, status)
			}
		}
	}
}

// The region of a bucket is told to senders without access to it, and to those
// who signed for another region.
func TestRegionOfRefusals(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{Region: "eu-test-1", Domains: []string{"s3.test"}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	stranger := g.User(t, "stranger")
	forged, elsewhere := stranger, *g
	forged.SecretKey = "no" + forged.SecretKey
	elsewhere.Region = "us-east-1"
	anonymous := func(target string) gatewaytest.Response { return g.Send(t, g.Request(t, "HEAD", target, nil)) }
	for what, c := range map[string]struct {
		res    gatewaytest.Response
		status int
		region string
	}{
		"allowed":          {g.Do(t, g.Root, "HEAD", "/bkt", nil), 200, "eu-test-1"},
		"anonymous":        {anonymous("/bkt"), 403, "eu-test-1"},
		"with a slash":     {anonymous("/bkt/"), 403, "eu-test-1"},
		"another's":        {g.Do(t, stranger, "HEAD", "/bkt", nil), 403, "eu-test-1"},
		"forged":           {g.Do(t, forged, "HEAD", "/bkt", nil), 403, "eu-test-1"},
		"expected owner":   {g.Do(t, g.Root, "HEAD", "/bkt", nil, "X-Amz-Expected-Bucket-Owner", "111111111111"), 403, "eu-test-1"},
		"another region":   {elsewhere.Do(t, g.Root, "HEAD", "/bkt", nil), 400, "eu-test-1"},
		"no bucket":        {anonymous("/none"), 404, ""},
		"region, no such":  {elsewhere.Do(t, g.Root, "HEAD", "/none", nil), 400, ""},
		"region, listing":  {elsewhere.Do(t, g.Root, "GET", "/bkt?list-type=2", nil), 400, "eu-test-1"},
		"region, object":   {elsewhere.Do(t, g.Root, "PUT", "/bkt/k", []byte("x")), 400, "eu-test-1"},
		"an absent object": {g.Do(t, g.Root, "HEAD", "/bkt/k", nil), 404, ""},
	} {
		if got := c.res.Header.Get("X-Amz-Bucket-Region"); c.res.Status != c.status || got != c.region {
			t.Errorf("%s: %d, region %q, want %d, %q", what, c.res.Status, got, c.status, c.region)
		}
	}
}
