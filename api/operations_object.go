package api

// Limits of object operations.
const (
	// MaxObjectBytes is the largest body of one PutObject or UploadPart: 5 GiB.
	// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	MaxObjectBytes = 5 << 30
	// maxCompleteXML fits 10,000 parts with every element that SDKs send.
	maxCompleteXML = 4 << 20
	// maxDeleteXML fits 1,000 keys of 1,024 bytes, most of them without escapes.
	maxDeleteXML = 2 << 20
	// maxSubresourceXML bounds the documents that configure a bucket or object.
	maxSubresourceXML = 64 << 10
)

// objectOperations are the rows whose path names an object, those of multipart
// uploads, and DeleteObjects.
var objectOperations = []Operation{
	{Name: "GetObject", Method: "GET", Scope: ObjectScope, Accept: []string{"versionId", "partNumber"},
		Needs: versioned("s3:GetObject", "s3:GetObjectVersion"), ReadsObject: true, Handle: getObject},
	{Name: "HeadObject", Method: "HEAD", Scope: ObjectScope, Accept: []string{"versionId", "partNumber"},
		Needs: versioned("s3:GetObject", "s3:GetObjectVersion"), ReadsObject: true, Handle: headObject},
	{Name: "PutObject", Method: "PUT", Scope: ObjectScope,
		Needs: writeNeeds, Body: DataBody, MaxBody: MaxObjectBytes, WritesObject: true, Handle: putObject},
	{Name: "CopyObject", Method: "PUT", Scope: ObjectScope, Header: copySourceHeader,
		Needs: copyNeeds, Handle: copyObject},
	{Name: "RenameObject", Method: "PUT", Scope: ObjectScope, Query: []string{"renameObject"},
		Needs: renameNeeds, Handle: renameObject, Note: "in buckets that never had versions"},
	{Name: "DeleteObject", Method: "DELETE", Scope: ObjectScope, Accept: []string{"versionId"},
		Needs: comparing(versioned("s3:DeleteObject", "s3:DeleteObjectVersion")), Handle: deleteObject},
	{Name: "DeleteObjects", Method: "POST", Scope: BucketScope, Query: []string{"delete"},
		Needs: needs("s3:DeleteObject"), ByKey: true, Body: XMLBody, MaxBody: maxDeleteXML, Turn: changingTurn,
		Handle: deleteObjects},
	{Name: "GetObjectAttributes", Method: "GET", Scope: ObjectScope, Query: []string{"attributes"}, Accept: []string{"versionId"},
		Needs: attributesNeeds, ReadsObject: true, Handle: getObjectAttributes},

	{Name: "CreateMultipartUpload", Method: "POST", Scope: ObjectScope, Query: []string{"uploads"},
		Needs: writeNeeds, Handle: createMultipartUpload},
	{Name: "UploadPart", Method: "PUT", Scope: ObjectScope, Query: []string{"uploadId", "partNumber"},
		Needs: needs("s3:PutObject"), Body: DataBody, MaxBody: MaxObjectBytes, Handle: uploadPart},
	{Name: "UploadPartCopy", Method: "PUT", Scope: ObjectScope, Query: []string{"uploadId", "partNumber"}, Header: copySourceHeader,
		Needs: copyNeeds, Handle: uploadPartCopy},
	{Name: "CompleteMultipartUpload", Method: "POST", Scope: ObjectScope, Query: []string{"uploadId"},
		Needs: comparing(needs("s3:PutObject")), Body: XMLBody, MaxBody: maxCompleteXML, ObjectChecksum: true,
		Turn: changingTurn, Handle: completeMultipartUpload},
	{Name: "AbortMultipartUpload", Method: "DELETE", Scope: ObjectScope, Query: []string{"uploadId"},
		Needs: initiatorNeeds("s3:AbortMultipartUpload"), Handle: abortMultipartUpload},
	{Name: "ListParts", Method: "GET", Scope: ObjectScope, Query: []string{"uploadId"},
		Needs: initiatorNeeds("s3:ListMultipartUploadParts"), Handle: listParts},
	{Name: "ListMultipartUploads", Method: "GET", Scope: BucketScope, Query: []string{"uploads"},
		Needs: needs("s3:ListBucketMultipartUploads"), Turn: readingTurn, Handle: listMultipartUploads},

	{Name: "GetObjectAcl", Method: "GET", Scope: ObjectScope, Query: []string{"acl"}, Accept: []string{"versionId"},
		Needs: versioned("s3:GetObjectAcl", "s3:GetObjectVersionAcl"), ReadsObject: true, Handle: getObjectACL},
	{Name: "PutObjectAcl", Method: "PUT", Scope: ObjectScope, Query: []string{"acl"}, Accept: []string{"versionId"},
		Needs: versioned("s3:PutObjectAcl", "s3:PutObjectVersionAcl"), Body: XMLBody, MaxBody: maxSubresourceXML,
		Document: &aclOfDocument, ReadsObject: true, Handle: putObjectACL},
	{Name: "GetObjectTagging", Method: "GET", Scope: ObjectScope, Query: []string{"tagging"}, Accept: []string{"versionId"},
		Needs: versioned("s3:GetObjectTagging", "s3:GetObjectVersionTagging"), ReadsObject: true,
		Handle: getObjectTagging},
	{Name: "PutObjectTagging", Method: "PUT", Scope: ObjectScope, Query: []string{"tagging"}, Accept: []string{"versionId"},
		Needs: versioned("s3:PutObjectTagging", "s3:PutObjectVersionTagging"), Body: XMLBody,
		MaxBody: maxSubresourceXML, Document: &taggingOfObject, ReadsObject: true, Handle: putObjectTagging},
	{Name: "DeleteObjectTagging", Method: "DELETE", Scope: ObjectScope, Query: []string{"tagging"}, Accept: []string{"versionId"},
		Needs: versioned("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"), ReadsObject: true,
		Handle: deleteObjectTagging},
	{Name: "GetObjectRetention", Method: "GET", Scope: ObjectScope, Query: []string{"retention"}, Accept: []string{"versionId"},
		Needs: needs("s3:GetObjectRetention"), ReadsObject: true, Handle: getObjectRetention},
	{Name: "PutObjectRetention", Method: "PUT", Scope: ObjectScope, Query: []string{"retention"}, Accept: []string{"versionId"},
		Needs: retentionNeeds, Body: XMLBody, MaxBody: maxSubresourceXML, Document: &retentionDocument,
		ReadsObject: true, Handle: putObjectRetention},
	{Name: "GetObjectLegalHold", Method: "GET", Scope: ObjectScope, Query: []string{"legal-hold"}, Accept: []string{"versionId"},
		Needs: needs("s3:GetObjectLegalHold"), ReadsObject: true, Handle: getObjectLegalHold},
	{Name: "PutObjectLegalHold", Method: "PUT", Scope: ObjectScope, Query: []string{"legal-hold"}, Accept: []string{"versionId"},
		Needs: needs("s3:PutObjectLegalHold"), Body: XMLBody, MaxBody: maxSubresourceXML, Document: &holdDocument,
		ReadsObject: true, Handle: putObjectLegalHold},
	{Name: "GetObjectAnnotation", Method: "GET", Scope: ObjectScope, Query: []string{"annotation", "annotationName"}, Accept: []string{"versionId"},
		Needs: needs("s3:GetObjectAnnotation")},
	{Name: "ListObjectAnnotations", Method: "GET", Scope: ObjectScope, Query: []string{"annotation"}, Accept: []string{"versionId"},
		Needs: needs("s3:ListObjectAnnotations")},
	{Name: "PutObjectAnnotation", Method: "PUT", Scope: ObjectScope, Query: []string{"annotation"}, Accept: []string{"versionId"},
		Needs: needs("s3:PutObjectAnnotation")},
	{Name: "DeleteObjectAnnotation", Method: "DELETE", Scope: ObjectScope, Query: []string{"annotation"}, Accept: []string{"versionId"},
		Needs: needs("s3:DeleteObjectAnnotation")},
	{Name: "GetObjectTorrent", Method: "GET", Scope: ObjectScope, Query: []string{"torrent"},
		Needs: needs("s3:GetObjectTorrent")},
	{Name: "RestoreObject", Method: "POST", Scope: ObjectScope, Query: []string{"restore"}, Accept: []string{"versionId"},
		Needs: needs("s3:RestoreObject")},
	{Name: "SelectObjectContent", Method: "POST", Scope: ObjectScope, Query: []string{"select"}, Accept: []string{"select-type"},
		Needs: needs("s3:GetObject")},
	{Name: "UpdateObjectEncryption", Method: "PUT", Scope: ObjectScope, Query: []string{"encryption"}, Accept: []string{"versionId"},
		Needs: needs("s3:UpdateObjectEncryption")},
	{Name: "OptionsObject", Method: "OPTIONS", Scope: ObjectScope,
		Needs: needs("s3:GetObject"), Preflight: true, Handle: preflight, Note: "CORS preflight"},
}
