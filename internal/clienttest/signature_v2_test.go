//go:build clients

package clienttest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestSignatureV2 has clients sign as they do by themselves, with a gateway that takes
// Signature Version 2, and whatever region they sign for.
func TestSignatureV2(t *testing.T) {
	g := start(t, "SANCTUM_S3_SIGNATURE_V2=all", "SANCTUM_S3_REGION="+region+",any")
	t.Run("boto3", func(t *testing.T) {
		p := require(t, g, "/usr/bin/python3", "python3-boto3")
		signsV2(t, g, p)
	})
	t.Run("boto3, newer", func(t *testing.T) {
		path := newerPython("boto3")
		if path == "" {
			t.Log("no other boto3 than Debian's on this machine: nothing more to test")
			return
		}
		signsV2(t, g, newProgram(t, g, path))
	})
	t.Run("s3cmd", func(t *testing.T) { s3cmdSignsV2(t, g) })
	t.Run("aws-cli 1", func(t *testing.T) { awsPresignsV2(t, g) })
	t.Run("minio-go, another region", func(t *testing.T) {
		bucket := bucketName(t)
		c := newMinio(t, g)
		must(t, c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{Region: "garage"}))
		where, err := c.GetBucketLocation(t.Context(), bucket)
		must(t, err)
		if where != region {
			t.Errorf("the bucket is in %q", where)
		}
	})
}

func signsV2(t *testing.T, g *gateway, p *program) {
	t.Helper()
	bucket := bucketName(t)
	must(t, newMinio(t, g).MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	if out := p.run(script(t, "testdata/boto3_signature_v2.py"), bucket); !strings.HasSuffix(out, "passed\n") {
		t.Errorf("it did not come to its end:\n%s", out)
	}
}

// s3cmdSignsV2 has it sign a URL, for which it knows no other way, and all requests.
func s3cmdSignsV2(t *testing.T, g *gateway) {
	p := require(t, g, "s3cmd", "s3cmd")
	host := strings.TrimPrefix(g.s3, "http://")
	writeFile(t, filepath.Join(p.home, ".s3cfg"), fmt.Sprintf(`[default]
access_key = %s
secret_key = %s
host_base = %s
host_bucket = %s
use_https = False
signurl_use_https = False
signature_v2 = True
multipart_chunk_size_mb = 5
progress_meter = False
`, accessKey, secretKey, host, host))
	c := &s3cmdTest{program: p, g: g, bucket: bucketName(t)}
	c.run("mb", c.at(""))
	for _, size := range []int64{65537, 17 * mib} {
		key, back := fmt.Sprintf("with space+%%20/%d", size), filepath.Join(c.home, fmt.Sprint(size))
		c.run("put", corpus(t, size), c.at(key))
		c.run("get", c.at(key), back)
		sameFile(t, back, corpus(t, size))
	}
	c.run("cp", c.at("with space+%20/65537"), c.at("plain"))
	if out := c.run("ls", c.at("")); !strings.Contains(out, "DIR  "+c.at("with space+%20/")) || !strings.Contains(out, c.at("plain")) {
		t.Errorf("ls:\n%s", out)
	}
	c.run("info", c.at("plain"))
	for _, key := range []string{"plain", "with space+%20/65537"} {
		url := strings.TrimSpace(c.run("signurl", c.at(key), "+600"))
		if !strings.Contains(url, "AWSAccessKeyId=") {
			t.Fatalf("%s is not signed with version 2", url)
		}
		if _, body := fetch(t, http.MethodGet, url, nil, http.StatusOK); !bytes.Equal(body, random(65537, 0, 65537)) {
			t.Errorf("%s: %d other bytes", key, len(body))
		}
		fetch(t, http.MethodPut, url, []byte("x"), http.StatusForbidden)
	}
	c.run("del", "--recursive", "--force", c.at(""))
	c.run("rb", c.at(""))
}

// awsPresignsV2 has an aws-cli of version 1 presign without any setting of its own.
func awsPresignsV2(t *testing.T, g *gateway) {
	path := filepath.Join(filepath.Dir(newerPython("awscli")), "aws")
	if _, err := os.Stat(path); err != nil {
		t.Log("no aws-cli 1 on this machine: nothing to test")
		return
	}
	p := newProgram(t, g, path).with("AWS_CONFIG_FILE="+filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(t.TempDir(), "none"))
	c := &awsTest{program: p, g: g, url: g.s3, bucket: bucketName(t)}
	c.s3("mb", c.at(""))
	c.s3("cp", "--only-show-errors", corpus(t, 65537), c.at("a key+"))
	url := strings.TrimSpace(c.s3("presign", c.at("a key+"), "--expires-in", "600"))
	if !strings.Contains(url, "AWSAccessKeyId=") {
		t.Logf("this aws-cli presigns with version 4")
	}
	if _, body := fetch(t, http.MethodGet, url, nil, http.StatusOK); !bytes.Equal(body, random(65537, 0, 65537)) {
		t.Errorf("%d other bytes", len(body))
	}
	c.s3("rb", "--force", c.at(""))
}
