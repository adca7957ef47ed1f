package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

const someRule = "<CORSRule><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"

func someTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<Tag><Key>k%d</Key><Value>v</Value></Tag>", i)
	}
	return "<Tagging><TagSet>" + b.String() + "</TagSet></Tagging>"
}

func logTo(inner string) string {
	return "<BucketLoggingStatus><LoggingEnabled>" + inner + "</LoggingEnabled></BucketLoggingStatus>"
}

// inventoryTo makes an InventoryConfiguration with some of its elements
// replaced.
func inventoryTo(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`<InventoryConfiguration><Destination><S3BucketDestination><AccountId>1</AccountId>` +
		`<Bucket>arn:aws:s3:::target</Bucket><Encryption><SSE-S3></SSE-S3></Encryption><Format>CSV</Format><Prefix>inv/</Prefix></S3BucketDestination></Destination>` +
		`<IsEnabled>true</IsEnabled><Filter><Prefix>a/</Prefix></Filter><Id>daily</Id><IncludedObjectVersions>All</IncludedObjectVersions>` +
		`<OptionalFields><Field>Size</Field><Field>ETag</Field></OptionalFields><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>`)
}

// subresources are bucket sub-resources with a document that is accepted and
// shown as it was sent, and documents that are refused, each with its code.
var subresources = []struct {
	query, absent string // absent is the code of a GET without a configuration; empty: a document without content
	put           int
	good          string // without the namespace
	bad           map[string]string
}{
	{"cors", "NoSuchCORSConfiguration", 200,
		"<CORSConfiguration><CORSRule><ID>i</ID><AllowedHeader>x-*</AllowedHeader><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>" +
			"<AllowedOrigin>https://*.example</AllowedOrigin><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>9</MaxAgeSeconds></CORSRule></CORSConfiguration>", map[string]string{
			"<CORSConfiguration/>": "MalformedXML", "": "MissingRequestBodyError", "x": "MalformedXML",
			"<CORSConfiguration>" + strings.Repeat(someRule, 101) + "</CORSConfiguration>":                "InvalidRequest",
			"<CORSConfiguration>" + someRule + strings.Repeat(" ", 64<<10) + "</CORSConfiguration>":       "MaxMessageLengthExceeded",
			"<CORSConfiguration>" + strings.ReplaceAll(someRule, "GET", "PATCH") + "</CORSConfiguration>": "InvalidRequest",
		}},
	{"tagging", "NoSuchTagSet", 204, someTags(50), map[string]string{
		someTags(51): "BadRequest", "<Tagging/>": "MalformedXML", "": "MissingRequestBodyError",
		"<Tagging><TagSet><Tag><Key>aws:a</Key><Value>b</Value></Tag></TagSet></Tagging>": "InvalidTag",
	}},
	{"lifecycle", "NoSuchLifecycleConfiguration", 200,
		"<LifecycleConfiguration><Rule><ID>a</ID><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>" +
			"<Status>Enabled</Status><Expiration><Date>2031-01-01T00:00:00.000Z</Date></Expiration></Rule><Rule><ID>b</ID><Prefix>old/</Prefix><Status>Disabled</Status>" +
			"<Expiration><Days>3</Days></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>", map[string]string{
			"<LifecycleConfiguration/>": "MalformedXML", "": "MissingRequestBodyError",
			"<LifecycleConfiguration><Rule><Prefix/><Status>Enabled</Status><Expiration><Days>0</Days></Expiration></Rule></LifecycleConfiguration>": "InvalidArgument",
			"<LifecycleConfiguration><Rule><Prefix/><Status>Enabled</Status></Rule></LifecycleConfiguration>":                                        "InvalidRequest",
		}},
	{"logging", "", 200,
		logTo("<TargetBucket>target</TargetBucket><TargetPrefix>log/</TargetPrefix><TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>"), map[string]string{
			logTo("<TargetBucket>none</TargetBucket><TargetPrefix/>"):                           "InvalidTargetBucketForLogging",
			logTo("<TargetBucket>alices</TargetBucket><TargetPrefix/>"):                         "InvalidTargetBucketForLogging",
			logTo("<TargetBucket>target</TargetBucket>"):                                        "MalformedXML",
			logTo("<TargetBucket>target</TargetBucket><TargetPrefix/><TargetObjectKeyFormat/>"): "MalformedXML",
			logTo("<TargetBucket>target</TargetBucket><TargetPrefix>" + strings.Repeat("p",
				801) + "</TargetPrefix>"): "InvalidArgument",
			logTo("<TargetBucket>target</TargetBucket><TargetPrefix/><TargetGrants><Grant><Grantee><ID>1</ID></Grantee><Permission>READ</Permission></Grant></TargetGrants>"): "AccessControlListNotSupported",
		}},
	{"inventory&id=daily", "NoSuchConfiguration", 200, inventoryTo(), map[string]string{
		inventoryTo("<Id>daily</Id>", "<Id>other</Id>"):                         "InvalidArgument",
		inventoryTo(":::target", ":::none"):                                     "InvalidS3DestinationBucket",
		inventoryTo(":::target", ":::alices"):                                   "InvalidS3DestinationBucket",
		inventoryTo("arn:aws:s3:::", ""):                                        "InvalidS3DestinationBucket",
		inventoryTo("CSV", "ORC"):                                               "NotImplemented",
		inventoryTo("CSV", "TSV"):                                               "MalformedXML",
		inventoryTo("<Field>Size</Field>", "<Field>ETag</Field>"):               "MalformedXML",
		inventoryTo("<Field>Size</Field>", "<Field>Sise</Field>"):               "MalformedXML",
		inventoryTo("Daily", "Hourly"):                                          "MalformedXML",
		inventoryTo("All", "None"):                                              "MalformedXML",
		inventoryTo("<IsEnabled>true</IsEnabled>", ""):                          "MalformedXML",
		inventoryTo("<SSE-S3></SSE-S3>", "<SSE-KMS><KeyId>k</KeyId></SSE-KMS>"): "NotImplemented",
	}},
	{"accelerate", "", 200, "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>", map[string]string{
		"<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>": "NotImplemented",
		"<AccelerateConfiguration><Status>on</Status></AccelerateConfiguration>":      "MalformedXML",
	}},
}

