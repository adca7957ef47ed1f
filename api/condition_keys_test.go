package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// keyRow tells which operations have a condition key, and with which values,
// when a request has all possible parameters (loaded).
type keyRow struct {
	of     []string // operations; nil: every one
	but    []string // operations that do not have it nevertheless
	values []string // nil: not checked
	absent string   // why no user's request has it
}

const (
	noService = "no service asks for anybody"
	noVPC     = "there are no VPCs"
	noOrg     = "there are no organizations"
	noPoints  = "there are no access points and no access grants"
	noJobs    = "there are no batch jobs and no replication"
	noSAML    = "there are no SAML providers"
	noABAC    = "tags of a bucket count where its ABAC is on, which is not implemented"
	ofSTS     = "a key of sts:"
	temporary = "of temporary credentials alone"
)

var (
	objectMakers = []string{"PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"}
	lockers      = append([]string{"PutObjectRetention"}, objectMakers...)
	aclMakers    = append([]string{"CreateBucket", "PutBucketAcl", "PutObjectAcl"}, objectMakers...)
	taggers      = append([]string{"PutObjectTagging", "RenameObject"}, objectMakers...)
	writers      = []string{"PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload", "RenameObject"}
	noBucket     = []string{"ListBuckets", "GetAccountPublicAccessBlock", "PutAccountPublicAccessBlock",
		"DeleteAccountPublicAccessBlock", "ListAccessPoints"} // a new bucket's tags are set on the bucket
)

