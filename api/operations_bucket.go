package api

import (
	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// neverConfigured marks reads that answer truthfully because the feature can
// not be configured: many clients send them before they do anything else.
const neverConfigured = "reads only: never configured"

// serviceOperations are the rows whose path names nothing.
var serviceOperations = []Operation{
	{Name: "ListBuckets", Method: "GET", Scope: Service, Needs: needs(access.ListAllMyBuckets), Turn: readingTurn, Handle: listBuckets},
	// On AWS this one has a host of its own; here only x-id tells it apart.
	{Name: "ListDirectoryBuckets", Method: "GET", Scope: Service, Query: []string{"x-id=ListDirectoryBuckets"}, Needs: needs("s3express:ListAllMyDirectoryBuckets")},
}

// bucketOperations are the rows whose path names a bucket, but for those of
// multipart uploads and DeleteObjects. Deprecated names of the same requests
// (GetBucketLifecycle, PutBucketLifecycle, GetBucketNotification,
// PutBucketNotification) have no rows of their own.
var bucketOperations = []Operation{
	{Name: "CreateBucket", Method: "PUT", Scope: BucketScope, Needs: createNeeds, Body: XMLBody, MaxBody: maxSubresourceXML, Document: &bucketDocument, CreatesBucket: true, Handle: createBucket},
	{Name: "HeadBucket", Method: "HEAD", Scope: BucketScope, Needs: needs("s3:ListBucket"), Handle: headBucket},
	{Name: "DeleteBucket", Method: "DELETE", Scope: BucketScope, Needs: needs("s3:DeleteBucket"), Handle: deleteBucket},
	{Name: "GetBucketLocation", Method: "GET", Scope: BucketScope, Query: []string{"location"}, Needs: needs("s3:GetBucketLocation"), Handle: getBucketLocation},
	{Name: "ListObjects", Method: "GET", Scope: BucketScope, Needs: needs("s3:ListBucket"), Turn: delimiterTurn, Handle: listObjects},
	{Name: "ListObjectsV2", Method: "GET", Scope: BucketScope, Query: []string{"list-type=2"}, Needs: needs("s3:ListBucket"), Turn: delimiterTurn, Handle: listObjectsV2},
	{Name: "ListObjectVersions", Method: "GET", Scope: BucketScope, Query: []string{"versions"}, Needs: needs("s3:ListBucketVersions"), Turn: delimiterTurn, Handle: listObjectVersions},
	{Name: "PostObject", Method: "POST", Scope: BucketScope, Needs: writeNeeds, Body: FormBody, MaxBody: MaxObjectBytes, Handle: postObject},
	{Name: "CreateSession", Method: "GET", Scope: BucketScope, Query: []string{"session"}, Needs: needs("s3:CreateSession")},
	{Name: "OptionsBucket", Method: "OPTIONS", Scope: BucketScope, Needs: needs("s3:ListBucket"), Preflight: true, Handle: preflight, Note: "CORS preflight"},
	{Name: "WriteGetObjectResponse", Method: "POST", Scope: BucketScope, Header: "X-Amz-Request-Route", Needs: needs("s3:WriteGetObjectResponse"), Note: "Object Lambda, which is not there"},

	{Name: "GetBucketAbac", Method: "GET", Scope: BucketScope, Query: []string{"abac"}, Needs: needs("s3:GetBucketAbac")},
	{Name: "PutBucketAbac", Method: "PUT", Scope: BucketScope, Query: []string{"abac"}, Needs: needs("s3:PutBucketAbac")},
	{Name: "GetBucketAccelerateConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"accelerate"}, Needs: needs("s3:GetAccelerateConfiguration"), Handle: getBucketAccelerate},
	{Name: "PutBucketAccelerateConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"accelerate"}, Needs: needs("s3:PutAccelerateConfiguration"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putBucketAccelerate, Note: "Suspended only"},
	{Name: "GetBucketAcl", Method: "GET", Scope: BucketScope, Query: []string{"acl"}, Needs: needs("s3:GetBucketAcl"), Handle: getBucketACL},
	{Name: "PutBucketAcl", Method: "PUT", Scope: BucketScope, Query: []string{"acl"}, Needs: needs("s3:PutBucketAcl"), Body: XMLBody, MaxBody: maxSubresourceXML, Document: &aclOfDocument, Handle: putBucketACL},
	{Name: "GetBucketCors", Method: "GET", Scope: BucketScope, Query: []string{"cors"}, Needs: needs("s3:GetBucketCORS"), Handle: getBucketCORS},
	{Name: "PutBucketCors", Method: "PUT", Scope: BucketScope, Query: []string{"cors"}, Needs: needs("s3:PutBucketCORS"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putBucketCORS},
	{Name: "DeleteBucketCors", Method: "DELETE", Scope: BucketScope, Query: []string{"cors"}, Needs: needs("s3:PutBucketCORS"), Handle: removeSetting(settingCORS)},
	{Name: "GetBucketEncryption", Method: "GET", Scope: BucketScope, Query: []string{"encryption"}, Needs: needs("s3:GetEncryptionConfiguration"), Handle: getBucketEncryption},
	{Name: "PutBucketEncryption", Method: "PUT", Scope: BucketScope, Query: []string{"encryption"}, Needs: needs("s3:PutEncryptionConfiguration"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putBucketEncryption},
	{Name: "DeleteBucketEncryption", Method: "DELETE", Scope: BucketScope, Query: []string{"encryption"}, Needs: needs("s3:PutEncryptionConfiguration"), Handle: deleteBucketEncryption},
	{Name: "GetBucketLifecycleConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"lifecycle"}, Needs: needs("s3:GetLifecycleConfiguration"), Handle: getBucketLifecycle},
	{Name: "PutBucketLifecycleConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"lifecycle"}, Needs: needs("s3:PutLifecycleConfiguration"), Body: XMLBody, MaxBody: maxLifecycleXML, Handle: putBucketLifecycle},
	{Name: "DeleteBucketLifecycle", Method: "DELETE", Scope: BucketScope, Query: []string{"lifecycle"}, Needs: needs("s3:PutLifecycleConfiguration"), Handle: removeSetting(engine.LifecycleSetting)},
	{Name: "GetBucketLogging", Method: "GET", Scope: BucketScope, Query: []string{"logging"}, Needs: needs("s3:GetBucketLogging"), Handle: getBucketLogging},
	{Name: "PutBucketLogging", Method: "PUT", Scope: BucketScope, Query: []string{"logging"}, Needs: needs("s3:PutBucketLogging"), Body: XMLBody, MaxBody: maxSubresourceXML, Elsewhere: true, Handle: putBucketLogging},
	{Name: "GetBucketNotificationConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"notification"}, Needs: needs("s3:GetBucketNotification"), Handle: emptyDocument("NotificationConfiguration"), Note: neverConfigured},
	{Name: "PutBucketNotificationConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"notification"}, Needs: needs("s3:PutBucketNotification"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putBucketNotification, Note: "empty only: every destination is refused"},
	{Name: "GetObjectLockConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"object-lock"}, Needs: needs("s3:GetBucketObjectLockConfiguration"), Handle: getObjectLockConfiguration},
	{Name: "PutObjectLockConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"object-lock"}, Needs: needs("s3:PutBucketObjectLockConfiguration"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putObjectLockConfiguration},
	{Name: "GetBucketOwnershipControls", Method: "GET", Scope: BucketScope, Query: []string{"ownershipControls"}, Needs: needs("s3:GetBucketOwnershipControls"), Handle: getBucketOwnershipControls},
	{Name: "PutBucketOwnershipControls", Method: "PUT", Scope: BucketScope, Query: []string{"ownershipControls"}, Needs: needs("s3:PutBucketOwnershipControls"), Body: XMLBody, MaxBody: maxSubresourceXML, Document: &ownershipDocument, Handle: putBucketOwnershipControls},
	{Name: "DeleteBucketOwnershipControls", Method: "DELETE", Scope: BucketScope, Query: []string{"ownershipControls"}, Needs: needs("s3:PutBucketOwnershipControls"), Handle: deleteBucketOwnershipControls},
	{Name: "GetBucketPolicy", Method: "GET", Scope: BucketScope, Query: []string{"policy"}, Needs: needs("s3:GetBucketPolicy"), Handle: getBucketPolicy},
	{Name: "PutBucketPolicy", Method: "PUT", Scope: BucketScope, Query: []string{"policy"}, Needs: needs("s3:PutBucketPolicy"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putBucketPolicy},
	{Name: "DeleteBucketPolicy", Method: "DELETE", Scope: BucketScope, Query: []string{"policy"}, Needs: needs("s3:DeleteBucketPolicy"), Handle: deleteBucketPolicy},
	{Name: "GetBucketPolicyStatus", Method: "GET", Scope: BucketScope, Query: []string{"policyStatus"}, Needs: needs("s3:GetBucketPolicyStatus"), Handle: getBucketPolicyStatus},
	{Name: "GetPublicAccessBlock", Method: "GET", Scope: BucketScope, Query: []string{"publicAccessBlock"}, Needs: needs("s3:GetBucketPublicAccessBlock"), Handle: getPublicAccessBlock},
	{Name: "PutPublicAccessBlock", Method: "PUT", Scope: BucketScope, Query: []string{"publicAccessBlock"}, Needs: needs("s3:PutBucketPublicAccessBlock"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putPublicAccessBlock},
	{Name: "DeletePublicAccessBlock", Method: "DELETE", Scope: BucketScope, Query: []string{"publicAccessBlock"}, Needs: needs("s3:PutBucketPublicAccessBlock"), Handle: deletePublicAccessBlock},
	{Name: "GetBucketReplication", Method: "GET", Scope: BucketScope, Query: []string{"replication"}, Needs: needs("s3:GetReplicationConfiguration"), Handle: notConfigured(s3err.ReplicationConfigurationNotFound), Note: neverConfigured},
	{Name: "PutBucketReplication", Method: "PUT", Scope: BucketScope, Query: []string{"replication"}, Needs: needs("s3:PutReplicationConfiguration")},
	{Name: "DeleteBucketReplication", Method: "DELETE", Scope: BucketScope, Query: []string{"replication"}, Needs: needs("s3:PutReplicationConfiguration"), Handle: alreadyAbsent, Note: neverConfigured},
	{Name: "GetBucketRequestPayment", Method: "GET", Scope: BucketScope, Query: []string{"requestPayment"}, Needs: needs("s3:GetBucketRequestPayment"), Handle: getBucketRequestPayment, Note: neverConfigured},
	{Name: "PutBucketRequestPayment", Method: "PUT", Scope: BucketScope, Query: []string{"requestPayment"}, Needs: needs("s3:PutBucketRequestPayment"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putBucketRequestPayment, Note: "BucketOwner only"},
	{Name: "GetBucketTagging", Method: "GET", Scope: BucketScope, Query: []string{"tagging"}, Needs: needs("s3:GetBucketTagging"), Handle: getBucketTagging},
	{Name: "PutBucketTagging", Method: "PUT", Scope: BucketScope, Query: []string{"tagging"}, Needs: needs("s3:PutBucketTagging"), Body: XMLBody, MaxBody: maxSubresourceXML, Document: &taggingOfBucket, Handle: putBucketTagging},
	{Name: "DeleteBucketTagging", Method: "DELETE", Scope: BucketScope, Query: []string{"tagging"}, Needs: needs("s3:PutBucketTagging"), Handle: removeSetting(settingTags)},
	{Name: "GetBucketVersioning", Method: "GET", Scope: BucketScope, Query: []string{"versioning"}, Needs: needs("s3:GetBucketVersioning"), Handle: getBucketVersioning},
	{Name: "PutBucketVersioning", Method: "PUT", Scope: BucketScope, Query: []string{"versioning"}, Needs: needs("s3:PutBucketVersioning"), Body: XMLBody, MaxBody: maxSubresourceXML, Handle: putBucketVersioning, Note: "without MFA delete"},
	{Name: "GetBucketWebsite", Method: "GET", Scope: BucketScope, Query: []string{"website"}, Needs: needs("s3:GetBucketWebsite"), Handle: getBucketWebsite},
	{Name: "PutBucketWebsite", Method: "PUT", Scope: BucketScope, Query: []string{"website"}, Needs: needs("s3:PutBucketWebsite"), Body: XMLBody, MaxBody: maxWebsiteXML, Handle: putBucketWebsite},
	{Name: "DeleteBucketWebsite", Method: "DELETE", Scope: BucketScope, Query: []string{"website"}, Needs: needs("s3:DeleteBucketWebsite"), Handle: removeSetting(settingWebsite)},

	{Name: "GetBucketAnalyticsConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"analytics", "id"}, Needs: needs("s3:GetAnalyticsConfiguration"), Handle: noneOfID, Note: neverConfigured},
	{Name: "ListBucketAnalyticsConfigurations", Method: "GET", Scope: BucketScope, Query: []string{"analytics"}, Needs: needs("s3:GetAnalyticsConfiguration"), Handle: listsNone("ListBucketAnalyticsConfigurationResult"), Note: neverConfigured},
	{Name: "PutBucketAnalyticsConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"analytics"}, Needs: needs("s3:PutAnalyticsConfiguration")},
	{Name: "DeleteBucketAnalyticsConfiguration", Method: "DELETE", Scope: BucketScope, Query: []string{"analytics"}, Needs: needs("s3:PutAnalyticsConfiguration"), Handle: noneOfID, Note: neverConfigured},
	{Name: "GetBucketIntelligentTieringConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"intelligent-tiering", "id"}, Needs: needs("s3:GetIntelligentTieringConfiguration"), Handle: noneOfID, Note: neverConfigured},
	{Name: "ListBucketIntelligentTieringConfigurations", Method: "GET", Scope: BucketScope, Query: []string{"intelligent-tiering"}, Needs: needs("s3:GetIntelligentTieringConfiguration"), Handle: listsNone("ListBucketIntelligentTieringConfigurationsOutput"), Note: neverConfigured},
	{Name: "PutBucketIntelligentTieringConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"intelligent-tiering"}, Needs: needs("s3:PutIntelligentTieringConfiguration")},
	{Name: "DeleteBucketIntelligentTieringConfiguration", Method: "DELETE", Scope: BucketScope, Query: []string{"intelligent-tiering"}, Needs: needs("s3:PutIntelligentTieringConfiguration"), Handle: noneOfID, Note: neverConfigured},
	{Name: "GetBucketInventoryConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"inventory", "id"}, Needs: needs("s3:GetInventoryConfiguration"), Handle: getBucketInventory},
	{Name: "ListBucketInventoryConfigurations", Method: "GET", Scope: BucketScope, Query: []string{"inventory"}, Needs: needs("s3:GetInventoryConfiguration"), Handle: listBucketInventories},
	{Name: "PutBucketInventoryConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"inventory"}, Needs: needs("s3:PutInventoryConfiguration"), Body: XMLBody, MaxBody: maxSubresourceXML, Document: &inventoryOfBucket, Elsewhere: true, Handle: putBucketInventory},
	{Name: "DeleteBucketInventoryConfiguration", Method: "DELETE", Scope: BucketScope, Query: []string{"inventory"}, Needs: needs("s3:PutInventoryConfiguration"), Handle: deleteBucketInventory},
	{Name: "GetBucketMetricsConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"metrics", "id"}, Needs: needs("s3:GetMetricsConfiguration"), Handle: noneOfID, Note: neverConfigured},
	{Name: "ListBucketMetricsConfigurations", Method: "GET", Scope: BucketScope, Query: []string{"metrics"}, Needs: needs("s3:GetMetricsConfiguration"), Handle: listsNone("ListMetricsConfigurationsResult"), Note: neverConfigured},
	{Name: "PutBucketMetricsConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"metrics"}, Needs: needs("s3:PutMetricsConfiguration")},
	{Name: "DeleteBucketMetricsConfiguration", Method: "DELETE", Scope: BucketScope, Query: []string{"metrics"}, Needs: needs("s3:PutMetricsConfiguration"), Handle: noneOfID, Note: neverConfigured},
	{Name: "CreateBucketMetadataConfiguration", Method: "POST", Scope: BucketScope, Query: []string{"metadataConfiguration"}, Needs: needs("s3:CreateBucketMetadataTableConfiguration")},
	{Name: "GetBucketMetadataConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"metadataConfiguration"}, Needs: needs("s3:GetBucketMetadataTableConfiguration")},
	{Name: "DeleteBucketMetadataConfiguration", Method: "DELETE", Scope: BucketScope, Query: []string{"metadataConfiguration"}, Needs: needs("s3:DeleteBucketMetadataTableConfiguration")},
	{Name: "CreateBucketMetadataTableConfiguration", Method: "POST", Scope: BucketScope, Query: []string{"metadataTable"}, Needs: needs("s3:CreateBucketMetadataTableConfiguration")},
	{Name: "GetBucketMetadataTableConfiguration", Method: "GET", Scope: BucketScope, Query: []string{"metadataTable"}, Needs: needs("s3:GetBucketMetadataTableConfiguration")},
	{Name: "DeleteBucketMetadataTableConfiguration", Method: "DELETE", Scope: BucketScope, Query: []string{"metadataTable"}, Needs: needs("s3:DeleteBucketMetadataTableConfiguration")},
	{Name: "UpdateBucketMetadataAnnotationTableConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"metadataAnnotationTable"}, Needs: needs("s3:UpdateBucketMetadataAnnotationTableConfiguration")},
	{Name: "UpdateBucketMetadataInventoryTableConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"metadataInventoryTable"}, Needs: needs("s3:UpdateBucketMetadataInventoryTableConfiguration")},
	{Name: "UpdateBucketMetadataJournalTableConfiguration", Method: "PUT", Scope: BucketScope, Query: []string{"metadataJournalTable"}, Needs: needs("s3:UpdateBucketMetadataJournalTableConfiguration")},
}
