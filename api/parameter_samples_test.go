package api_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

// parameterWorld is a gateway with everything that successful requests need.
type parameterWorld struct {
	t        *testing.T
	g        *gatewaytest.Gateway
	fillings map[string]string
	model    []member
	spoiled  map[string]bool // operations after which the world must be repaired
}

const sampleBody = "what is sent"

// newParameterWorld makes buckets bkt, with ACLs in effect, locked, with locks
// as well, and plain, with the settings of new ones. Each has the objects key
// and source, and the upload up of the key.
func newParameterWorld(t *testing.T) *parameterWorld {
	t.Helper()
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, TLS: true})
	customer := weakhash.MD5([]byte(sampleCustomer))
	now := time.Now().UTC()
	w := &parameterWorld{t: t, g: g, model: readModel(t), spoiled: make(map[string]bool), fillings: map[string]string{
		"{account}": accounts.Account(g.Root.Tenant.ID), "{canonical}": g.Root.Tenant.ID.Canonical(),
		"{customer}": base64.StdEncoding.EncodeToString([]byte(sampleCustomer)), "{customermd5}": base64.StdEncoding.EncodeToString(customer[:]),
		"{kms}": g.Engine.Buckets().KeyName(), "{kmsarn}": "arn:aws:kms:" + g.Region + ":" + accounts.Account(g.Root.Tenant.ID) + ":key/" + g.Engine.Buckets().KeyName(),
		"{future}": now.Add(90 * 24 * time.Hour).Format(time.RFC3339), "{past}": now.Add(-90 * 24 * time.Hour).Format(time.RFC3339),
		"{httppast}": now.Add(-90 * 24 * time.Hour).Format(http.TimeFormat), "{httpfuture}": now.Add(90 * 24 * time.Hour).Format(http.TimeFormat),
		"{n}": "", "{m2047}": strings.Repeat("m", 2047), "{long}": strings.Repeat("x", 3000), "{k128}": strings.Repeat("k",
			128), "{v256}": strings.Repeat("v", 256), "{id255}": strings.Repeat("i", 255),
		"{md5}": contentDigest(sampleBody), "{other}": strings.Repeat("1", 12),
	}}
	for _, algorithm := range engine.ChecksumAlgorithms {
		w.fillings["{"+strings.ToLower(algorithm)+"}"] = sum(algorithm, []byte(sampleBody))
	}
	g.Must(t, 200, "PUT", "/bkt", nil, "x-amz-object-ownership", "ObjectWriter")
	g.Must(t, 200, "PUT", "/locked", nil, "x-amz-object-ownership", "ObjectWriter", "x-amz-bucket-object-lock-enabled", "true")
	g.Must(t, 200, "PUT", "/plain", nil)
	g.Must(t, 200, "PUT", "/spare", nil)
	g.Must(t, 200, "PUT", "/logs", nil)
	g.Must(t, 200, "PUT", "/public", nil)
	g.Must(t, 200, "PUT", "/public/key", []byte(sampleBody))
	g.Must(t, 204, "DELETE", "/public?publicAccessBlock", nil)
	g.Must(t, 204, "PUT", "/public?policy",
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::public/*"}]}`))
	for _, bucket := range []string{"/bkt", "/locked", "/plain"} {
		for _, key := range []string{"/key", "/source", "/old", "/up"} {
			etag := g.Must(t, 200, "PUT", bucket+key, []byte(sampleBody)).Header.Get("ETag")
			w.fillings["{etag}"] = etag
		}
		w.upload(bucket)
	}
	w.fillings["{version}"] = g.Must(t, 200, "PUT", "/locked/key", []byte(sampleBody)).Header.Get("X-Amz-Version-Id")
	g.Must(t, 200, "PUT", "/bkt/sealed", []byte(sampleBody), w.customerHeaders()...)
	w.fillings["{sealed}"] = newUpload(t, g, "/bkt/sealed", w.customerHeaders()...)
	w.fillings["{checked}"] = newUpload(t, g, "/bkt/checked", "x-amz-checksum-algorithm", "CRC32")
	w.fillings["{checkedpart}"] = sendPart(t, g, "/bkt/checked", w.fillings["{checked}"], 1, []byte(sampleBody), "x-amz-checksum-crc32", w.fillings["{crc32}"])
	return w
}

const sampleCustomer = "0123456789abcdef0123456789abcdef"

func contentDigest(body string) string {
	digest := weakhash.MD5([]byte(body))
	return base64.StdEncoding.EncodeToString(digest[:])
}

func (w *parameterWorld) customerHeaders() []string {
	const prefix = "x-amz-server-side-encryption-customer-"
	return []string{prefix + "algorithm", "AES256", prefix + "key", w.fillings["{customer}"], prefix + "key-md5", w.fillings["{customermd5}"]}
}

// upload starts an upload with one part.
func (w *parameterWorld) upload(bucket string) {
	id := newUpload(w.t, w.g, bucket+"/up")
	w.fillings[bucket] = id
	if bucket == "/bkt" {
		w.fillings["{upload}"] = id
	}
	w.fillings["{part}"] = sendPart(w.t, w.g, bucket+"/up", id, 1, []byte(sampleBody))
}

// fill replaces names in braces by the world's values.
func (w *parameterWorld) fill(value string) string {
	if !strings.Contains(value, "{") {
		return value
	}
	for name, filling := range w.fillings {
		if name[0] == '{' {
			value = strings.ReplaceAll(value, name, filling)
		}
	}
	return value
}

// sampleDocuments succeed with their operations, and leave the other samples as
// they are.
var sampleDocuments = map[string]string{
	"PutBucketAccelerateConfiguration":   "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>",
	"PutBucketCors":                      "<CORSConfiguration><CORSRule><ID>r</ID><AllowedHeader>a</AllowedHeader><AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://a.example</AllowedOrigin><ExposeHeader>b</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>",
	"PutBucketEncryption":                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
	"PutBucketLifecycleConfiguration":    "<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>none/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>5</Days></Expiration></Rule></LifecycleConfiguration>",
	"PutBucketLogging":                   "<BucketLoggingStatus/>",
	"PutBucketNotificationConfiguration": "<NotificationConfiguration/>",
	"PutObjectLockConfiguration":         "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
	"PutBucketOwnershipControls":         "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>",
	"PutBucketPolicy":                    `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/none"}]}`,
	"PutPublicAccessBlock":               "<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>",
	"PutBucketRequestPayment":            "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
	"PutBucketTagging":                   "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
	"PutBucketVersioning":                "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
	"PutBucketWebsite":                   "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>",
	"PutBucketInventoryConfiguration": "<InventoryConfiguration><Id>i</Id><IsEnabled>true</IsEnabled><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule>" +
		"<Destination><S3BucketDestination><Bucket>arn:aws:s3:::logs</Bucket><Format>CSV</Format></S3BucketDestination></Destination></InventoryConfiguration>",
	"DeleteObjects":           "<Delete><Object><Key>none</Key></Object></Delete>",
	"CompleteMultipartUpload": "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part></CompleteMultipartUpload>",
	"PutObjectTagging":        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
	"PutObjectRetention":      "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{future}</RetainUntilDate></Retention>",
	"PutObjectLegalHold":      "<LegalHold><Status>OFF</Status></LegalHold>",
}

const sampleACL = "<AccessControlPolicy><Owner><ID>{canonical}</ID></Owner><AccessControlList><Grant><Grantee><ID>{canonical}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"

// needsLocks are operations of the bucket with locks.
var needsLocks = []string{"PutObjectRetention", "PutObjectLegalHold", "GetObjectRetention", "GetObjectLegalHold",
	"PutObjectLockConfiguration", "GetObjectLockConfiguration"}

// sample returns a request of an operation that succeeds, in the bucket in, or
// in a suitable one.
func (w *parameterWorld) sample(operation, in string) *sampleRequest {
	w.t.Helper()
	w.mend()
	i := slices.IndexFunc(api.Operations, func(op api.Operation) bool { return op.Name == operation })
	if i < 0 {
		w.t.Fatalf("unknown operation %s", operation)
	}
	op := &api.Operations[i]
	bucket := "/bkt"
	switch {
	case in != "":
		bucket = "/" + in
	case slices.Contains(needsLocks, operation):
		bucket = "/locked"
	}
	r := &sampleRequest{method: op.Method, path: []string{"/", bucket, bucket + "/key"}[op.Scope], operation: operation}
	for _, q := range op.Query {
		name, value, _ := strings.Cut(q, "=")
		switch name {
		case "uploadId":
			value, r.path = w.fillings[bucket], bucket+"/up"
		case "partNumber":
			value = "1"
		}
		r.addQuery(name, value)
	}
	if op.Header != "" {
		r.addHeader(strings.ToLower(op.Header), bucket+"/source")
	}
	r.body = w.fill(sampleDocuments[operation])
	if slices.ContainsFunc(w.model, func(m member) bool { return m.operation == operation && m.name == "id" }) {
		r.setQuery("id", "i")
	}
	switch operation {
	case "CreateBucket":
		r.path = "/new"
	case "DeleteBucket":
		r.path = "/spare"
	case "PutObject", "CopyObject", "CreateMultipartUpload":
		r.path = bucket + "/made"
	case "RenameObject":
		r.path = bucket + "/made"
		r.addHeader("x-amz-rename-source", bucket+"/old")
	case "GetObjectAttributes":
		r.addHeader("x-amz-object-attributes", "ETag")
	case "PutBucketAcl", "PutObjectAcl":
		r.body = w.fill(sampleACL)
	case "PutBucketVersioning":
		r.path = "/plain"
	case "PostObject":
		r.form = true
		r.addHeader("key", "made")
	}
	if op.Body == api.DataBody || op.Body == api.FormBody {
		r.body = sampleBody
	}
	if in == "locked" && (operation == "PutObject" || operation == "PostObject") {
		r.addHeader("x-amz-checksum-crc32", "{bodycrc32}")
	}
	if operation == "DeleteObjects" {
		r.addHeader("content-md5", contentDigest(r.body))
	}
	return r
}

// absences are the codes of samples that ask for something absent.
var absences = map[string][]string{
	"GetBucketTagging": {"NoSuchTagSet"}, "GetBucketPolicy": {"NoSuchBucketPolicy"}, "GetBucketPolicyStatus": {"NoSuchBucketPolicy"}, "GetBucketCors": {"NoSuchCORSConfiguration"},
	"GetBucketLifecycleConfiguration": {"NoSuchLifecycleConfiguration"}, "GetBucketWebsite": {"NoSuchWebsiteConfiguration"}, "GetBucketReplication": {"ReplicationConfigurationNotFoundError"},
	"GetPublicAccessBlock": {"NoSuchPublicAccessBlockConfiguration"}, "GetBucketOwnershipControls": {"OwnershipControlsNotFoundError"},
	"GetObjectRetention": {"NoSuchObjectLockConfiguration"}, "GetObjectLegalHold": {"NoSuchObjectLockConfiguration"},
	"GetBucketAnalyticsConfiguration": {"NoSuchConfiguration"}, "GetBucketIntelligentTieringConfiguration": {"NoSuchConfiguration"}, "GetBucketMetricsConfiguration": {"NoSuchConfiguration"}, "GetBucketInventoryConfiguration": {"NoSuchConfiguration"},
	"DeleteBucketAnalyticsConfiguration": {"NoSuchConfiguration"}, "DeleteBucketIntelligentTieringConfiguration": {"NoSuchConfiguration"}, "DeleteBucketMetricsConfiguration": {"NoSuchConfiguration"}, "DeleteBucketInventoryConfiguration": {"NoSuchConfiguration"},
}

// spoil notes the changes of a successful operation, for mend.
func (w *parameterWorld) spoil(r *sampleRequest, res gatewaytest.Response) {
	if r.method == "GET" || r.method == "HEAD" {
		return
	}
	w.spoiled[r.operation] = true
	if r.operation == "CreateMultipartUpload" {
		w.g.Must(w.t, 204, "DELETE", r.path+"?uploadId="+res.Element("UploadId"), nil)
	}
}

// mend repairs what samples need.
func (w *parameterWorld) mend() {
	for operation := range w.spoiled {
		switch operation {
		case "CreateBucket":
			w.g.Must(w.t, 204, "DELETE", "/new", nil)
		case "DeleteBucket":
			w.g.Must(w.t, 200, "PUT", "/spare", nil)
		case "DeleteObject":
			w.g.Must(w.t, 200, "PUT", "/bkt/key", []byte(sampleBody))
			w.g.Must(w.t, 200, "PUT", "/locked/key", []byte(sampleBody))
		case "RenameObject":
			w.g.Must(w.t, 200, "PUT", "/bkt/old", []byte(sampleBody))
		case "CompleteMultipartUpload", "AbortMultipartUpload":
			for _, bucket := range []string{"/bkt", "/locked", "/plain"} {
				if w.g.Do(w.t, w.g.Root, "GET", bucket+"/up?uploadId="+w.fillings[bucket], nil).Status == 404 {
					w.upload(bucket)
				}
			}
		}
	}
	clear(w.spoiled)
}