// keyRows has a row for each of access.ConditionKeys, in lower case.
// Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
func keyRows(h *household, user access.Principal) map[string]keyRow {
	account := []string{user.Account}
	rows := map[string]keyRow{
		"aws:currenttime": {}, "aws:epochtime": {}, "s3:signatureage": {},
		"aws:securetransport":                {values: []string{"false"}},
		"aws:sourceip":                       {values: []string{"127.0.0.1"}},
		"aws:useragent":                      {values: []string{"agent/1"}},
		"aws:referer":                        {values: []string{"https://example.com/"}},
		"aws:requestedregion":                {values: []string{h.g.Region}},
		"aws:viaawsservice":                  {values: []string{"false"}},
		"aws:principalisawsservice":          {values: []string{"false"}},
		"aws:principalaccount":               {values: account},
		"aws:principalarn":                   {},
		"aws:principaltype":                  {values: []string{"User"}},
		"aws:userid":                         {},
		"aws:username":                       {},
		"aws:resourceaccount":                {but: noBucket, values: account},
		"s3:resourceaccount":                 {but: noBucket, values: account},
		"s3:signatureversion":                {values: []string{"AWS4-HMAC-SHA256"}},
		"s3:authtype":                        {values: []string{"REST-HEADER"}},
		"s3:x-amz-content-sha256":            {values: []string{sigv4.Unsigned.String()}},
		"s3:prefix":                          {of: []string{"ListObjects", "ListObjectsV2", "ListObjectVersions"}, values: []string{"p/"}},
		"s3:delimiter":                       {of: []string{"ListObjects", "ListObjectsV2", "ListObjectVersions"}, values: []string{"/"}},
		"s3:max-keys":                        {of: []string{"ListObjects", "ListObjectsV2", "ListObjectVersions"}, values: []string{"7"}},
		"s3:x-amz-acl":                       {of: aclMakers, values: []string{"private"}},
		"s3:x-amz-grant-full-control":        {of: aclMakers, values: []string{"id=f"}},
		"s3:x-amz-grant-read":                {of: aclMakers, values: []string{"id=a", "uri=b"}},
		"s3:x-amz-grant-read-acp":            {of: aclMakers, values: []string{"id=c"}},
		"s3:x-amz-grant-write":               {of: aclMakers, values: []string{"id=d"}},
		"s3:x-amz-grant-write-acp":           {of: aclMakers, values: []string{"emailAddress=e"}},
		"s3:x-amz-copy-source":               {of: []string{"CopyObject", "UploadPartCopy", "RenameObject"}, values: []string{"bucket/source"}},
		"s3:x-amz-metadata-directive":        {of: []string{"CopyObject"}, values: []string{"REPLACE"}},
		"s3:x-amz-storage-class":             {of: append([]string{"PutObjectAcl"}, objectMakers...), values: []string{"GLACIER_IR"}},
		"s3:x-amz-website-redirect-location": {of: objectMakers, values: []string{"/to"}},
		"s3:x-amz-server-side-encryption":    {of: objectMakers, values: []string{"aws:kms"}},
		"s3:x-amz-server-side-encryption-aws-kms-key-id": {of: objectMakers,
			values: []string{"arn:aws:kms:" + h.g.Region + ":" + user.Account + ":key/" + h.g.Engine.Buckets().KeyName()}},
		"s3:x-amz-server-side-encryption-customer-algorithm": {of: objectMakers, values: []string{"AES256"}},
		"s3:x-amz-object-ownership":                          {of: []string{"CreateBucket", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"}, values: []string{"BucketOwnerPreferred", "ObjectWriter"}},
		"s3:x-amz-bucket-namespace":                          {of: []string{"CreateBucket"}, values: []string{"global"}},
		"s3:locationconstraint":                              {of: []string{"CreateBucket"}, values: []string{h.g.Region}},
		"s3:if-match":                                        {of: append([]string{"DeleteObject", "DeleteObjects"}, writers...), values: []string{"e"}},
		"s3:if-none-match":                                   {of: writers, values: []string{"*"}},
		"s3:objectcreationoperation":                         {of: append([]string{"CreateMultipartUpload", "UploadPart", "UploadPartCopy"}, writers...)},
		"s3:object-lock-mode":                                {of: lockers, values: []string{"GOVERNANCE"}},
		"s3:object-lock-retain-until-date":                   {of: lockers, values: []string{until.Format(time.RFC3339)}},
		"s3:object-lock-remaining-retention-days":            {of: lockers, values: []string{"99"}},
		"s3:object-lock-legal-hold":                          {of: append([]string{"PutObjectLegalHold"}, objectMakers...), values: []string{"ON"}},
		"s3:requestobjecttag/":                               {of: taggers, values: []string{"b"}},
		"s3:requestobjecttagkeys":                            {of: taggers, values: []string{"a"}},
		"aws:requesttag/":                                    {of: []string{"CreateBucket", "PutBucketTagging", "TagResource"}, values: []string{"b"}},
		"aws:tagkeys": {of: []string{"CreateBucket", "PutBucketTagging", "TagResource",
			"UntagResource"}, values: []string{"a"}},
		"s3:inventoryaccessibleoptionalfields": {of: []string{"PutBucketInventoryConfiguration"}, values: []string{"Size"}},
		// A named version, where an action is about versions.
		"s3:versionid": {of: []string{"GetObject", "HeadObject", "GetObjectAttributes", "DeleteObject", "DeleteObjects", "GetObjectAcl", "PutObjectAcl",
			"GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging", "CopyObject", "UploadPartCopy"}},
		// More than on AWS, where neither deleting nor overwriting with other
		// tags has it. To complete an upload on a condition, one must be able
		// to read the object that is compared.
		"s3:existingobjecttag/": {values: []string{"b"}, of: []string{"GetObject", "HeadObject", "GetObjectAttributes", "DeleteObject", "DeleteObjects",
			"GetObjectAcl", "PutObjectAcl", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging", "GetObjectRetention", "PutObjectRetention",
			"GetObjectLegalHold", "PutObjectLegalHold", "CopyObject", "UploadPartCopy", "RenameObject", "PutObject", "CompleteMultipartUpload", "CreateMultipartUpload", "GetObjectTorrent", "RestoreObject", "SelectObjectContent",
			"GetObjectAnnotation", "PutObjectAnnotation", "DeleteObjectAnnotation"}},
		"s3:tlsversion": {absent: "the test does not speak TLS: TestKeysOfTLS"},
	}
	for reason, keys := range map[string]string{
		noService:                               "aws:calledvia aws:calledviafirst aws:calledvialast aws:ismcpserviceaction aws:principalservicename aws:principalservicenameslist aws:sourceaccount aws:sourcearn aws:sourceowner",
		noVPC:                                   "aws:ec2instancesourceprivateipv4 aws:ec2instancesourcevpc aws:sourcevpc aws:sourcevpcarn aws:sourcevpce aws:vpcsourceip aws:vpceaccount aws:vpceorgid aws:vpceorgpaths",
		noOrg:                                   "aws:principalorgid aws:principalorgpaths aws:resourceorgid aws:resourceorgpaths aws:sourceorgid aws:sourceorgpaths",
		noPoints:                                "s3:accessgrantsinstancearn s3:accesspointnetworkorigin s3:accesspointtag/ s3:dataaccesspointaccount s3:dataaccesspointarn",
		noJobs:                                  "s3:destinationregion s3:existingjoboperation s3:existingjobpriority s3:isreplicationpauserequest s3:jobsuspendedcause s3:requestjoboperation s3:requestjobpriority",
		noSAML:                                  "saml:aud saml:iss saml:namequalifier saml:sub saml:sub_type",
		noABAC:                                  "aws:resourcetag/ s3:buckettag/",
		ofSTS:                                   "sts:externalid sts:rolesessionname aws:sourceidentity",
		temporary:                               "aws:multifactorauthage aws:multifactorauthpresent aws:tokenissuetime aws:federatedprovider",
		"users of this deployment have no tags": "aws:principaltag/",
	} {
		for _, key := range strings.Fields(keys) {
			rows[key] = keyRow{absent: reason}
		}
	}
	return rows
}

// until is in 99 days and some hours, whenever the test runs.
var until = time.Now().Add(99*24*time.Hour + 12*time.Hour).UTC().Truncate(time.Second)

// has reports whether the row gives the key to an operation.
func (row *keyRow) has(op string) bool {
	return row.absent == "" && !slices.Contains(row.but, op) && (row.of == nil || slices.Contains(row.of, op))
}

const inventory = `<InventoryConfiguration><Id>i</Id><IsEnabled>true</IsEnabled><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule>` +
	`<Destination><S3BucketDestination><Bucket>arn:aws:s3:::none-such</Bucket><Format>CSV</Format></S3BucketDestination></Destination><OptionalFields><Field>Size</Field></OptionalFields></InventoryConfiguration>`

// documents are bodies of operations with facts that policies can test.
func (h *household) documents() map[string]string {
	const tags = "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"
	return map[string]string{
		"CreateBucket":                    "<CreateBucketConfiguration><LocationConstraint>" + h.g.Region + "</LocationConstraint><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>",
		"PutObjectTagging":                "<Tagging>" + tags + "</Tagging>",
		"PutBucketTagging":                "<Tagging>" + tags + "</Tagging>",
		"TagResource":                     "<TagResourceRequest><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></TagResourceRequest>",
		"PutObjectRetention":              "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>" + until.Format(time.RFC3339) + "</RetainUntilDate></Retention>",
		"PutObjectLegalHold":              "<LegalHold><Status>ON</Status></LegalHold>",
		"PutBucketOwnershipControls":      "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>",
		"PutBucketInventoryConfiguration": inventory,
		"DeleteObjects":                   "<Delete><Object><Key>key</Key><VersionId>" + h.version + "</VersionId><ETag>e</ETag></Object></Delete>",
	}
}

// loaded makes a request of an operation with all parameters at once. Policies
// must not see parameters that the operation does not act on.
func (h *household) loaded(t *testing.T, op *api.Operation) *http.Request {
	t.Helper()
	target, header := h.example(op, true)
	joint := "&"
	if !strings.Contains(target, "?") {
		joint = "?"
	}
	target += joint + "prefix=p/&delimiter=/&max-keys=7"
	if op.Method == "PUT" && strings.Contains(target, "inventory") {
		target += "&id=i"
	}
	r := h.g.Request(t, op.Method, target, []byte(h.documents()[op.Name]))
	r.Header = header
	for name, value := range map[string]string{
		"User-Agent": "agent/1", "Referer": "https://example.com/", "X-Amz-Acl": "private",
		"X-Amz-Grant-Full-Control": `id=f`, "X-Amz-Grant-Read": `id="a" , URI=b`, "X-Amz-Grant-Read-Acp": `id="c"`, "X-Amz-Grant-Write": `ID = "d"`, "X-Amz-Grant-Write-Acp": `emailaddress="e"`,
		"X-Amz-Metadata-Directive": "REPLACE", "X-Amz-Tagging-Directive": "REPLACE", "X-Amz-Tagging": "a=b", "X-Amz-Storage-Class": "GLACIER_IR",
		"X-Amz-Website-Redirect-Location": "/to", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "alias/aws/s3",
		"X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256", "X-Amz-Object-Ownership": "BucketOwnerPreferred", "X-Amz-Bucket-Namespace": "global",
		"If-Match": "e", "If-None-Match": `"*"`, "X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": until.Format(time.RFC3339), "X-Amz-Object-Lock-Legal-Hold": "ON",
	} {
		r.Header.Set(name, value)
	}
	if op.Name == "DeleteObjects" {
		r.Header.Set("X-Amz-Checksum-Crc32", sum("CRC32", []byte(h.documents()[op.Name])))
	}
	if op.Header == "X-Amz-Copy-Source" {
		r.Header.Set(op.Header, "/bucket/sourc%65?versionId="+h.sourceVersion)
	}
	return r
}

// restore puts back the tags and settings that loaded requests remove.
func (h *household) restore(t *testing.T) {
	t.Helper()
	const tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
	for target, document := range map[string]string{
		"/bucket/key?tagging&versionId=" + h.version: tags, "/bucket/source?tagging&versionId=" + h.sourceVersion: tags, "/bucket/key?tagging": tags,
		"/bucket?ownershipControls": "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>",
	} {
		if res := h.g.Do(t, h.alice, "PUT", target, []byte(document)); res.Status != 200 {
			t.Fatalf("%s: %d %s", target, res.Status, res.Body)
		}
	}
}

// denied reports whether a request was refused for lack of a right.
func denied(res gatewaytest.Response) bool {
	return res.Status == 403 && (res.Code() == "AccessDenied" || len(res.Body) == 0) || strings.Contains(string(res.Body), "<Code>AccessDenied</Code>")
}

// unless makes a user who may do everything except when the condition holds.
func (h *household) unless(t *testing.T, name string, condition map[string]any) accounts.Credential {
	t.Helper()
	doc, err := json.Marshal(condition)
	if err != nil {
		t.Fatal(err)
	}
	return h.denied(t, name, string(doc))
}

// unlessSpelled is unless by a policy whose condition is written with JSON's escapes.
func (h *household) unlessSpelled(t *testing.T, name string, condition map[string]any) accounts.Credential {
	t.Helper()
	doc, err := json.Marshal(condition)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	inside := false
	for _, r := range string(doc) {
		if r == '"' {
			inside = !inside
		}
		if inside && r != '"' {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return h.denied(t, name, b.String())
}

// denied is a user who may do everything but what meets the condition, a document.
func (h *household) denied(t *testing.T, name, condition string) accounts.Credential {
	t.Helper()
	_, c := h.user(t, h.alice, name,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":`+condition+`}]}`)
	return c
}

// A key that only some operations have belongs to some actions: a bucket policy
// that tests it for another action is refused. s3:ExistingObjectTag is excepted:
// more operations have it than on AWS.
func TestKeysBelongToActions(t *testing.T) {
	h := newHousehold(t)
	for key, row := range keyRows(h, access.Principal{Account: accounts.Account(h.alice.Tenant.ID)}) {
		if row.of == nil || !strings.HasPrefix(key, "s3:") || key == "s3:existingobjecttag/" {
			continue
		}
		if strings.HasSuffix(key, "/") {
			key += "a"
		}
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetBucketLocation",` +
			`"Resource":"arn:aws:s3:::bucket","Condition":{"Null":{"` + key + `":"false"}}}]}`
		if res := h.g.Do(t, h.alice, "PUT", "/bucket?policy", []byte(policy)); res.Code() != "MalformedPolicy" {
			t.Errorf("%s has no row in access/key_actions.go: a policy may test it for any action (%d %s)", key, res.Status, res.Body)
		}
	}
}

// Each condition key that policies may use is tried with each operation. It
// must have its value where the table says so, and be absent everywhere else.
func TestConditionKeys(t *testing.T) {
	h := newHousehold(t)
	h.restore(t)
	rows := keyRows(h, access.Principal{Account: accounts.Account(h.alice.Tenant.ID)})
	for key := range rows {
		if !slices.Contains(access.ConditionKeys, key) {
			t.Errorf("the table has %s, which no policy may use", key)
		}
	}
	ask := func(op *api.Operation, c accounts.Credential) gatewaytest.Response {
		r := h.loaded(t, op)
		sign(t, h.g, r, c, sigv4.Unsigned.String(), time.Now())
		res := h.g.Send(t, r)
		if strings.HasSuffix(op.Name, "Tagging") || strings.HasPrefix(op.Name, "DeleteBucket") || op.Name == "PutBucketOwnershipControls" {
			h.restore(t)
		}
		return res
	}
	_, everything := h.user(t, h.alice, "everything", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	var operations []*api.Operation
	for i := range api.Operations {
		op := &api.Operations[i]
		if op.Preflight || op.Name == "ListDirectoryBuckets" { // never decided; for the operator alone
			continue
		}
		if res := ask(op, everything); denied(res) {
			t.Errorf("%s is denied to a user who may do everything: %d %s", op.Name, res.Status, res.Body)
			continue // no key would tell anything
		}
		operations = append(operations, op)
	}
	cases := 0
	for n, key := range access.ConditionKeys {
		row, ok := rows[key]
		if !ok {
			t.Errorf("%s has no row in keyRows, in this file", key)
			continue
		}
		name := key
		if strings.HasSuffix(key, "/") {
			name += "a"
		}
		there := map[string]any{"Null": map[string]string{name: "false"}}
		other := map[string]any{"Null": map[string]string{name: "false"}, "ForAnyValue:StringNotEquals": map[string][]string{name: row.values}}
		present := h.unless(t, fmt.Sprint("present", n), there)
		var wrong accounts.Credential
		if row.values != nil {
			wrong = h.unless(t, fmt.Sprint("wrong", n), other)
		}
		for _, op := range operations {
			cases++
			if res := ask(op, present); denied(res) != row.has(op.Name) {
				t.Errorf("%s of %s: present %v, want %v by its row in keyRows; loaded sends its parameter (%d %s)",
					key, op.Name, denied(res), row.has(op.Name), res.Status, res.Body)
			}
			if row.values == nil || !row.has(op.Name) {
				continue
			}
			cases++
			if res := ask(op, wrong); denied(res) {
				t.Errorf("%s of %s is not %q", key, op.Name, row.values)
			}
		}
	}
	t.Logf("%d cases", cases)
	if cases < 7000 {
		t.Errorf("%d cases: some were lost", cases)
	}
}
