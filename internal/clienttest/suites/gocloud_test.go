package suites

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"testing"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/drivertest"
	"gocloud.dev/blob/s3blob"
)

// TestGoCloud is the conformance test that the Go Cloud Development Kit has for
// drivers of its buckets, for each way its driver of S3 may be told to go.
func TestGoCloud(t *testing.T) {
	for name, o := range map[string]s3blob.Options{
		"default":      {},
		"old-listing":  {UseLegacyList: true},
		"no-checksums": {RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired},
		"sse-s3":       {EncryptionType: "AES256"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &harness{gateway: fromEnvironment(), options: o}
			h.bucket = h.newBucket(t, "-"+name)
			drivertest.RunConformanceTests(t, func(context.Context, *testing.T) (drivertest.Harness, error) { return h, nil }, nil)
			h.empty(t)
		})
	}
}

// harness is what the conformance test asks for.
type harness struct {
	gateway
	options s3blob.Options
	bucket  string
}

func (h *harness) MakeDriver(ctx context.Context) (driver.Bucket, error) {
	return h.open(ctx, h.bucket)
}

func (h *harness) MakeDriverForNonexistentBucket(ctx context.Context) (driver.Bucket, error) {
	return h.open(ctx, h.bucket+"-none")
}

// open returns the driver within a bucket of the library, which shows it to its own
// tests alone.
func (h *harness) open(ctx context.Context, name string) (driver.Bucket, error) {
	b, err := s3blob.OpenBucket(ctx, h.client(), name, &h.options)
	if err != nil {
		return nil, err
	}
	field := reflect.ValueOf(b).Elem().FieldByName("b")
	return *(*driver.Bucket)(unsafe.Pointer(field.UnsafeAddr())), nil
}

// empty removes what the conformance test leaves for its next run.
func (h *harness) empty(t *testing.T) {
	t.Helper()
	b, err := s3blob.OpenBucket(t.Context(), h.client(), h.bucket, &h.options)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for list := b.List(nil); ; {
		o, err := list.Next(t.Context())
		if err == io.EOF {
			return
		}
		if err == nil {
			err = b.Delete(t.Context(), o.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (h *harness) HTTPClient() *http.Client         { return http.DefaultClient }
func (h *harness) SupportsCopy() bool               { return true }
func (h *harness) SupportsNonSlashDelimiters() bool { return true }
func (h *harness) SkipDownloadAt() bool             { return false }
func (h *harness) Close()                           {}
