package clienttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// TestAWSCLIProtected has aws-cli keep objects with keys of its own, tag them and
// lock them, over TLS, which SSE-C demands.
func TestAWSCLIProtected(t *testing.T) {
	t.Parallel()
	certificate, err := servers.NewCertificate(t.TempDir())
	must(t, err)
	g := start(t, "SANCTUM_TLS_CERT_FILE="+certificate.CertFile, "SANCTUM_TLS_KEY_FILE="+certificate.KeyFile)
	c := newAWSTest(t, g, require(t, g, awscli, "awscli"))
	c.with("AWS_CA_BUNDLE=" + certificate.CertFile)
	c.run("--endpoint-url", c.url, "s3api", "create-bucket", "--bucket", c.bucket, "--object-lock-enabled-for-bucket")
	c.customerKeys(t)
	c.tags(t)
	c.locks(t)
}

// customerKeys stores an object, copies it to another key and reads it back, of one
// piece and of parts. This aws-cli does not send the key with CompleteMultipartUpload.
func (c *awsTest) customerKeys(t *testing.T) {
	key, other := filepath.Join(c.home, "key"), filepath.Join(c.home, "other")
	must(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	must(t, os.WriteFile(other, []byte(strings.Repeat("o", 32)), 0o600))
	with := []string{"--sse-c", "AES256", "--sse-c-key", "fileb://" + key}
	out := filepath.Join(c.home, "out")
	for _, size := range []int64{65537, 20 * mib} {
		c.s3(append([]string{"cp", "--only-show-errors", corpus(t, size), c.at("secret")}, with...)...)
		c.s3(append([]string{"cp", "--only-show-errors", c.at("secret"), out}, with...)...)
		sameFile(t, out, corpus(t, size))
		c.fails("400", "--endpoint-url", c.url, "s3", "cp", c.at("secret"), out)
		c.fails("403", "--endpoint-url", c.url, "s3", "cp", c.at("secret"), out, "--sse-c", "AES256", "--sse-c-key", "fileb://"+other)
		c.s3("cp", "--only-show-errors", c.at("secret"), c.at("another"), "--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", "fileb://"+key,
			"--sse-c", "AES256", "--sse-c-key", "fileb://"+other)
		c.s3("cp", "--only-show-errors", c.at("another"), out, "--sse-c", "AES256", "--sse-c-key", "fileb://"+other)
		sameFile(t, out, corpus(t, size))
	}
	var head struct{ ServerSideEncryption, SSEKMSKeyId string }
	c.s3("cp", "--only-show-errors", "--sse", "aws:kms", "--sse-kms-key-id", "alias/aws/s3", corpus(t, 65537), c.at("kms"))
	c.api(&head, "head-object", "--key", "kms")
	if head.ServerSideEncryption != "aws:kms" || !strings.HasPrefix(head.SSEKMSKeyId, "arn:aws:kms:") {
		t.Errorf("%+v", head)
	}
}

func (c *awsTest) tags(t *testing.T) {
	c.api(nil, "put-object", "--key", "tagged", "--tagging", "team=blue&empty=")
	c.api(nil, "put-object-tagging", "--key", "tagged", "--tagging", `{"TagSet":[{"Key":"team","Value":"red + green"}]}`)
	var tags struct{ TagSet []struct{ Key, Value string } }
	c.fails("InvalidTag", "--endpoint-url", c.url, "s3api", "put-object-tagging", "--bucket", c.bucket, "--key", "tagged",
		"--tagging", `{"TagSet":[{"Key":"team","Value":"red & green"}]}`)
	c.api(&tags, "get-object-tagging", "--key", "tagged")
	if len(tags.TagSet) != 1 || tags.TagSet[0].Value != "red + green" {
		t.Errorf("%+v", tags)
	}
}

func (c *awsTest) locks(t *testing.T) {
	var made struct{ VersionId string }
	c.api(&made, "put-object", "--key", "locked", "--object-lock-mode", "GOVERNANCE", "--object-lock-retain-until-date", "2099-01-01T00:00:00Z",
		"--content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
	remove := []string{"--endpoint-url", c.url, "s3api", "delete-object", "--bucket", c.bucket, "--key", "locked", "--version-id", made.VersionId}
	c.fails("AccessDenied", remove...)
	c.api(nil, "put-object-legal-hold", "--key", "locked", "--legal-hold", "Status=ON")
	c.fails("AccessDenied", append(remove, "--bypass-governance-retention")...)
	c.api(nil, "put-object-legal-hold", "--key", "locked", "--legal-hold", "Status=OFF")
	var head struct{ ObjectLockMode, ObjectLockLegalHoldStatus string }
	c.api(&head, "head-object", "--key", "locked")
	if head.ObjectLockMode != "GOVERNANCE" || head.ObjectLockLegalHoldStatus != "OFF" {
		t.Errorf("%+v", head)
	}
	c.run(append(remove, "--bypass-governance-retention")...)
}
