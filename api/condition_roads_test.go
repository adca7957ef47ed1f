package api_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// road is one way to do an act that a policy denies.
type road struct {
	name           string
	method, target string
	body           string
	headers        []string
	presigned      bool
	form           []string // fields of a form instead
	status         int      // of a refusal other than AccessDenied: the request is ambiguous
	harmless       string   // must not be in the answer: the request does something else
}

// denials are conditions of a Deny on everything, each with the ways to do the
// denied act: by header, query, URL, form, document, copy, multipart and batch,
// and in odd spellings.
var denials = []struct {
	condition string
	roads     []road
}{
	{`{"StringLike":{"s3:prefix":"secret/*"}}`, []road{
		{name: "plain", method: "GET", target: "/bucket?prefix=secret/"},
		{name: "version 2", method: "GET", target: "/bucket?list-type=2&prefix=secret/"},
		{name: "versions", method: "GET", target: "/bucket?versions&prefix=secret/"},
		{name: "encoded", method: "GET", target: "/bucket?pref%69x=%73ecret%2F"},
		{name: "presigned", method: "GET", target: "/bucket?prefix=secret/", presigned: true},
		{name: "twice", method: "GET", target: "/bucket?prefix=secret/&prefix=x", status: 403},
		{name: "the other first", method: "GET", target: "/bucket?prefix=x&prefix=secret/", status: 400},
		{name: "twice in two cases", method: "GET", target: "/bucket?prefix=secret/&Prefix=x"},
		{name: "twice in two cases, the other first", method: "GET", target: "/bucket?Prefix=secret/&prefix=x", status: 400},
	}},
	{`{"StringNotLike":{"s3:prefix":"pub/*"}}`, []road{
		{name: "none", method: "GET", target: "/bucket"},
		{name: "in another case", method: "GET", target: "/bucket?Prefix=pub/"},
		{name: "of all capitals", method: "GET", target: "/bucket?list-type=2&PREFIX=pub/"},
	}},
	{`{"NumericGreaterThan":{"s3:max-keys":"10"}}`, []road{
		{name: "plain", method: "GET", target: "/bucket?max-keys=11"},
		{name: "with zeros", method: "GET", target: "/bucket?max-keys=0011"},
		{name: "with a sign", method: "GET", target: "/bucket?max-keys=%2B11", status: 400},
		{name: "with a space", method: "GET", target: "/bucket?max-keys=11%20", status: 400},
		{name: "versions", method: "GET", target: "/bucket?versions&max-keys=2147483647"},
	}},
	{`{"StringEquals":{"s3:RequestObjectTag/Team":"red"}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-tagging", "Team=red"}},
		{name: "encoded", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-tagging", "%54eam=%72ed"}},
		{name: "among others", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-tagging", "a=b&Team=red&&"}},
		{name: "in another case beside", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-tagging", "Team=red&team=blue"}},
		{name: "twice", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-tagging", "Team=blue&Team=red"}, status: 400},
		{name: "presigned", method: "PUT", target: "/bucket/x?x-amz-tagging=Team%3Dred", presigned: true},
		{name: "presigned, in another case", method: "PUT", target: "/bucket/x?X-AMZ-Tagging=Team%3Dred", presigned: true},
		{name: "multipart", method: "POST", target: "/bucket/x?uploads", headers: []string{"x-amz-tagging", "Team=red"}},
		{name: "copy", method: "PUT", target: "/bucket/x",
			headers: []string{"x-amz-copy-source", "/bucket/source", "x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "Team=red"}},
		{name: "copy that keeps", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/tagged"}},
		{name: "copy that keeps, and says another", method: "PUT", target: "/bucket/x",
			headers: []string{"x-amz-copy-source", "/bucket/tagged", "x-amz-tagging", "Team=blue"}},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/tagged"}},
		{name: "document", method: "PUT", target: "/bucket/key?tagging", body: "<Tagging><TagSet><Tag><Key>Team</Key><Value>red</Value></Tag></TagSet></Tagging>"},
		{name: "document with references", method: "PUT", target: "/bucket/key?tagging",
			body: "<Tagging><TagSet><Tag><Key>T&#101;am</Key><Value><![CDATA[red]]></Value></Tag></TagSet></Tagging>"},
		{name: "form", form: []string{"key", "x", "tagging", "<Tagging><TagSet><Tag><Key>Team</Key><Value>red</Value></Tag></TagSet></Tagging>"}},
	}},
	{`{"ForAnyValue:StringNotEquals":{"s3:RequestObjectTagKeys":["a"]}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-tagging", "a=b&c=d"}},
		{name: "document", method: "PUT", target: "/bucket/key?tagging", body: "<Tagging><TagSet><Tag><Key>A</Key><Value>b</Value></Tag></TagSet></Tagging>"},
		{name: "copy that keeps", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/tagged"}},
	}},
	{`{"StringEquals":{"s3:ExistingObjectTag/Team":"red"}}`, []road{
		{name: "GET", method: "GET", target: "/bucket/tagged"},
		{name: "HEAD", method: "HEAD", target: "/bucket/tagged"},
		{name: "attributes", method: "GET", target: "/bucket/tagged?attributes", headers: []string{"x-amz-object-attributes", "ETag"}},
		{name: "a version", method: "GET", target: "/bucket/tagged?versionId={tagged}"},
		{name: "copy", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/tagged"}},
		{name: "copy of a version", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/tagged?versionId={tagged}"}},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "tagged"}},
		{name: "tags in two cases", method: "GET", target: "/bucket/both"},
		{name: "presigned", method: "GET", target: "/bucket/tagged", presigned: true},
	}},
	{`{"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":"10"}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/x",
			headers: []string{"x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", "{until}"}},
		{name: "document", method: "PUT", target: "/bucket/key?retention",
			body: "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"},
		{name: "document with blanks", method: "PUT", target: "/bucket/key?retention",
			body: "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate> {until} </RetainUntilDate></Retention>"},
		{name: "another zone", method: "PUT", target: "/bucket/key?retention",
			body: "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2999-01-01T00:00:00-11:00</RetainUntilDate></Retention>"},
		{name: "multipart", method: "POST", target: "/bucket/x?uploads",
			headers: []string{"x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", "{until}"}},
		{name: "copy", method: "PUT", target: "/bucket/x",
			headers: []string{"x-amz-copy-source", "/bucket/source", "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", "{until}"}},
		{name: "presigned", method: "PUT", target: "/bucket/x?x-amz-object-lock-mode=GOVERNANCE&x-amz-object-lock-retain-until-date={until}", presigned: true},
		{name: "presigned, with a blank", method: "PUT",
			target: "/bucket/x?x-amz-object-lock-mode=GOVERNANCE&x-amz-object-lock-retain-until-date=%20{until}", presigned: true, status: 400},
		{name: "form", form: []string{"key", "x", "x-amz-object-lock-mode", "GOVERNANCE", "x-amz-object-lock-retain-until-date", "{until}"}},
		{name: "form, with a blank", form: []string{"key", "x", "x-amz-object-lock-mode", "GOVERNANCE",
			"x-amz-object-lock-retain-until-date", " {until}"}, status: 400},
	}},
	{`{"StringEquals":{"s3:object-lock-legal-hold":"OFF"}}`, []road{
		{name: "document", method: "PUT", target: "/bucket/key?legal-hold", body: "<LegalHold><Status>OFF</Status></LegalHold>"},
		{name: "document with a reference", method: "PUT", target: "/bucket/key?legal-hold", body: "<LegalHold><Status>O&#70;F</Status></LegalHold>"},
		{name: "in small letters", method: "PUT", target: "/bucket/key?legal-hold", body: "<LegalHold><Status>off</Status></LegalHold>", status: 400},
		{name: "header", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-object-lock-legal-hold", "OFF"}},
		{name: "form", form: []string{"key", "x", "x-amz-object-lock-legal-hold", "OFF"}},
	}},
	{`{"StringEquals":{"s3:x-amz-acl":"public-read"}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-acl", "public-read"}},
		{name: "presigned", method: "PUT", target: "/bucket/x?x-amz-acl=public-read", presigned: true},
		{name: "presigned, with a blank", method: "PUT", target: "/bucket/x?x-amz-acl=public-read%20", presigned: true, status: 400},
		{name: "multipart", method: "POST", target: "/bucket/x?uploads", headers: []string{"x-amz-acl", "public-read"}},
		{name: "copy", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/source", "x-amz-acl", "public-read"}},
		{name: "object", method: "PUT", target: "/bucket/key?acl", headers: []string{"x-amz-acl", "public-read"}},
		{name: "bucket", method: "PUT", target: "/bucket?acl", headers: []string{"x-amz-acl", "public-read"}},
		{name: "new bucket", method: "PUT", target: "/fresh", headers: []string{"x-amz-acl", "public-read", "x-amz-object-ownership", "ObjectWriter"}},
		{name: "form", form: []string{"key", "x", "acl", "public-read"}},
		{name: "form, by the other name", form: []string{"key", "x", "x-amz-acl", "public-read"}},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/public"}},
	}},
	{`{"StringLike":{"s3:x-amz-grant-read":"*AllUsers"}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/key?acl", headers: []string{"x-amz-grant-read", `uri="http://acs.amazonaws.com/groups/global/AllUsers"`}},
		{name: "second, with blanks", method: "PUT", target: "/bucket/key?acl",
			headers: []string{"x-amz-grant-read", `id={alice} , URI = "http://acs.amazonaws.com/groups/global/AllUsers"`}},
		{name: "document", method: "PUT", target: "/bucket/key?acl", body: readByAll},
		{name: "of a bucket", method: "PUT", target: "/bucket?acl", body: readByAll},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/granted"}},
		{name: "rename of what was made by a canned ACL", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/opened"}},
	}},
	{`{"StringLike":{"s3:x-amz-copy-source":"bucket/secret/*"}}`, []road{
		{name: "plain", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "bucket/secret/1"}},
		{name: "with a slash", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/secret/1"}},
		{name: "encoded", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "bucket/%73ecret/1"}},
		{name: "encoded slashes", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "%2Fbucket%2Fsecret%2F1"}},
		{name: "a version", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "bucket/secret/1?versionId={secret}"}},
		{name: "part", method: "PUT", target: "/bucket/key?partNumber=1&uploadId={upload}", headers: []string{"x-amz-copy-source", "bucket/secret%2f1"}},
		{name: "presigned", method: "PUT", target: "/bucket/x?x-amz-copy-source=bucket/secret/1", presigned: true, status: 400},
	}},
	{`{"StringLike":{"s3:x-amz-copy-source":"flat/secret/*"}}`, []road{
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/%73ecret/1"}},
	}},
	{`{"StringEquals":{"s3:VersionId":"{tagged}"}}`, []road{
		{name: "GET", method: "GET", target: "/bucket/tagged?versionId={tagged}"},
		{name: "encoded", method: "GET", target: "/bucket/tagged?version%49d={tagged}"},
		{name: "twice in two cases", method: "GET", target: "/bucket/tagged?versionId={tagged}&versionid=null"},
		{name: "in another case", method: "GET", target: "/bucket/tagged?versionid={tagged}", harmless: "one"},
		{name: "copy", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/tagged?versionId={tagged}"}},
		{name: "part", method: "PUT", target: "/bucket/key?partNumber=1&uploadId={upload}",
			headers: []string{"x-amz-copy-source", "/bucket/tagged?versionId={tagged}"}},
		{name: "tags", method: "GET", target: "/bucket/tagged?tagging&versionId={tagged}"},
		{name: "attributes", method: "GET", target: "/bucket/tagged?attributes&versionId={tagged}", headers: []string{"x-amz-object-attributes", "ETag"}},
		{name: "DELETE", method: "DELETE", target: "/bucket/tagged?versionId={tagged}"},
		{name: "DeleteObjects", method: "POST", target: "/bucket?delete",
			body: "<Delete><Object><Key>other</Key></Object><Object><Key>tagged</Key><VersionId>{tagged}</VersionId></Object></Delete>"},
	}},
	{`{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`, []road{
		{name: "PutObject", method: "PUT", target: "/bucket/x", body: "x"},
		{name: "CopyObject", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/source"}},
		{name: "complete", method: "POST", target: "/bucket/key?uploadId={upload}",
			body: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/source"}},
		{name: "rename over another entity tag", method: "PUT", target: "/flat/x?renameObject",
			headers: []string{"x-amz-rename-source", "/flat/source", "If-None-Match", `"0"`}},
		{name: "rename over a list of entity tags", method: "PUT", target: "/flat/x?renameObject",
			headers: []string{"x-amz-rename-source", "/flat/source", "If-None-Match", `W/"*", "0"`}},
		{name: "form", form: []string{"key", "x", "if-none-match", "*"}},
	}},
	{`{"Null":{"s3:if-match":"true"}}`, []road{
		{name: "DELETE", method: "DELETE", target: "/bucket/source"},
		{name: "DeleteObjects", method: "POST", target: "/bucket?delete", body: "<Delete><Object><Key>source</Key></Object></Delete>"},
	}},
	{`{"StringEquals":{"s3:LocationConstraint":"us-east-1"}}`, []road{
		{name: "document", method: "PUT", target: "/fresh",
			body: "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"},
		{name: "empty", method: "PUT", target: "/fresh", body: "<CreateBucketConfiguration/>"},
		{name: "none", method: "PUT", target: "/fresh"},
	}},
	{`{"StringEquals":{"s3:LocationConstraint":"eu-west-1"}}`, []road{
		{name: "by its older name", method: "PUT", target: "/fresh",
			body: "<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>"},
	}},
	{`{"StringEquals":{"aws:RequestTag/Team":"red"}}`, []road{
		{name: "bucket", method: "PUT", target: "/bucket?tagging", body: "<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag></TagSet></Tagging>"},
		{name: "new bucket", method: "PUT", target: "/fresh",
			body: "<CreateBucketConfiguration><Tags><Tag><Key>TEAM</Key><Value>red</Value></Tag></Tags></CreateBucketConfiguration>"},
	}},
	{`{"StringEquals":{"s3:x-amz-object-ownership":"ObjectWriter"}}`, []road{
		{name: "new bucket", method: "PUT", target: "/fresh", headers: []string{"x-amz-object-ownership", "ObjectWriter"}},
		{name: "controls", method: "PUT", target: "/bucket?ownershipControls",
			body: "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"},
		{name: "no controls", method: "DELETE", target: "/bucket?ownershipControls"},
	}},
	{`{"ForAnyValue:StringEquals":{"s3:InventoryAccessibleOptionalFields":"Size"}}`, []road{
		{name: "document", method: "PUT", target: "/bucket?inventory&id=i", body: inventory},
	}},
	{`{"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}}`, []road{
		{name: "presigned", method: "PUT", target: "/bucket/x", presigned: true},
		{name: "form", form: []string{"key", "x"}},
	}},
	{`{"StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"{kms}"}}`, []road{
		{name: "an alias", method: "PUT", target: "/bucket/x",
			headers: []string{"x-amz-server-side-encryption", "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id", "alias/aws/s3"}},
		{name: "the ARN", method: "PUT", target: "/bucket/x",
			headers: []string{"x-amz-server-side-encryption", "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id", "{kms}"}},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/keyed"}},
	}},
	{`{"Null":{"s3:x-amz-website-redirect-location":"false"}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-website-redirect-location", "/to"}},
		{name: "presigned", method: "PUT", target: "/bucket/x?x-amz-website-redirect-location=%2Fto", presigned: true},
		{name: "multipart", method: "POST", target: "/bucket/x?uploads", headers: []string{"x-amz-website-redirect-location", "/to"}},
		{name: "copy", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/source", "x-amz-website-redirect-location", "/to"}},
		{name: "form", form: []string{"key", "x", "x-amz-website-redirect-location", "/to"}},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/redirecting"}},
	}},
	{`{"StringEquals":{"s3:x-amz-storage-class":"STANDARD_IA"}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-storage-class", "STANDARD_IA"}},
		{name: "presigned", method: "PUT", target: "/bucket/x?x-amz-storage-class=STANDARD_IA", presigned: true},
		{name: "multipart", method: "POST", target: "/bucket/x?uploads", headers: []string{"x-amz-storage-class", "STANDARD_IA"}},
		{name: "copy", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/source", "x-amz-storage-class", "STANDARD_IA"}},
		{name: "form", form: []string{"key", "x", "x-amz-storage-class", "STANDARD_IA"}},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/cold"}},
	}},
	{`{"StringEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}`, []road{
		{name: "header", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-server-side-encryption", "aws:kms"}},
		{name: "presigned", method: "PUT", target: "/bucket/x?x-amz-server-side-encryption=aws%3Akms", presigned: true},
		{name: "multipart", method: "POST", target: "/bucket/x?uploads", headers: []string{"x-amz-server-side-encryption", "aws:kms"}},
		{name: "copy", method: "PUT", target: "/bucket/x", headers: []string{"x-amz-copy-source", "/bucket/source", "x-amz-server-side-encryption", "aws:kms"}},
		{name: "form", form: []string{"key", "x", "x-amz-server-side-encryption", "aws:kms"}},
		{name: "rename", method: "PUT", target: "/flat/x?renameObject", headers: []string{"x-amz-rename-source", "/flat/sealed"}},
	}},
}

// renamed are objects that bring along to a new name what their makers said.
var renamed = map[string][]string{
	"public":      {"x-amz-acl", "public-read"},
	"opened":      {"x-amz-acl", "public-read"},
	"granted":     {"x-amz-grant-read", `uri="http://acs.amazonaws.com/groups/global/AllUsers"`},
	"redirecting": {"x-amz-website-redirect-location", "/to"},
	"cold":        {"x-amz-storage-class", "STANDARD_IA"},
	"sealed":      {"x-amz-server-side-encryption", "aws:kms"},
	"keyed":       {"x-amz-server-side-encryption", "aws:kms"},
}

const readByAll = `<AccessControlPolicy><Owner><ID>{alice}</ID></Owner><AccessControlList><Grant><Grantee><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`

// No request gets around a Deny. A user who may do everything succeeds with
// each of them; otherwise it would prove nothing.
func TestNoRoadAroundADenial(t *testing.T) {
	h := newHousehold(t)
	tagged := h.g.Do(t, h.alice, "PUT", "/bucket/tagged", []byte("one"), "x-amz-tagging", "Team=red").Header.Get("X-Amz-Version-Id")
	h.g.Do(t, h.alice, "PUT", "/bucket/tagged", []byte("two"), "x-amz-tagging", "Team=red")
	h.g.Do(t, h.alice, "PUT", "/bucket/both", []byte("x"), "x-amz-tagging", "Team=red&team=blue")
	secret := h.g.Do(t, h.alice, "PUT", "/bucket/secret/1", []byte("x")).Header.Get("X-Amz-Version-Id")
	h.g.Do(t, h.alice, "PUT", "/flat", nil, "x-amz-object-ownership", "ObjectWriter")
	for _, key := range []string{"tagged", "source", "secret/1"} {
		h.g.Do(t, h.alice, "PUT", "/flat/"+key, []byte("x"), "x-amz-tagging", "Team=red")
	}
	for key, headers := range renamed {
		h.mustAsAlice(t, "PUT", "/flat/"+key, "x", headers...)
	}
	fill := strings.NewReplacer("{tagged}", tagged, "{secret}", secret, "{upload}", h.upload, "{until}",
		until.Format(time.RFC3339), "{alice}", h.alice.Tenant.ID.Canonical(),
		"{kms}", "arn:aws:kms:"+h.g.Region+":"+accounts.Account(h.alice.Tenant.ID)+":key/"+h.g.Engine.Buckets().KeyName())
	cases := 0
	for n, d := range denials {
		var condition map[string]any
		if err := json.Unmarshal([]byte(fill.Replace(d.condition)), &condition); err != nil {
			t.Fatalf("%s: %v", d.condition, err)
		}
		user := h.unless(t, fmt.Sprint("denied-", n), condition)
		respelled := h.unlessSpelled(t, fmt.Sprint("respelled-", n), condition)
		for _, way := range d.roads {
			cases++
			res := way.take(t, h.g, user, fill)
			if other := way.take(t, h.g, respelled, fill); denied(other) != denied(res) {
				t.Errorf("%s, %s, by a policy with escapes: %d %s", d.condition, way.name, other.Status, other.Body)
			}
			switch {
			case way.harmless != "":
				if strings.Contains(string(res.Body), way.harmless) {
					t.Errorf("%s, %s: %d %s", d.condition, way.name, res.Status, res.Body)
				}
			case way.status != 0 && way.status != 403:
				if res.Status != way.status {
					t.Errorf("%s, %s: %d %s, want %d", d.condition, way.name, res.Status, res.Body, way.status)
				}
			case !denied(res):
				t.Errorf("%s, %s: %d %s", d.condition, way.name, res.Status, res.Body)
			}
		}
	}
	if cases < 134 {
		t.Errorf("%d cases: some were lost", cases)
	}
	t.Logf("%d cases", cases)
	_, friend := h.user(t, h.alice, "friend", allowAll)
	for _, d := range denials {
		for _, way := range d.roads {
			if res := way.take(t, h.g, friend, fill); denied(res) && way.body != readByAll {
				t.Errorf("%s, %s by a user who may do everything: %d %s", d.condition, way.name, res.Status, res.Body)
			}
		}
	}
}

func (w *road) take(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential, fill *strings.Replacer) gatewaytest.Response {
	t.Helper()
	if w.form != nil {
		fields := make([]string, len(w.form))
		for i, f := range w.form {
			fields[i] = fill.Replace(f)
		}
		u := browserForm{fields: fields, file: []byte("x"), filename: "f", expires: time.Hour, cred: c, bucket: "bucket"}
		return u.post(t, g, "/bucket")
	}
	body := []byte(fill.Replace(w.body))
	r := g.Request(t, w.method, fill.Replace(w.target), body)
	for i := 0; i+1 < len(w.headers); i += 2 {
		r.Header.Set(w.headers[i], fill.Replace(w.headers[i+1]))
	}
	if w.target == "/bucket?delete" {
		r.Header.Set("X-Amz-Checksum-Crc32", sum("CRC32", body))
	}
	if w.presigned {
		presign(t, g, r, c, time.Now())
	} else {
		sign(t, g, r, c, fmt.Sprintf("%x", sha256.Sum256(body)), time.Now())
	}
	return g.Send(t, r)
}

// Each step of a multipart upload has the right value of
// s3:ObjectCreationOperation, so that AWS's own policy for enforcing
// conditional writes lets uploads be prepared.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
func TestObjectCreationOperation(t *testing.T) {
	h := newHousehold(t)
	enforce := map[string]any{"Null": map[string]string{"s3:if-none-match": "true"}, "Bool": map[string]string{"s3:ObjectCreationOperation": "true"}}
	user := h.unless(t, "user", enforce)
	res := h.g.Do(t, user, "POST", "/bucket/new?uploads", nil)
	id := res.Element("UploadId")
	expect(t, "create", res, 200, "")
	part1 := h.g.Do(t, user, "PUT", "/bucket/new?partNumber=1&uploadId="+id, []byte("x"))
	expect(t, "part", part1, 200, "")
	expect(t, "part by copy", h.g.Do(t, user, "PUT", "/bucket/new?partNumber=2&uploadId="+id, nil, "x-amz-copy-source", "/bucket/source"), 200, "")
	document := completeDocument(part(1, part1.Header.Get("ETag")))
	expect(t, "complete", h.g.Do(t, user, "POST", "/bucket/new?uploadId="+id, document), 403, "AccessDenied")
	expect(t, "complete on a condition", h.g.Do(t, user, "POST", "/bucket/new?uploadId="+id, document, "If-None-Match", "*"), 200, "")
	expect(t, "put", h.g.Do(t, user, "PUT", "/bucket/new2", []byte("x")), 403, "AccessDenied")
	expect(t, "put on a condition", h.g.Do(t, user, "PUT", "/bucket/new2", []byte("x"), "If-None-Match", "*"), 200, "")
}

// Condition keys of temporary credentials, which users do not have.
func TestKeysOfSessions(t *testing.T) {
	h := newHousehold(t)
	allow := func(condition string) accounts.PolicyText {
		return accounts.PolicyText{Name: "p",
			Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":` + condition + `}]}`}
	}
	for condition, want := range map[string]int{
		`{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`:               200,
		`{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`:                403,
		`{"Null":{"aws:TokenIssueTime":"false"}}`:                       200,
		`{"Null":{"aws:MultiFactorAuthAge":"true"}}`:                    200,
		`{"Bool":{"aws:ViaAWSService":"false"}}`:                        200,
		`{"StringEquals":{"aws:RequestedRegion":"` + h.g.Region + `"}}`: 200,
	} {
		r := h.g.Request(t, "GET", "/bucket/source", nil)
		sign(t, h.g, r, h.session(t, time.Hour, allow(condition)), sigv4.PayloadHash(nil), time.Now())
		if res := h.g.Send(t, r); res.Status != want {
			t.Errorf("%s: %d, want %d", condition, res.Status, want)
		}
	}
}

func TestKeysOfTLS(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Options{TLS: true})
	h := &household{g: g, alice: g.User(t, "alice")}
	g.Do(t, h.alice, "PUT", "/bucket", nil)
	for condition, want := range map[string]int{
		`{"NumericLessThan":{"s3:TlsVersion":"1.3"}}`: 200, `{"NumericEquals":{"s3:TlsVersion":"1.3"}}`: 403, `{"Bool":{"aws:SecureTransport":"true"}}`: 403,
	} {
		var c map[string]any
		if err := json.Unmarshal([]byte(condition), &c); err != nil {
			t.Fatal(err)
		}
		user := h.unless(t, fmt.Sprintf("u%x", sha256.Sum256([]byte(condition)))[:16], c)
		if res := g.Do(t, user, "GET", "/bucket", nil); res.Status != want {
			t.Errorf("%s: %d, want %d", condition, res.Status, want)
		}
	}
}

// A request that a policy allows because of its document is allowed, although
// it is also decided before the document is read.
func TestDocumentsAllow(t *testing.T) {
	h := newHousehold(t)
	_, user := h.user(t, h.alice, "user", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["s3:PutObjectTagging","s3:PutObject"],"Resource":"*","Condition":{"StringEquals":{"s3:RequestObjectTag/team":"blue"}}},
		{"Effect":"Allow","Action":"s3:PutObjectRetention","Resource":"*","Condition":{"NumericLessThan":{"s3:object-lock-remaining-retention-days":"10"}}},
		{"Effect":"Allow","Action":"s3:CreateBucket","Resource":"*","Condition":{"StringEquals":{"s3:LocationConstraint":"`+h.g.Region+`"}}},
		{"Effect":"Allow","Action":"s3:PutObjectLegalHold","Resource":"*","Condition":{"StringEquals":{"s3:object-lock-legal-hold":"ON"}}}]}`)
	tags := func(value string) string {
		return "<Tagging><TagSet><Tag><Key>team</Key><Value>" + value + "</Value></Tag></TagSet></Tagging>"
	}
	retention := func(days int) string {
		return "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>" + time.Now().Add(time.Duration(days)*24*time.Hour).UTC().Format(time.RFC3339) + "</RetainUntilDate></Retention>"
	}
	for _, c := range []struct {
		target, body string
		want         int
	}{
		{"/bucket/key?tagging", tags("blue"), 200},
		{"/bucket/key?tagging", tags("red"), 403},
		{"/bucket/key?retention", retention(5), 200},
		{"/bucket/key?retention", retention(50), 403},
		{"/bucket/key?legal-hold", "<LegalHold><Status>ON</Status></LegalHold>", 200},
		{"/bucket/key?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>", 403},
		{"/fresh", "<CreateBucketConfiguration><LocationConstraint>" + h.g.Region + "</LocationConstraint></CreateBucketConfiguration>", 200},
		{"/fresh2", "<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint></CreateBucketConfiguration>", 403},
	} {
		if res := h.g.Do(t, user, "PUT", c.target, []byte(c.body)); res.Status != c.want {
			t.Errorf("%s %s: %d %s", c.target, c.body, res.Status, res.Body)
		}
	}
}

// A copy or a rename keeps tags only for a sender who may read them at the
// source, in the version that is named.
func TestTagsThatMayNotBeRead(t *testing.T) {
	h := newHousehold(t)
	version := h.g.Do(t, h.alice, "PUT", "/bucket/tagged", []byte("x"), "x-amz-tagging", "pw=hunter2").Header.Get("X-Amz-Version-Id")
	h.g.Do(t, h.alice, "PUT", "/bucket/bare", []byte("x"))
	h.g.Do(t, h.alice, "PUT", "/flat", nil)
	h.g.Do(t, h.alice, "PUT", "/flat/tagged", []byte("x"), "x-amz-tagging", "pw=hunter2")
	deny := func(name, action string) accounts.Credential {
		_, c := h.user(t, h.alice, name,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"`+action+`","Resource":"*"}]}`)
		return c
	}
	current, ofVersion := deny("current", "s3:GetObjectTagging"), deny("version", "s3:GetObjectVersionTagging")
	for _, c := range []struct {
		name    string
		user    accounts.Credential
		target  string
		headers []string
		want    int
	}{
		{"a copy", current, "/bucket/x", []string{"x-amz-copy-source", "/bucket/tagged"}, 403},
		{"a copy of a version", ofVersion, "/bucket/x", []string{"x-amz-copy-source", "/bucket/tagged?versionId=" + version}, 403},
		{"a copy by who may not read those of versions", ofVersion, "/bucket/x", []string{"x-amz-copy-source", "/bucket/tagged"}, 200},
		{"a copy with tags of its own", current, "/bucket/x", []string{"x-amz-copy-source", "/bucket/tagged", "x-amz-tagging-directive", "REPLACE"}, 200},
		{"a copy of what has none", current, "/bucket/x", []string{"x-amz-copy-source", "/bucket/bare"}, 200},
		{"a rename", current, "/flat/x?renameObject", []string{"x-amz-rename-source", "/flat/tagged"}, 403},
	} {
		if res := h.g.Do(t, c.user, "PUT", c.target, nil, c.headers...); res.Status != c.want {
			t.Errorf("%s: %d %s", c.name, res.Status, res.Body)
		}
	}
}
