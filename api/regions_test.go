package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// signedFor sends a request that is signed for a region.
func signedFor(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, region, method, target string, body []byte, presigned bool) gatewaytest.Response {
	t.Helper()
	r := g.Request(t, method, target, body)
	if presigned {
		u, err := sigv4.Presign(r, c.AccessKey, c.SecretKey, region, "s3", time.Hour, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if r.URL, err = r.URL.Parse(u); err != nil {
			t.Fatal(err)
		}
	} else if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, region, "s3", sigv4.PayloadHash(body), time.Now()); err != nil {
		t.Fatal(err)
	}
	return g.Send(t, r)
}

// A client is told that the bucket is in the region that it signed for. The
// location is the first region, for all clients.
func TestSignedRegions(t *testing.T) {
	for _, test := range []struct {
		name     string
		options  gatewaytest.Options
		taken    []string
		refused  []string
		location string
	}{
		{"one", gatewaytest.Options{Region: "eu-west-1"}, []string{"eu-west-1"}, []string{"us-east-1", "", "localhost"}, "eu-west-1"},
		{"several", gatewaytest.Options{Region: "eu-west-1", Regions: []string{"us-east-1", "garage"}},
			[]string{"eu-west-1", "us-east-1", "garage"}, []string{"", "localhost", "us-east-2"}, "eu-west-1"},
		{"any", gatewaytest.Options{Region: "eu-west-1", AnyRegion: true},
			[]string{"eu-west-1", "us-east-1", "", "minio.example.com:9000", "EU"}, []string{"a b"}, "eu-west-1"},
		{"any, the default", gatewaytest.Options{AnyRegion: true}, []string{"us-east-1", "mars-1"}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := gatewaytest.Start(t, test.options)
			denied := g.User(t, "denied")
			for i, region := range test.taken {
				bucket := "/bucket" + string(rune('a'+i))
				var body []byte
				if region != "" {
					body = configuration(region)
				}
				if res := signedFor(t, g, g.Root, region, "PUT", bucket, body, false); res.Status != 200 {
					t.Errorf("make a bucket in %q: %d %s", region, res.Status, res.Body)
					continue
				}
				shown := region
				if shown == "" {
					shown = g.Region
				}
				for who, want := range map[*accounts.Credential]int{&g.Root: 200, &denied: 403} {
					for _, presigned := range []bool{false, true} {
						res := signedFor(t, g, *who, region, "HEAD", bucket, nil, presigned)
						if res.Status != want || res.Header.Get("X-Amz-Bucket-Region") != shown {
							t.Errorf("HEAD signed for %q: %d, region %q, want %d, %q", region, res.Status, res.Header.Get("X-Amz-Bucket-Region"), want, shown)
						}
					}
				}
				if res := g.Send(t, g.Request(t, "HEAD", bucket, nil)); res.Header.Get("X-Amz-Bucket-Region") != g.Region {
					t.Errorf("unsigned HEAD: %d, region %q", res.Status, res.Header.Get("X-Amz-Bucket-Region"))
				}
				res := signedFor(t, g, g.Root, region, "GET", bucket+"?location", nil, false)
				if want := `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + test.location + `</LocationConstraint>`; !strings.HasSuffix(string(res.Body), want) {
					t.Errorf("location of a bucket made in %q: %s", region, res.Body)
				}
				if res := signedFor(t, g, g.Root, region, "PUT", bucket+"/key", []byte("x"), false); res.Status != 200 {
					t.Errorf("put, signed for %q: %d %s", region, res.Status, res.Body)
				}
				// A name that is not configured and that this client did not
				// sign for is refused.
				if res := signedFor(t, g, g.Root, region, "PUT", "/elsewhere", configuration("ap-moon-1"), false); res.Code() != "InvalidLocationConstraint" {
					t.Errorf("a bucket elsewhere: %d %s", res.Status, res.Body)
				}
			}
			for _, region := range test.refused {
				res := signedFor(t, g, g.Root, region, "GET", "/", nil, false)
				if res.Code() != "AuthorizationHeaderMalformed" || res.Element("Region") != g.Region {
					t.Errorf("signed for %q: %d %s", region, res.Status, res.Body)
				}
			}
		})
	}
}

// New buckets get the deployment's ownership unless their creators ask for
// another, and keep it.
func TestDefaultOwnership(t *testing.T) {
	for _, def := range []access.Ownership{"", access.BucketOwnerEnforced, access.BucketOwnerPreferred, access.ObjectWriter} {
		t.Run(string(def), func(t *testing.T) {
			g := gatewaytest.Start(t, gatewaytest.Options{Ownership: def})
			want := def
			if want == "" {
				want = access.BucketOwnerEnforced
			}
			shown := func(bucket string, want access.Ownership) {
				t.Helper()
				if got := g.Must(t, 200, "GET", bucket+"?ownershipControls", nil).Element("ObjectOwnership"); got != string(want) {
					t.Errorf("%s: %s, want %s", bucket, got, want)
				}
			}
			g.Must(t, 200, "PUT", "/plain", nil)
			shown("/plain", want)
			status := 200
			if want == access.BucketOwnerEnforced {
				status = 400
			}
			g.Must(t, status, "PUT", "/shared", nil, "X-Amz-Acl", "public-read")
			g.Must(t, status, "PUT", "/plain?acl", nil, "X-Amz-Acl", "public-read")
			for _, o := range []access.Ownership{access.BucketOwnerEnforced, access.BucketOwnerPreferred, access.ObjectWriter} {
				bucket := "/asked-" + map[access.Ownership]string{access.BucketOwnerEnforced: "a", access.BucketOwnerPreferred: "b", access.ObjectWriter: "c"}[o]
				g.Must(t, 200, "PUT", bucket, nil, "X-Amz-Object-Ownership", string(o))
				shown(bucket, o)
			}
			b, err := g.Engine.Buckets().Create(t.Context(), "started", "", g.Root.Tenant.ID)
			if err == nil {
				err = api.SetOwnership(t.Context(), g.Engine, b, def)
			}
			if err != nil {
				t.Fatal(err)
			}
			shown("/started", want)
			g.Must(t, http.StatusNoContent, "DELETE", "/plain?ownershipControls", nil)
			g.Must(t, 404, "GET", "/plain?ownershipControls", nil)
		})
	}
}
