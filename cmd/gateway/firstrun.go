package main

import (
	"fmt"
	"io"

	"github.com/sanctum-storage/gateway/engine"
)

// welcome prints a root credential that was just generated, with lines to paste.
// It is the only time that the secret is shown.
func welcome(w io.Writer, cred engine.Credential, url, region string) error {
	_, err := fmt.Fprintf(w, `Sanctum Gateway serves S3 at %[1]s

  access key  %[3]s
  secret key  %[4]s

The secret is shown this once and cannot be shown again: keep it.

aws-cli:
  export AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s AWS_DEFAULT_REGION=%[2]s
  aws --endpoint-url %[1]s s3 mb s3://first-bucket
  aws --endpoint-url %[1]s s3 cp README.md s3://first-bucket/
  aws --endpoint-url %[1]s s3 ls s3://first-bucket

rclone:
  rclone config create sanctum s3 provider=Other endpoint=%[1]s region=%[2]s access_key_id=%[3]s secret_access_key=%[4]s
  rclone lsd sanctum:

mc:
  mc alias set sanctum %[1]s %[3]s %[4]s
  mc ls sanctum

gateway tenant, user, accesskey and bucket:
  export SANCTUM_ACCESS_KEY=%[3]s SANCTUM_SECRET_KEY=%[4]s
  gateway tenant create alice

`, url, region, cred.AccessKey, cred.SecretKey)
	return err
}
