package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

func configuration(region string) []byte {
	return []byte(`<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>` + region + `</LocationConstraint></CreateBucketConfiguration>`)
}

func TestBucketLife(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	expect(t, "not there", g.Do(t, g.Root, "GET", "/bucket", nil), 404, "NoSuchBucket")
	expect(t, "not there, HEAD", g.Do(t, g.Root, "HEAD", "/bucket", nil), 404, "")
	res := g.Must(t, 200, "PUT", "/bucket", nil)
	expectHeaders(t, "create", res, "Location", "/bucket")
	res = g.Must(t, 200, "HEAD", "/bucket", nil)
	expectHeaders(t, "head", res, "X-Amz-Bucket-Region", "us-east-1", "X-Amz-Bucket-Arn", "arn:aws:s3:::bucket")
	g.Must(t, 200, "PUT", "/bucket/key", nil)
	expect(t, "delete when not empty", g.Do(t, g.Root, "DELETE", "/bucket", nil), 409, "BucketNotEmpty")
	g.Must(t, 204, "DELETE", "/bucket/key", nil)
	res = g.Must(t, 204, "DELETE", "/bucket", nil)
	if len(res.Body) > 0 {
		t.Errorf("delete: body %q", res.Body)
	}
	expect(t, "deleted", g.Do(t, g.Root, "GET", "/bucket", nil), 404, "NoSuchBucket")
	expect(t, "delete again", g.Do(t, g.Root, "DELETE", "/bucket", nil), 404, "NoSuchBucket")
}

