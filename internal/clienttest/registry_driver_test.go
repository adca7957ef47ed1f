//go:build clients

package clienttest

import (
	"slices"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestRegistryDriver runs the registry's own tests of its S3 driver: streams that
// are gone on with, moves that copy by parts, walks, and deletions of folders.
func TestRegistryDriver(t *testing.T) { onEach(t, testRegistryDriver) }

func testRegistryDriver(t *testing.T, g *gateway) {
	t.Parallel()
	bucket := bucketName(t)
	must(t, newMinio(t, g).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	p := installed(t, g, servers.RegistryDriver).with(
		"AWS_ACCESS_KEY="+accessKey, "AWS_SECRET_KEY="+secretKey, "AWS_REGION="+region, "S3_BUCKET="+bucket,
		"REGION_ENDPOINT="+g.s3, "AWS_S3_FORCE_PATH_STYLE=true", "S3_SECURE=false", "S3_ACCELERATE=false", "S3_ENCRYPT=true")
	// Short leaves out an object of 5 GiB, and makes streams shorter.
	out, _, err := p.try("", "-test.v", "-test.short")
	passed, others := outcomes(out)
	if err != nil || passed < registryDriverTests || !slices.Equal(others, []string{"SKIP: TestS3DriverSuite/TestWriteReadLargeStreams"}) {
		t.Errorf("%v, %d passed, others: %q\n%s", err, passed, others, last(quiet.ReplaceAllString(out, "")))
	}
	noUploads(t, g, bucket)
}

// registryDriverTests is how many tests and parts of tests pass: without its
// settings the program skips most, and succeeds.
const registryDriverTests = 104
