package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

func loggingInto(bucket, prefix string) []byte {
	return []byte("<BucketLoggingStatus><LoggingEnabled><TargetBucket>" + bucket + "</TargetBucket><TargetPrefix>" + prefix + "</TargetPrefix></LoggingEnabled></BucketLoggingStatus>")
}

func inventoryInto(bucket, prefix string) []byte {
	return []byte("<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::" + bucket + "</Bucket><Format>CSV</Format><Prefix>" + prefix +
		"</Prefix></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>i</Id><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>")
}

// reports are the settings that name a bucket to write to.
var reports = []struct {
	name, query, service, refused string
	document                      func(bucket, prefix string) []byte
}{
	{"logging", "/bucket?logging", "logging.s3.amazonaws.com", "InvalidTargetBucketForLogging", loggingInto},
	{"inventory", "/bucket?inventory&id=i", "s3.amazonaws.com", "InvalidS3DestinationBucket", inventoryInto},
}

// configuring gives the right to configure alice's bucket, and no right
// elsewhere.
const configuring = `{"Effect":"Allow","Action":["s3:PutBucketLogging","s3:PutInventoryConfiguration"],"Resource":"arn:aws:s3:::bucket"}`

// deliver delivers everything that is due, and returns the keys of the target.
func deliver(t *testing.T, g *gatewaytest.Gateway, alice accounts.Credential) (keys string, err error) {
	t.Helper()
	logged := strings.Contains(string(g.Do(t, alice, "GET", "/bucket?logging", nil).Body), "LoggingEnabled")
	for n := 0; logged && n == 0 && err == nil; { // the request is logged after its answer
		var r api.LogReport
		r, err = g.API.DeliverLogs(t.Context(), true)
		n = r.Delivered + r.Dropped
	}
	for range 100 {
		r, failed := g.Inventories.Step(t.Context())
		if failed != nil {
			err = failed
		}
		if !r.More {
			break
		}
	}
	return string(g.Do(t, alice, "GET", "/target?list-type=2", nil).Body), err
}

// TestReportsGoWhereTheirMakerMayWrite configures each report by several users.
// It is accepted from users who may write to the target, or if the target's
// policy lets the service write.
func TestReportsGoWhereTheirMakerMayWrite(t *testing.T) {
	put := func(resource string) string {
		return configuring + `,{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::` + resource + `"}`
	}
	service := func(source, account string) string {
		return `{"Effect":"Allow","Principal":{"Service":"%s"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::target/x/*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::` +
			source + `"},"StringEquals":{"aws:SourceAccount":"` + account + `"}}}`
	}
	for _, c := range []struct {
		name, own, target string // the user's own policy and the target's
		allow             bool
	}{
		{"no right there", configuring, "", false},
		{"the right", put("target/*"), "", true},
		{"under the prefix", put("target/x/*"), "", true},
		{"under another prefix", put("target/y/*"), "", false},
		{"of the prefix alone", put("target/x/"), "", false},
		{"to some of the names", put("target/x/bucket/i/data/*"), "", false},
		{"in another bucket", put("bucket/*"), "", false},
		{"denied by the target", put("target/*"), `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::target/x/*"}`, false},
		{"denied by a condition", put("target/*"),
			`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::target/*","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"},"Bool":{"aws:PrincipalIsAWSService":"false"}}}`, false},
		{"by the target's policy for the service", configuring, service("bucket", "ACCOUNT"), true},
		{"for the service of another bucket", configuring, service("other", "ACCOUNT"), false},
		{"for the service of another account", configuring, service("bucket", "123456789012"), false},
		{"for another service", configuring, strings.Replace(service("bucket", "ACCOUNT"), "%s", "ec2.amazonaws.com", 1), false},
		{"to read there", configuring + `,{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::target/*"}`, "", false},
	} {
		for _, report := range reports {
			t.Run(c.name+" "+report.name, func(t *testing.T) {
				h := newHousehold(t)
				expect(t, "target", h.g.Do(t, h.alice, "PUT", "/target", nil), 200, "")
				if c.target != "" {
					policy := strings.ReplaceAll(strings.Replace(c.target, "%s", report.service, 1), "ACCOUNT", accounts.Account(h.alice.Tenant.ID))
					expect(t, "policy", h.g.Do(t, h.alice, "PUT", "/target?policy", policyOf(policy)), 204, "")
				}
				_, user := h.user(t, h.alice, "maker", string(policyOf(c.own)))
				res := h.g.Do(t, user, "PUT", report.query, report.document("target", "x/"))
				if c.allow && res.Status != 200 || !c.allow && res.Code() != report.refused {
					t.Fatalf("%d %s", res.Status, res.Body)
				}
				if keys, err := deliver(t, h.g, h.alice); strings.Contains(keys, "<Key>x/") != c.allow {
					t.Errorf("delivered: %s, %v", keys, err)
				}
				if !strings.Contains(c.name, "service") {
					return
				}
				// A right by the policy lasts as long as the policy.
				expect(t, "no policy", h.g.Do(t, h.alice, "DELETE", "/target?policy", nil), 204, "")
				if before, _ := deliver(t, h.g, h.alice); c.allow && report.name == "logging" {
					if after, err := deliver(t, h.g, h.alice); strings.Count(after, "<Key>") != strings.Count(before, "<Key>") || err == nil {
						t.Errorf("still delivered: %v", err)
					}
				}
			})
		}
	}
}

