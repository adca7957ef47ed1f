package access

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

// A variable that is a bucket's tag has no value either, wherever it is.
func TestCheckVariables(t *testing.T) {
	for _, s := range []string{
		`"Resource":"arn:aws:s3:::b/${aws:ResourceTag/team}/*"`,
		`"NotResource":"arn:aws:s3:::b/${s3:BucketTag/team}/*"`,
		`"Resource":"arn:aws:s3:::b/*","Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"${aws:\u0052esourceTag/team}"}}`,
	} {
		p, err := ParseBucketPolicy("test", "b", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*",`+s+`}]}`))
		if err != nil {
			t.Fatalf("%s cannot be read, as a stored policy must be: %v", s, err)
		}
		if err := p.CheckConditions(); !errors.Is(err, s3err.MalformedPolicy) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// Every key and action of the table exists.
func TestKeyActionsExist(t *testing.T) {
	for key, actions := range keyActions {
		if !knownKeys[key] {
			t.Errorf("no key %s", key)
		}
		for a := range actions {
			if _, ok := loweredIndex["s3:"+a]; !ok {
				t.Errorf("no action s3:%s", a)
			}
		}
	}
}

func TestCheckConditions(t *testing.T) {
	for _, c := range []struct {
		actions, key, resource string
		ok                     bool
	}{
		{`"s3:ListBucket"`, "s3:prefix", "b", true},
		{`["s3:listbucket","s3:ListBucketVersions"]`, "S3:Prefix", "b", true},
		{`"s3:ListBucketMultipartUploads"`, "s3:prefix", "b", false},
		{`["s3:ListBucket","s3:GetBucketLocation"]`, "s3:prefix", "b", false},
		{`"s3:List*"`, "s3:prefix", "b", true},
		{`"s3:*"`, "s3:prefix", "b/*", true},
		{`"s3:GetObject"`, "s3:prefix", "b/*", false},
		{`"s3:GetObject"`, "s3:VersionId", "b/*", false},
		{`"s3:GetObjectVersion"`, "s3:VersionId", "b/*", true},
		{`["s3:GetObject","s3:PutObject"]`, "s3:x-amz-acl", "b/*", false},
		{`["s3:PutObject","s3:PutObjectAcl"]`, "s3:x-amz-acl", "b/*", true},
		{`"s3:PutObject"`, "s3:x-amz-server-side-encryption", "b/*", true},
		{`"s3:PutObject"`, "s3:RequestObjectTag/team", "b/*", true},
		{`"s3:GetObject"`, "s3:RequestObjectTag/team", "b/*", false},
		{`"s3:GetObject"`, "s3:ExistingObjectTag/team", "b/*", true},
		{`["s3:GetObject","s3:DeleteObject"]`, "aws:Referer", "b/*", true},
		{`"s3:*"`, "AWS:ResourceTag/team", "b/*", false},
		{`"s3:GetBucketLocation"`, "s3:BucketTag/Team", "b", false},
		{`"s3:*"`, "aws:PrincipalTag/team", "b/*", true},
	} {
		for _, effect := range []string{"Allow", "Deny"} {
			doc := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Principal":"*","Action":%s,"Resource":"arn:aws:s3:::%s",
				"Condition":{"StringEquals":{%q:"10.0.0.1"}}}]}`, effect, c.actions, c.resource, c.key)
			p, err := ParseBucketPolicy("test", "b", []byte(doc))
			if err != nil {
				t.Errorf("%s %s %s cannot be read: %v", effect, c.actions, c.key, err)
				continue
			}
			if err := p.CheckConditions(); (err == nil) != c.ok || err != nil && !errors.Is(err, s3err.MalformedPolicy) {
				t.Errorf("%s %s %s: %v", effect, c.actions, c.key, err)
			}
		}
	}
}
