package api

import "strings"

// logResources are the resources of operations whose log name does not follow
// from their query.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
var logResources = map[string]string{
	"ListObjectsV2": "BUCKET", "ListObjectVersions": "BUCKETVERSIONS", "PostObject": "OBJECT",
	"GetBucketPolicy": "BUCKETPOLICY", "PutBucketPolicy": "BUCKETPOLICY", "DeleteBucketPolicy": "BUCKETPOLICY",
	"GetBucketPolicyStatus": "BUCKETPOLICY_STATUS",
	"ListTagsForResource":   "TAGGING", "TagResource": "TAGGING", "UntagResource": "TAGGING",
	"GetBucketLogging": "LOGGING_STATUS", "PutBucketLogging": "LOGGING_STATUS",
	"GetObjectTagging": "OBJECT_TAGGING", "PutObjectTagging": "OBJECT_TAGGING", "DeleteObjectTagging": "OBJECT_TAGGING",
	"GetObjectRetention": "OBJECT_LOCK_RETENTION", "PutObjectRetention": "OBJECT_LOCK_RETENTION",
	"GetObjectLegalHold": "OBJECT_LOCK_LEGALHOLD", "PutObjectLegalHold": "OBJECT_LOCK_LEGALHOLD",
	"GetObjectLockConfiguration": "OBJECT_LOCK_CONFIGURATION", "PutObjectLockConfiguration": "OBJECT_LOCK_CONFIGURATION",
	"GetObjectAttributes": "OBJECT_ATTRIBUTES", "DeleteObjects": "MULTI_OBJECT_DELETE",
	"UploadPart": "PART", "CreateMultipartUpload": "UPLOADS", "ListMultipartUploads": "UPLOADS",
	"CompleteMultipartUpload": "UPLOAD", "AbortMultipartUpload": "UPLOAD", "ListParts": "UPLOAD",
	"GetPublicAccessBlock": "PUBLIC_ACCESS_BLOCK", "PutPublicAccessBlock": "PUBLIC_ACCESS_BLOCK",
	"DeletePublicAccessBlock":    "PUBLIC_ACCESS_BLOCK",
	"GetBucketOwnershipControls": "OWNERSHIP_CONTROLS", "PutBucketOwnershipControls": "OWNERSHIP_CONTROLS",
	"DeleteBucketOwnershipControls": "OWNERSHIP_CONTROLS",
	"GetBucketRequestPayment":       "REQUEST_PAYMENT", "PutBucketRequestPayment": "REQUEST_PAYMENT",
}

// logOperation names the request's operation as server access logs do.
func (x *exchange) logOperation() string {
	op := x.req.Op
	method, resource := op.Method, logResources[op.Name]
	switch {
	case x.html:
		return "WEBSITE." + method + ".OBJECT"
	case op.Name == "CopyObject":
		return "REST.COPY.OBJECT"
	case op.Name == "UploadPartCopy":
		return "REST.COPY.PART"
	case op.Preflight:
		return "REST.OPTIONS.PREFLIGHT"
	case resource != "":
	case len(op.Query) > 0:
		name, _, _ := strings.Cut(op.Query[0], "=")
		resource = strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	case op.Scope == ObjectScope:
		resource = "OBJECT"
	default:
		resource = "BUCKET"
	}
	return "REST." + method + "." + resource
}
