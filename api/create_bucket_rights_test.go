package api_test

import (
	"fmt"
	"testing"
)

// A setting of a new bucket needs the same right as that setting of an existing
// one.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
func TestNewBucketsTakeTheRightsOfTheirSettings(t *testing.T) {
	h := newHousehold(t)
	var users int
	create := func(actions, bucket, body string, header ...string) int {
		users++
		_, user := h.user(t, h.alice, fmt.Sprint("maker", users),
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:CreateBucket"`+actions+`],"Resource":"*"}]}`)
		return h.g.Do(t, user, "PUT", "/"+bucket, []byte(body), header...).Status
	}
	const tags = "<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>"
	for i, c := range []struct {
		rights string // besides CreateBucket; empty: none needed
		body   string
		header []string
	}{
		{"", "", nil},
		{"", "", []string{"x-amz-acl", "private"}},
		{`,"s3:PutBucketAcl"`, "", []string{"x-amz-acl", "public-read"}},
		{`,"s3:PutBucketAcl"`, "", []string{"x-amz-acl", "log-delivery-write"}},
		{`,"s3:PutBucketAcl"`, "", []string{"x-amz-grant-write", `id="` + h.alice.Tenant.ID.Canonical() + `"`}},
		{`,"s3:PutBucketOwnershipControls"`, "", []string{"x-amz-object-ownership", "ObjectWriter"}},
		{`,"s3:PutBucketObjectLockConfiguration","s3:PutBucketVersioning"`, "", []string{"x-amz-bucket-object-lock-enabled", "true"}},
		{"", "", []string{"x-amz-bucket-object-lock-enabled", "false"}},
		{`,"s3:PutBucketTagging"`, tags, nil},
	} {
		bucket := fmt.Sprint("made-", i)
		if c.rights != "" {
			if status := create("", bucket, c.body, c.header...); status != 403 {
				t.Errorf("%v %s without the right: %d", c.header, c.body, status)
			}
			if status := h.g.Do(t, h.alice, "HEAD", "/"+bucket, nil).Status; status != 404 {
				t.Errorf("%v %s: the refused bucket is there: %d", c.header, c.body, status)
			}
		}
		if status := create(c.rights, bucket, c.body, c.header...); status == 403 {
			t.Errorf("%v %s with %s: %d", c.header, c.body, c.rights, status)
		}
	}
}
