package suites

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// gateway is the server under test, as the environment names it.
type gateway struct {
	endpoint, region, accessKey, secretKey string
}

func TestMain(m *testing.M) {
	for _, name := range []string{"ENDPOINT", "BUCKET", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if os.Getenv(name) == "" {
			fmt.Fprintf(os.Stderr, "%s is not set: the tests of package clienttest run this program\n", name)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

func fromEnvironment() gateway {
	return gateway{
		endpoint: os.Getenv("ENDPOINT"), region: os.Getenv("AWS_DEFAULT_REGION"),
		accessKey: os.Getenv("AWS_ACCESS_KEY_ID"), secretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
	}
}

// client tries nothing twice: a second try would hide the failure of the first.
func (g gateway) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &g.endpoint, Region: g.region, UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(g.accessKey, g.secretKey, ""),
	})
}

// newBucket makes a bucket, which the test must have emptied when it ends: neither
// objects nor uploads are left in it.
func (g gateway) newBucket(t *testing.T, suffix string) string {
	t.Helper()
	name, c := os.Getenv("BUCKET")+suffix, g.client()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		uploads, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &name})
		if err != nil {
			t.Error(err)
		} else if n := len(uploads.Uploads); n > 0 {
			t.Errorf("%d uploads were left behind", n)
		}
		if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name}); err != nil {
			t.Error(err)
		}
	})
	return name
}

// address is the endpoint without its scheme, which is plain HTTP.
func (g gateway) address() string { return strings.TrimPrefix(g.endpoint, "http://") }