// TestReportsOfStrangers: a stranger with every right to a bucket can direct
// its reports to no other bucket.
func TestReportsOfStrangers(t *testing.T) {
	h := newHousehold(t)
	expect(t, "target", h.g.Do(t, h.alice, "PUT", "/target", nil), 200, "")
	expect(t, "hers", h.g.Do(t, h.mallory, "PUT", "/hers", nil), 200, "")
	expect(t, "policy", h.g.Do(t, h.alice, "PUT", "/bucket?policy", policyOf(`{"Effect":"Allow","Principal":{"AWS":"`+accounts.Account(h.mallory.Tenant.ID)+
		`"},"Action":"s3:*","Resource":["arn:aws:s3:::bucket","arn:aws:s3:::bucket/*"]}`)), 204, "")
	for _, report := range reports {
		for _, target := range []string{"target", "hers", "absent"} {
			expect(t, report.name+" to "+target, h.g.Do(t, h.mallory, "PUT", report.query, report.document(target, "x/")), 400, report.refused)
		}
		expect(t, report.name+" to the bucket itself", h.g.Do(t, h.mallory, "PUT", report.query, report.document("bucket", "x/")), 200, "")
	}
}

// TestDenialStopsDelivery: each delivery asks the target's policy.
func TestDenialStopsDelivery(t *testing.T) {
	for _, principal := range []string{`"*"`, `{"Service":"%s"}`} {
		for _, report := range reports {
			h := newHousehold(t)
			expect(t, "target", h.g.Do(t, h.alice, "PUT", "/target", nil), 200, "")
			expect(t, report.name, h.g.Do(t, h.alice, "PUT", report.query, report.document("target", "x/")), 200, "")
			principal := strings.Replace(principal, "%s", report.service, 1)
			expect(t, "deny", h.g.Do(t, h.alice, "PUT", "/target?policy",
				policyOf(`{"Effect":"Deny","Principal":`+principal+`,"Action":"s3:PutObject","Resource":"arn:aws:s3:::target/x/*"}`)), 204, "")
			if keys, err := deliver(t, h.g, h.alice); strings.Contains(keys, "<Key>") || err == nil {
				t.Errorf("%s, denied to %s: %v %s", report.name, principal, err, keys)
			}
		}
	}
}

// TestInventoryWritesOverNothing: objects with the names of a list stay, and
// the list gets other names.
func TestInventoryWritesOverNothing(t *testing.T) {
	day := time.Now().UTC().Format("2006-01-02")
	for _, taken := range []string{"x/bucket/i/" + day + "T00-00Z/manifest.json", "x/bucket/i/hive/dt=" + day + "-00-00/symlink.txt"} {
		h := newHousehold(t)
		expect(t, "target", h.g.Do(t, h.alice, "PUT", "/target", nil), 200, "")
		expect(t, "taken", h.g.Do(t, h.alice, "PUT", "/target/"+taken, []byte("hers")), 200, "")
		expect(t, "inventory", h.g.Do(t, h.alice, "PUT", reports[1].query, inventoryInto("target", "x")), 200, "")
		keys, err := deliver(t, h.g, h.alice)
		if err != nil || !strings.Contains(keys, "T00-01Z/manifest.checksum") || strings.Contains(keys, "T00-00Z/manifest.checksum") {
			t.Errorf("%s: %v %s", taken, err, keys)
		}
		if got := h.g.Do(t, h.alice, "GET", "/target/"+taken, nil).Body; string(got) != "hers" {
			t.Errorf("%s holds %q", taken, got)
		}
		again, err := deliver(t, h.g, h.alice)
		if err != nil || strings.Count(again, "<Key>") != strings.Count(keys, "<Key>") {
			t.Errorf("written twice: %v %s", err, again)
		}
	}
}

// TestConditionsOfTargets: the target's policy takes part in full, although
// neither the source bucket nor its creator has a policy.
func TestConditionsOfTargets(t *testing.T) {
	for _, report := range reports {
		h := newHousehold(t)
		expect(t, "target", h.g.Do(t, h.alice, "PUT", "/target", nil), 200, "")
		expect(t, "policy", h.g.Do(t, h.alice, "PUT", "/target?policy",
			policyOf(`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::target/*",
			"Condition":{"IpAddress":{"aws:SourceIp":["127.0.0.0/8","::1/128"]}}}`)), 204, "")
		expect(t, report.name, h.g.Do(t, h.alice, "PUT", report.query, report.document("target", "x/")), 400, report.refused)
	}
}