// shown makes a document as it is answered: without header and namespace.
func shown(res gatewaytest.Response) string {
	_, rest, _ := strings.Cut(string(res.Body), "\n")
	return strings.Replace(rest, ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`, "", 1)
}

func TestBucketSubresources(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/target", nil)
	alice := g.User(t, "alice")
	if res := g.Do(t, alice, "PUT", "/alices", nil); res.Status != 200 {
		t.Fatal(res.Status)
	}
	for _, sub := range subresources {
		target := "/bkt?" + sub.query
		absent := func(when string) {
			res := g.Do(t, g.Root, "GET", target, nil)
			if sub.absent != "" {
				expect(t, sub.query+" "+when, res, 404, sub.absent)
			} else if res.Status != 200 || strings.Count(string(res.Body), "<") != 3 {
				t.Errorf("%s %s: %d %s", sub.query, when, res.Status, res.Body)
			}
		}
		absent("at first")
		for document, code := range sub.bad {
			res := g.Do(t, g.Root, "PUT", target, []byte(document))
			if res.Code() != code {
				t.Errorf("%s, %.200s: %d %s", sub.query, document, res.Status, res.Body)
			}
		}
		absent("after what was refused")
		g.Must(t, sub.put, "PUT", target, []byte(sub.good))
		if got := shown(g.Must(t, 200, "GET", target, nil)); got != sub.good {
			t.Errorf("%s: shown as\n%s\nnot\n%s", sub.query, got, sub.good)
		}
		for document := range sub.bad {
			g.Do(t, g.Root, "PUT", target, []byte(document))
		}
		if got := shown(g.Must(t, 200, "GET", target, nil)); got != sub.good {
			t.Errorf("%s: a refused document changed it to %s", sub.query, got)
		}
		if sub.absent == "" {
			continue // it has no DELETE
		}
		g.Must(t, 204, "DELETE", target, nil)
		absent("after it was deleted")
	}
	g.Must(t, 200, "PUT", "/bkt?logging", []byte("<BucketLoggingStatus/>"))
	if got := shown(g.Must(t, 200, "GET", "/bkt?logging", nil)); got != "<BucketLoggingStatus></BucketLoggingStatus>" {
		t.Errorf("logging, turned off: %s", got)
	}
}

func TestBucketMadeWithTags(t *testing.T) {
	g := start(t)
	make := func(name, tags string) gatewaytest.Response {
		return g.Do(t, g.User(t, "owner-of-"+name), "PUT", "/"+name, []byte("<CreateBucketConfiguration><Tags>"+tags+"</Tags></CreateBucketConfiguration>"))
	}
	tags := "<Tag><Key>team</Key><Value>a</Value></Tag><Tag><Key>cost</Key><Value></Value></Tag>"
	expect(t, "tags", make("tagged", tags), 200, "")
	if got := shown(g.Must(t, 200, "GET", "/tagged?tagging", nil)); got != "<Tagging><TagSet>"+tags+"</TagSet></Tagging>" {
		t.Errorf("shown as %s", got)
	}
	expect(t, "bad tags", make("spoilt", "<Tag><Key>aws:a</Key><Value>b</Value></Tag>"), 400, "InvalidTag")
	expect(t, "the bucket", g.Do(t, g.Root, "HEAD", "/spoilt", nil), 404, "")
}

// Every bucket has its own settings; a bucket created again under its name has
// none.
func TestSubresourcesStayWithTheirBucket(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/other", nil)
	g.Must(t, 204, "PUT", "/bkt?tagging", []byte(someTags(1)))
	expect(t, "another bucket", g.Do(t, g.Root, "GET", "/other?tagging", nil), 404, "NoSuchTagSet")
	g.Must(t, 204, "DELETE", "/bkt", nil)
	g.Must(t, 200, "PUT", "/bkt", nil)
	expect(t, "made again", g.Do(t, g.Root, "GET", "/bkt?tagging", nil), 404, "NoSuchTagSet")
}

func TestInventoryList(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/target", nil)
	for i := range 103 {
		id := fmt.Sprintf("i%03d", i)
		g.Must(t, 200, "PUT", "/bkt?inventory&id="+id, []byte(inventoryTo("<Id>daily</Id>", "<Id>"+id+"</Id>")))
	}
	first := g.Must(t, 200, "GET", "/bkt?inventory", nil)
	if n := strings.Count(string(first.Body), "<Id>"); n != 100 || first.Element("IsTruncated") != "true" || first.Element("Id") != "i000" {
		t.Errorf("first page: %d, %s", n, first.Element("Id"))
	}
	rest := g.Must(t, 200, "GET", "/bkt?inventory&continuation-token="+first.Element("NextContinuationToken"), nil)
	if n := strings.Count(string(rest.Body), "<Id>"); n != 3 || rest.Element("IsTruncated") != "false" || rest.Element("Id") != "i100" {
		t.Errorf("second page: %d, %s", n, rest.Body)
	}
	for _, id := range []string{"", "a/b", strings.Repeat("i", 65)} {
		expect(t, id, g.Do(t, g.Root, "PUT", "/bkt?inventory&id="+id, []byte(inventoryTo())), 400, "InvalidArgument")
	}
	long := strings.Repeat("i", 64)
	g.Must(t, 200, "PUT", "/bkt?inventory&id="+long, []byte(inventoryTo("<Id>daily</Id>", "<Id>"+long+"</Id>")))
	expect(t, "deleted twice", g.Do(t, g.Root, "DELETE", "/bkt?inventory&id=none", nil), 404, "NoSuchConfiguration")
}

// Unsupported settings are refused by name; settings that ask for the fixed
// behaviour are accepted.
func TestConfigurationsWithoutEffect(t *testing.T) {
	g := start(t)
	put := func(query, document string, status int, code string) {
		t.Helper()
		expect(t, query+" "+document, g.Do(t, g.Root, "PUT", "/bkt?"+query, []byte(document)), status, code)
	}
	put("requestPayment", "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>", 200, "")
	put("requestPayment", "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>", 501, "NotImplemented")
	put("requestPayment", "<RequestPaymentConfiguration><Payer>Me</Payer></RequestPaymentConfiguration>", 400, "MalformedXML")
	put("notification", "<NotificationConfiguration/>", 200, "")
	put("notification",
		"<NotificationConfiguration><QueueConfiguration><Id>a</Id><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>", 400, "InvalidArgument")
	put("notification", "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>", 400, "InvalidArgument")
	put("notification", "<NotificationConfiguration><Webhook/></NotificationConfiguration>", 400, "MalformedXML")
	put("replication", "<ReplicationConfiguration/>", 501, "NotImplemented")
	g.Must(t, 204, "DELETE", "/bkt?replication", nil)
	for _, kind := range []string{"analytics", "metrics", "intelligent-tiering"} {
		put(kind+"&id=a", "<x/>", 501, "NotImplemented")
		expect(t, kind, g.Do(t, g.Root, "GET", "/bkt?"+kind+"&id=a", nil), 404, "NoSuchConfiguration")
		expect(t, kind, g.Do(t, g.Root, "DELETE", "/bkt?"+kind+"&id=a", nil), 404, "NoSuchConfiguration")
		if res := g.Must(t, 200, "GET", "/bkt?"+kind, nil); res.Element("IsTruncated") != "false" {
			t.Errorf("%s: %s", kind, res.Body)
		}
	}
}
