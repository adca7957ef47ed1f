package clienttest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

func TestBoto3(t *testing.T) { onEach(t, testBoto3) }

func testBoto3(t *testing.T, g *gateway) {
	t.Parallel()
	testScript(t, g, require(t, g, "/usr/bin/python3", "python3-boto3"), script(t, "testdata/boto3_client.py"))
}

// testScript runs a client's script over a bucket that holds many/… and a
// folder of files.
func testScript(t *testing.T, g *gateway, p *program, path string) {
	t.Helper()
	bucket := bucketName(t)
	must(t, newMinio(t, g).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	populate(t, g, bucket, "many/%04d", 1050)
	out := p.run(path, bucket, corpusFolder(t, append(slices.Clone(allSizes), 64*mib)...))
	first, _, _ := strings.Cut(out, "\n")
	t.Logf("client: %s (%s)", first, p.path)
	if !strings.HasSuffix(out, "passed\n") {
		t.Errorf("it did not come to its end:\n%s", out)
	}
}

func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	must(t, err)
	return path
}
