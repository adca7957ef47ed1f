package api_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/s3err"
)

const ownedBy = `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`

// change is a request that changes a setting of bkt, or of its object k.
type change struct {
	method, target, document string
	headers                  []string
}

func (c change) String() string { return c.method + " " + c.target }

// bucketChanges are all requests that change the row of a bucket or a setting
// of it.
func bucketChanges() []change {
	changes := []change{
		{"PUT", "/bkt?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", nil},
		{"PUT", "/bkt?object-lock", "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>", nil},
		{"PUT", "/bkt?policy",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bkt/x"}]}`, nil},
		{"DELETE", "/bkt?policy", "", nil},
		{"PUT", "/bkt?acl", "", []string{"X-Amz-Acl", "private"}},
		{"PUT", "/bkt?ownershipControls", ownedBy, nil},
		{"PUT", "/bkt?publicAccessBlock", "<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>", nil},
		{"DELETE", "/bkt?publicAccessBlock", "", nil},
		{"PUT", "/bkt?website", "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>", nil},
		{"DELETE", "/bkt?website", "", nil},
		{"PUT", "/bkt?encryption",
			"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>", nil},
		{"DELETE", "/bkt?encryption", "", nil},
	}
	for _, s := range subresources {
		changes = append(changes, change{"PUT", "/bkt?" + s.query, s.good, nil})
		if s.absent != "" {
			changes = append(changes, change{"DELETE", "/bkt?" + s.query, "", nil})
		}
	}
	return changes
}

// objectChanges are all requests that change the object k without creating
// another.
func objectChanges() []change {
	return []change{
		{"PUT", "/bkt/k?tagging", someTags(2), nil},
		{"DELETE", "/bkt/k?tagging", "", nil},
		{"PUT", "/bkt/k?acl", "", []string{"X-Amz-Acl", "private"}},
		{"PUT", "/bkt/k?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>", nil},
		{"PUT", "/bkt/k?retention", "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2035-01-01T00:00:00Z</RetainUntilDate></Retention>", nil},
	}
}

// twins are two gateways of one deployment, with a bucket and an object for all
// these changes.
func twins(t *testing.T) []*gatewaytest.Gateway {
	a := gatewaytest.Start(t, gatewaytest.Options{Several: true})
	b := gatewaytest.Start(t, gatewaytest.Options{Several: true, Store: a.Store, Backend: a.Backend, Keys: a.Keys})
	b.Root = a.Root
	a.Must(t, 200, "PUT", "/target", nil)
	a.Must(t, 200, "PUT", "/bkt", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true", "X-Amz-Object-Ownership", "ObjectWriter")
	a.Must(t, 200, "PUT", "/bkt/k", nil)
	return []*gatewaytest.Gateway{a, b}
}

// atOnce sends the requests concurrently, alternating between the gateways.
// None may be refused.
func atOnce(t *testing.T, gateways []*gatewaytest.Gateway, changes ...change) {
	t.Helper()
	var wg sync.WaitGroup
	for i, c := range changes {
		for j, g := range gateways {
			wg.Go(func() {
				res := g.Do(t, g.Root, c.method, c.target, []byte(c.document), c.headers...)
				if (res.Status < 200 || res.Status > 299) && !strings.Contains(res.Code(), "NoSuch") {
					t.Errorf("%v (%d, at gateway %d) among %v: %d %s", c, i, j, changes, res.Status, res.Body)
				}
			})
		}
	}
	wg.Wait()
}

func TestSettingsWrittenAtOnce(t *testing.T) {
	for of, changes := range map[string][]change{"bucket": bucketChanges(), "object": objectChanges()} {
		t.Run(of, func(t *testing.T) {
			g := twins(t)
			for i, one := range changes {
				for _, other := range changes[i:] {
					atOnce(t, g, one, other)
				}
			}
			for range 4 {
				atOnce(t, g, changes...)
			}
			for _, s := range subresources { // concurrent writes are there
				atOnce(t, g[:1], change{"PUT", "/bkt?" + s.query, s.good, nil},
					change{"PUT", "/bkt?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", nil})
				if got := shown(g[1].Must(t, 200, "GET", "/bkt?"+s.query, nil)); got != s.good {
					t.Errorf("%s is shown as %s", s.query, got)
				}
			}
		})
	}
}

// Many requests at one gateway are served in turn.
func TestCrowdAtOneBucket(t *testing.T) {
	crowd := make([]change, 300)
	for i := range crowd {
		crowd[i] = change{"PUT", "/bkt?tagging", someTags(1 + i%50), nil}
	}
	atOnce(t, twins(t)[:1], crowd...)
}

// Clients decide by this message: Terraform's provider retries on exactly these
// words.
func TestConflictsSayToTryAgain(t *testing.T) {
	if m := s3err.OperationAborted.Message(); !strings.HasSuffix(m, "Please try again.") {
		t.Errorf("the message of OperationAborted is %q", m)
	}
}