// tagged makes a configuration with tags.
func tagged(pairs ...string) []byte {
	b := []byte("<CreateBucketConfiguration><Tags>")
	for i := 0; i < len(pairs); i += 2 {
		b = fmt.Appendf(b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", pairs[i], pairs[i+1])
	}
	return append(b, "</Tags></CreateBucketConfiguration>"...)
}

func TestCreateBucketWithTags(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	res := g.Must(t, 200, "PUT", "/bucket", tagged("team", "a", "cost", "b"), "x-amz-acl", "private")
	expectHeaders(t, "create", res, "X-Amz-Bucket-Arn", "arn:aws:s3:::bucket")
	got := g.Must(t, 200, "GET", "/bucket?tagging", nil)
	if want := "<TagSet><Tag><Key>team</Key><Value>a</Value></Tag><Tag><Key>cost</Key><Value>b</Value></Tag></TagSet>"; !strings.Contains(string(got.Body), want) {
		t.Errorf("the tags are %s", got.Body)
	}
}

func TestCreateBucketIsRefused(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	for _, c := range []struct {
		target  string
		body    []byte
		headers []string
		status  int
		code    string
	}{
		{target: "/UPPER", status: 400, code: "InvalidBucketName"},
		{target: "/ab", status: 400, code: "InvalidBucketName"},
		{target: "/a..b", status: 400, code: "InvalidBucketName"},
		{target: "/1.2.3.4", status: 400, code: "InvalidBucketName"},
		{target: "/bucket", body: configuration("mars-1"), status: 400, code: "InvalidLocationConstraint"},
		{target: "/bucket", body: configuration("EU"), status: 400, code: "InvalidLocationConstraint"},
		{target: "/bucket", body: []byte("<x/>"), status: 400, code: "MalformedXML"},
		{target: "/bucket", body: tagged("a!", "b"), status: 400, code: "InvalidTag"},
		{target: "/bucket", body: tagged("a", "b", "a", "c"), status: 400, code: "InvalidTag"},
		{target: "/bucket", body: []byte("<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>"), status: 501,
			code: "NotImplemented"},
		{target: "/bucket", headers: []string{"x-amz-bucket-object-lock-enabled", "yes"}, status: 400, code: "InvalidArgument"},
		{target: "/bucket", headers: []string{"x-amz-acl", "public-read"}, status: 400, code: "InvalidBucketAclWithObjectOwnership"},
		{target: "/bucket", headers: []string{"x-amz-acl", "nonsense"}, status: 400, code: "InvalidArgument"},
		{target: "/bucket", headers: []string{"x-amz-acl", "private", "x-amz-grant-read", "id=x"}, status: 400, code: "InvalidRequest"},
		{target: "/bucket", headers: []string{"x-amz-object-ownership", "Nobody"}, status: 400, code: "InvalidArgument"},
	} {
		expect(t, fmt.Sprint(c.target, c.headers), g.Do(t, g.Root, "PUT", c.target, c.body, c.headers...), c.status, c.code)
	}
	if res := g.Must(t, 200, "GET", "/", nil); res.Element("Name") != "" {
		t.Errorf("a refused bucket is there: %s", res.Body)
	}
}

func TestRegions(t *testing.T) {
	for _, c := range []struct {
		region, asked string
		status        int
		code          string
		location      string
	}{
		{"us-east-1", "", 200, "", ""},
		{"us-east-1", "us-east-1", 200, "", ""},
		{"us-east-1", "eu-west-1", 400, "InvalidLocationConstraint", ""},
		{"eu-west-1", "", 200, "", "eu-west-1"},
		{"eu-west-1", "eu-west-1", 200, "", "eu-west-1"},
		{"eu-west-1", "EU", 200, "", "eu-west-1"},
		{"eu-west-1", "us-east-1", 400, "InvalidLocationConstraint", ""},
	} {
		g := gatewaytest.Start(t, gatewaytest.Options{Region: c.region})
		what := c.region + " asked for " + c.asked
		res := g.Do(t, g.Root, "PUT", "/bucket", configuration(c.asked))
		expect(t, what, res, c.status, c.code)
		if c.status != 200 {
			continue
		}
		res = g.Must(t, 200, "GET", "/bucket?location", nil)
		if want := `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + c.location + `</LocationConstraint>`; !strings.HasSuffix(string(res.Body), want) {
			t.Errorf("%s: %s", what, res.Body)
		}
		again := g.Do(t, g.Root, "PUT", "/bucket", nil)
		if c.region == "us-east-1" {
			expect(t, what+", again", again, 200, "")
		} else {
			expect(t, what+", again", again, 409, "BucketAlreadyOwnedByYou")
		}
	}
}

func TestBucketsOfOthers(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	alice, bob := g.User(t, "alice"), g.User(t, "bob")
	if res := g.Do(t, alice, "PUT", "/alices", nil); res.Status != 200 {
		t.Fatalf("alice: %d %s", res.Status, res.Body)
	}
	g.Must(t, 200, "PUT", "/roots", nil)
	expect(t, "bob takes the name", g.Do(t, bob, "PUT", "/alices", nil), 409, "BucketAlreadyExists")
	expect(t, "bob deletes", g.Do(t, bob, "DELETE", "/alices", nil), 403, "AccessDenied")
	expect(t, "alice in root's", g.Do(t, alice, "GET", "/roots", nil), 403, "AccessDenied")
	expect(t, "bob asks for what is not there", g.Do(t, bob, "GET", "/nobodys", nil), 404, "NoSuchBucket")
	for name, want := range map[string][]string{"alice": {"alices"}, "bob": nil, "root": {"alices", "roots"}} {
		cred := map[string]gatewaytest.Response{"alice": g.Do(t, alice, "GET", "/", nil), "bob": g.Do(t, bob, "GET", "/", nil),
			"root": g.Do(t, g.Root, "GET", "/", nil)}[name]
		if got := elements(cred.Body, "Name"); !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", name, got, want)
		}
	}
	if res := g.Do(t, g.Root, "DELETE", "/alices", nil); res.Status != 204 {
		t.Errorf("root deletes: %d %s", res.Status, res.Body)
	}
}

// elements returns the texts of all elements with that name, as written.
func elements(doc []byte, name string) (all []string) {
	for _, rest := range strings.Split(string(doc), "<"+name+">")[1:] {
		text, _, _ := strings.Cut(rest, "</"+name+">")
		all = append(all, text)
	}
	return all
}

func TestListBucketsInPages(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("page-%d", i)
		want = append(want, name)
		g.Must(t, 200, "PUT", "/"+name, nil)
	}
	g.Must(t, 200, "PUT", "/zzz", nil)
	for _, size := range []int{1, 3, 7, 100} {
		var got []string
		token := ""
		for {
			target := fmt.Sprintf("/?prefix=page-&max-buckets=%d", size)
			if token != "" {
				target += "&continuation-token=" + token
			}
			res := g.Must(t, 200, "GET", target, nil)
			page := elements(res.Body, "Name")
			if len(page) > size {
				t.Fatalf("%d buckets on a page of %d", len(page), size)
			}
			got = append(got, page...)
			if token = res.Element("ContinuationToken"); token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v", size, got)
		}
	}
	for query, code := range map[string]string{
		"max-buckets=0": "InvalidArgument", "max-buckets=10001": "InvalidArgument", "max-buckets=x": "InvalidArgument",
		"max-buckets=": "InvalidArgument", "continuation-token=": "InvalidArgument", "continuation-token=%21": "InvalidArgument",
	} {
		expect(t, query, g.Do(t, g.Root, "GET", "/?"+query, nil), 400, code)
	}
	if res := g.Must(t, 200, "GET", "/?bucket-region=eu-west-1", nil); res.Element("Name") != "" {
		t.Errorf("another region has buckets: %s", res.Body)
	}
	if res := g.Must(t, 200, "GET", "/?bucket-region=us-east-1", nil); res.Element("BucketRegion") != "us-east-1" {
		t.Errorf("another region's listing has buckets: %s", res.Body)
	}
}

func TestWhatWasNeverConfigured(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{})
	g.Must(t, 200, "PUT", "/bucket", nil)
	g.Must(t, 200, "PUT", "/bucket/key", nil)
	owner := g.Engine.Accounts().Root().ID.Canonical()
	for target, want := range map[string]string{
		"/bucket?accelerate":             "<AccelerateConfiguration ",
		"/bucket?acl":                    "<ID>" + owner + "</ID>",
		"/bucket?encryption":             "<SSEAlgorithm>AES256</SSEAlgorithm>",
		"/bucket?logging":                "<BucketLoggingStatus ",
		"/bucket?notification":           "<NotificationConfiguration ",
		"/bucket?requestPayment":         "<Payer>BucketOwner</Payer>",
		"/bucket?versioning":             "<VersioningConfiguration ",
		"/bucket/key?acl":                "<Permission>FULL_CONTROL</Permission>",
		"/bucket/key?tagging":            "<TagSet></TagSet>",
		"/bucket/key?acl&versionId=null": "<Permission>FULL_CONTROL</Permission>",
	} {
		if res := g.Must(t, 200, "GET", target, nil); !strings.Contains(string(res.Body), want) {
			t.Errorf("%s: no %s in %s", target, want, res.Body)
		}
	}
	for target, code := range map[string]string{
		"/bucket?cors":              "NoSuchCORSConfiguration",
		"/bucket?lifecycle":         "NoSuchLifecycleConfiguration",
		"/bucket?object-lock":       "ObjectLockConfigurationNotFoundError",
		"/bucket?policy":            "NoSuchBucketPolicy",
		"/bucket?policyStatus":      "NoSuchBucketPolicy",
		"/bucket?publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
		"/bucket?replication":       "ReplicationConfigurationNotFoundError",
		"/bucket?tagging":           "NoSuchTagSet",
		"/bucket?website":           "NoSuchWebsiteConfiguration",
		"/bucket/none?acl":          "NoSuchKey",
		"/bucket/none?tagging":      "NoSuchKey",
		"/bucket/none?retention":    "NoSuchKey",
	} {
		expect(t, target, g.Do(t, g.Root, "GET", target, nil), 404, code)
	}
	expect(t, "retention", g.Do(t, g.Root, "GET", "/bucket/key?retention", nil), 400, "InvalidRequest")
	for _, target := range []string{"/bucket?replication", "/bucket/key?annotation"} {
		expect(t, "PUT "+target, g.Do(t, g.Root, "PUT", target, []byte("<x/>")), 501, "NotImplemented")
	}
}
