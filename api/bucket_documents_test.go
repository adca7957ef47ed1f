package api

import (
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

// FuzzBucketDocuments checks that documents of bucket sub-resources are either
// refused as the client's fault or accepted, and that an accepted document is
// accepted again as it is shown.
func FuzzBucketDocuments(f *testing.F) {
	parsers := []func([]byte) (any, error){
		func(b []byte) (any, error) { w, err := parseWebsite(b); return w, err },
		func(b []byte) (any, error) {
			l, err := parseLogging(b)
			if l == nil {
				return emptyElement("BucketLoggingStatus"), err
			}
			return loggingStatus(*l), err
		},
		func(b []byte) (any, error) {
			c, err := parseInventory(b, new(unsupported))
			if c == nil {
				return nil, err
			}
			return inventoryConfiguration(*c), err
		},
	}
	f.Add(0, []byte(`<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition><Redirect><ReplaceKeyWith>b</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>`))
	f.Add(0, []byte(`<WebsiteConfiguration><RedirectAllRequestsTo><HostName>a</HostName></RedirectAllRequestsTo></WebsiteConfiguration>`))
	f.Add(1, []byte(`<BucketLoggingStatus><LoggingEnabled><TargetBucket>t</TargetBucket><TargetPrefix>p</TargetPrefix><TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat></LoggingEnabled></BucketLoggingStatus>`))
	f.Add(2, []byte(`<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::t</Bucket><Format>CSV</Format></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>i</Id><IncludedObjectVersions>All</IncludedObjectVersions><OptionalFields><Field>Size</Field></OptionalFields><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>`))
	f.Fuzz(func(t *testing.T, which int, document []byte) {
		parse := parsers[uint(which)%uint(len(parsers))]
		shown, err := parse(document)
		if err != nil {
			if codeOf(err) == s3err.InternalError {
				t.Fatal(err)
			}
			return
		}
		first := appendDocument(nil, shown)
		again, err := parse(first)
		if err != nil {
			t.Fatalf("%s is shown as %s: %v", document, first, err)
		}
		if second := appendDocument(nil, again); string(first) != string(second) {
			t.Errorf("%s became %s", first, second)
		}
	})
}
