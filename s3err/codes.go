package s3err

// The codes the gateway answers with.
const (
	AccessControlListNotSupported       Code = "AccessControlListNotSupported"
	AccessDenied                        Code = "AccessDenied"
	AccessForbidden                     Code = "AccessForbidden"
	AuthorizationHeaderMalformed        Code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParametersError   Code = "AuthorizationQueryParametersError"
	BadDigest                           Code = "BadDigest"
	BadRequest                          Code = "BadRequest"
	BucketAlreadyExists                 Code = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou             Code = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                      Code = "BucketNotEmpty"
	ConcurrentModification              Code = "ConcurrentModification"
	ConditionalRequestConflict          Code = "ConditionalRequestConflict"
	DeleteConflict                      Code = "DeleteConflict"
	EntityAlreadyExists                 Code = "EntityAlreadyExists"
	EntityTooLarge                      Code = "EntityTooLarge"
	EntityTooSmall                      Code = "EntityTooSmall"
	ExpiredToken                        Code = "ExpiredToken"
	IDPCommunicationError               Code = "IDPCommunicationError"
	IDPRejectedClaim                    Code = "IDPRejectedClaim"
	IdempotencyParameterMismatch        Code = "IdempotencyParameterMismatch"
	IllegalLocationConstraint           Code = "IllegalLocationConstraintException"
	IllegalVersioningConfiguration      Code = "IllegalVersioningConfigurationException"
	IncompleteBody                      Code = "IncompleteBody"
	IncompleteSignature                 Code = "IncompleteSignature"
	InsufficientStorage                 Code = "InsufficientStorage" // not S3's: of what S3 has, clients repeat all that fits
	InternalError                       Code = "InternalError"
	InvalidAccessKeyID                  Code = "InvalidAccessKeyId"
	InvalidAction                       Code = "InvalidAction"
	InvalidArgument                     Code = "InvalidArgument"
	InvalidBucketName                   Code = "InvalidBucketName"
	InvalidBucketOwner                  Code = "InvalidBucketOwnerAWSAccountID"
	InvalidBucketState                  Code = "InvalidBucketState"
	InvalidChunkSize                    Code = "InvalidChunkSizeError"
	InvalidClientTokenID                Code = "InvalidClientTokenId"
	InvalidDigest                       Code = "InvalidDigest"
	InvalidEncryptionAlgorithm          Code = "InvalidEncryptionAlgorithmError"
	InvalidIdentityToken                Code = "InvalidIdentityToken"
	InvalidInput                        Code = "InvalidInput"
	InvalidLocationConstraint           Code = "InvalidLocationConstraint"
	InvalidObjectState                  Code = "InvalidObjectState"
	InvalidPart                         Code = "InvalidPart"
	InvalidPartNumber                   Code = "InvalidPartNumber"
	InvalidPartOrder                    Code = "InvalidPartOrder"
	InvalidPolicyDocument               Code = "InvalidPolicyDocument"
	InvalidRange                        Code = "InvalidRange"
	InvalidRedirectLocation             Code = "InvalidRedirectLocation"
	InvalidRequest                      Code = "InvalidRequest"
	InvalidS3DestinationBucket          Code = "InvalidS3DestinationBucket"
	InvalidStorageClass                 Code = "InvalidStorageClass"
	InvalidTag                          Code = "InvalidTag"
	InvalidTargetBucketForLogging       Code = "InvalidTargetBucketForLogging"
	InvalidToken                        Code = "InvalidToken"
	InvalidURI                          Code = "InvalidURI"
	KMSDisabled                         Code = "KMS.DisabledException"
	KMSNotFound                         Code = "KMS.NotFoundException"
	KeyTooLong                          Code = "KeyTooLongError"
	LimitExceeded                       Code = "LimitExceeded"
	MalformedPolicy                     Code = "MalformedPolicy"
	MalformedPolicyDocument             Code = "MalformedPolicyDocument"
	MalformedPOSTRequest                Code = "MalformedPOSTRequest"
	MalformedTrailer                    Code = "MalformedTrailerError"
	MalformedXML                        Code = "MalformedXML"
	MaxMessageLengthExceeded            Code = "MaxMessageLengthExceeded"
	MaxPostPreDataLengthExceeded        Code = "MaxPostPreDataLengthExceededError"
	MetadataTooLarge                    Code = "MetadataTooLarge"
	MethodNotAllowed                    Code = "MethodNotAllowed"
	MissingAuthenticationToken          Code = "MissingAuthenticationToken"
	MissingContentLength                Code = "MissingContentLength"
	MissingRequestBody                  Code = "MissingRequestBodyError"
	InvalidBucketACLWithObjectOwnership Code = "InvalidBucketAclWithObjectOwnership"
	MalformedACL                        Code = "MalformedACLError"
	PackedPolicyTooLarge                Code = "PackedPolicyTooLarge"
	UnexpectedContent                   Code = "UnexpectedContent"
	UnresolvableGrantByEmailAddress     Code = "UnresolvableGrantByEmailAddress"
	MissingSecurityHeader               Code = "MissingSecurityHeader"
	NoSuchBucket                        Code = "NoSuchBucket"
	NoSuchBucketPolicy                  Code = "NoSuchBucketPolicy"
	NoSuchConfiguration                 Code = "NoSuchConfiguration"
	NoSuchCORSConfiguration             Code = "NoSuchCORSConfiguration"
	NoSuchEntity                        Code = "NoSuchEntity"
	NoSuchKey                           Code = "NoSuchKey"
	NoSuchLifecycleConfiguration        Code = "NoSuchLifecycleConfiguration"
	NoSuchObjectLockConfiguration       Code = "NoSuchObjectLockConfiguration"
	NoSuchPublicAccessBlock             Code = "NoSuchPublicAccessBlockConfiguration"
	NoSuchResource                      Code = "NoSuchResource"
	NoSuchTagSet                        Code = "NoSuchTagSet"
	NoSuchUpload                        Code = "NoSuchUpload"
	NoSuchVersion                       Code = "NoSuchVersion"
	NoSuchWebsiteConfiguration          Code = "NoSuchWebsiteConfiguration"
	NotImplemented                      Code = "NotImplemented"
	NotModified                         Code = "NotModified"
	ObjectLockConfigurationNotFound     Code = "ObjectLockConfigurationNotFoundError"
	OperationAborted                    Code = "OperationAborted"
	OwnershipControlsNotFound           Code = "OwnershipControlsNotFoundError"
	PreconditionFailed                  Code = "PreconditionFailed"
	ReplicationConfigurationNotFound    Code = "ReplicationConfigurationNotFoundError"
	RequestHeaderSectionTooLarge        Code = "RequestHeaderSectionTooLarge"
	RequestTimeout                      Code = "RequestTimeout"
	RequestTimeTooSkewed                Code = "RequestTimeTooSkewed"
	QuotaExceeded                       Code = "QuotaExceeded"
	ServiceUnavailable                  Code = "ServiceUnavailable"
	SignatureDoesNotMatch               Code = "SignatureDoesNotMatch"
	SlowDown                            Code = "SlowDown"
	Throttling                          Code = "Throttling"
	TooManyBuckets                      Code = "TooManyBuckets"
	TooManyConfigurations               Code = "TooManyConfigurations"
	UnsupportedSignature                Code = "UnsupportedSignature"
	URITooLong                          Code = "URITooLong"
	UserKeyMustBeSpecified              Code = "UserKeyMustBeSpecified"
	ContentSHA256Mismatch               Code = "XAmzContentSHA256Mismatch"
	ValidationError                     Code = "ValidationError"
)

// entry is the answer to a code: its HTTP status, and the message if an Error
// has none of its own.
type entry struct {
	status  int
	message string
}

// table has every code. A code that is missing here would answer 500.
var table = map[Code]entry{
	AccessControlListNotSupported:       {400, "The bucket does not allow ACLs"},
	AccessDenied:                        {403, "Access Denied"},
	AccessForbidden:                     {403, "Access forbidden"},
	AuthorizationHeaderMalformed:        {400, "The authorization header that you provided is not valid."},
	AuthorizationQueryParametersError:   {400, "The authorization query parameters that you provided are not valid."},
	BadDigest:                           {400, "The Content-MD5 or checksum value that you specified did not match what the server received."},
	BadRequest:                          {400, "Bad Request"},
	BucketAlreadyExists:                 {409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Select a different name and try again."},
	BucketAlreadyOwnedByYou:             {409, "The bucket that you tried to create already exists, and you own it."},
	BucketNotEmpty:                      {409, "The bucket that you tried to delete is not empty."},
	ConcurrentModification:              {409, "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait and submit your request again."},
	ConditionalRequestConflict:          {409, "A conflicting operation occurred during the request to this resource. Retry it."},
	ContentSHA256Mismatch:               {400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
	DeleteConflict:                      {409, "The resource still has others that depend on it."},
	EntityAlreadyExists:                 {409, "The entity already exists."},
	EntityTooLarge:                      {400, "Your proposed upload exceeds the maximum allowed object size."},
	EntityTooSmall:                      {400, "Your proposed upload is smaller than the minimum allowed size"},
	ExpiredToken:                        {400, "The provided token has expired."},
	IDPCommunicationError:               {400, "The keys of the identity provider could not be had."},
	IDPRejectedClaim:                    {403, "The identity token was rejected."},
	IdempotencyParameterMismatch:        {400, "Parameters on this idempotent request are inconsistent with parameters used in previous request(s)."},
	IllegalLocationConstraint:           {400, "The location constraint is incompatible for the region specific endpoint this request was sent to."},
	IllegalVersioningConfiguration:      {400, "The versioning configuration specified in the request is not valid."},
	IncompleteBody:                      {400, "You did not provide the number of bytes specified by the Content-Length HTTP header."},
	IncompleteSignature:                 {400, "The request signature does not conform to AWS standards."},
	InsufficientStorage:                 {507, "There is no room left for what you are trying to store. Deletions go on."},
	InternalError:                       {500, "We encountered an internal error. Please try again."},
	InvalidAccessKeyID:                  {403, "The AWS access key ID that you provided does not exist in our records."},
	InvalidAction:                       {400, "The action or operation requested is invalid."},
	InvalidArgument:                     {400, "Invalid Argument"},
	InvalidBucketOwner:                  {400, "The value of the expected bucket owner parameter must be an AWS Account ID"},
	InvalidBucketName:                   {400, "The specified bucket is not valid."},
	InvalidBucketState:                  {409, "The request is not valid for the current state of the bucket."},
	InvalidChunkSize:                    {403, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	InvalidClientTokenID:                {403, "The security token included in the request is invalid."},
	InvalidDigest:                       {400, "The Content-MD5 or checksum value that you specified is not valid."},
	InvalidEncryptionAlgorithm:          {400, "The encryption request that you specified is not valid. The valid value is AES256."},
	InvalidIdentityToken:                {400, "The identity token could not be validated."},
	InvalidInput:                        {400, "An invalid or out-of-range value was supplied for an input parameter."},
	InvalidLocationConstraint:           {400, "The specified location constraint is not valid."},
	InvalidObjectState:                  {403, "The operation is not valid for the current state of the object."},
	InvalidPart:                         {400, "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag."},
	InvalidPartNumber:                   {416, "The requested partnumber is not satisfiable"},
	InvalidPartOrder:                    {400, "The list of parts was not in ascending order. The parts list must be specified in order by part number."},
	InvalidPolicyDocument:               {400, "The content of the form does not meet the conditions specified in the policy document."},
	InvalidRange:                        {416, "The requested range is not satisfiable"},
	InvalidRedirectLocation:             {400, "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."},
	InvalidRequest:                      {400, "Invalid Request"},
	InvalidS3DestinationBucket:          {400, "The destination bucket does not exist, or does not belong to the owner of the source bucket."},
	InvalidStorageClass:                 {400, "The storage class that you specified is not valid."},
	InvalidTag:                          {400, "The tag provided was not a valid tag."},
	InvalidTargetBucketForLogging:       {400, "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group."},
	InvalidToken:                        {400, "The provided token is malformed or otherwise not valid."},
	InvalidURI:                          {400, "The specified URI couldn't be parsed."},
	KMSDisabled:                         {400, "The key is disabled."},
	KMSNotFound:                         {400, "The key does not exist."},
	KeyTooLong:                          {400, "Your key is too long."},
	LimitExceeded:                       {409, "The limit is reached."},
	MalformedPolicy:                     {400, "Policies must be valid JSON and the first byte must be '{'"},
	MalformedPolicyDocument:             {400, "Syntax errors in policy."},
	MalformedPOSTRequest:                {400, "The body of your POST request is not well-formed multipart/form-data."},
	MalformedTrailer:                    {400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	MalformedXML:                        {400, "The XML that you provided was not well formed or did not validate against our published schema."},
	MaxMessageLengthExceeded:            {400, "Your request was too large."},
	MaxPostPreDataLengthExceeded:        {400, "Your POST request fields preceding the upload file were too large."},
	MetadataTooLarge:                    {400, "Your metadata headers exceed the maximum allowed metadata size."},
	MethodNotAllowed:                    {405, "The specified method is not allowed against this resource."},
	MissingAuthenticationToken:          {403, "Request is missing Authentication Token"},
	MissingContentLength:                {411, "You must provide the Content-Length HTTP header."},
	MissingRequestBody:                  {400, "Request body is empty."},
	InvalidBucketACLWithObjectOwnership: {400, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"},
	MalformedACL:                        {400, "The XML you provided was not well-formed or did not validate against our published schema"},
	PackedPolicyTooLarge:                {400, "The session policies and tags are too large."},
	UnexpectedContent:                   {400, "This request does not support content."},
	UnresolvableGrantByEmailAddress:     {400, "The email address you provided does not match any account on record."},
	MissingSecurityHeader:               {400, "Your request was missing a required header."},
	NoSuchBucket:                        {404, "The specified bucket does not exist"},
	NoSuchBucketPolicy:                  {404, "The bucket policy does not exist"},
	NoSuchConfiguration:                 {404, "The specified configuration does not exist."},
	NoSuchCORSConfiguration:             {404, "The CORS configuration does not exist"},
	NoSuchEntity:                        {404, "The entity does not exist."},
	NoSuchKey:                           {404, "The specified key does not exist."},
	NoSuchLifecycleConfiguration:        {404, "The lifecycle configuration does not exist"},
	NoSuchObjectLockConfiguration:       {404, "The specified object does not have a ObjectLock configuration"},
	NoSuchPublicAccessBlock:             {404, "The public access block configuration was not found"},
	NoSuchResource:                      {404, "The specified resource doesn't exist."},
	NoSuchTagSet:                        {404, "The TagSet does not exist"},
	NoSuchUpload:                        {404, "The specified multipart upload does not exist. The upload ID might not be valid, or the multipart upload might have been aborted or completed."},
	NoSuchVersion:                       {404, "The version ID specified in the request does not match an existing version."},
	NoSuchWebsiteConfiguration:          {404, "The specified bucket does not have a website configuration"},
	NotImplemented:                      {501, "A header or operation that you provided implies functionality that is not implemented."},
	NotModified:                         {304, "Not Modified"},
	ObjectLockConfigurationNotFound:     {404, "Object Lock configuration does not exist for this bucket"},
	OperationAborted:                    {409, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	OwnershipControlsNotFound:           {404, "The bucket ownership controls were not found"},
	PreconditionFailed:                  {412, "At least one of the preconditions that you specified did not hold."},
	ReplicationConfigurationNotFound:    {404, "The replication configuration was not found"},
	RequestHeaderSectionTooLarge:        {400, "Your request header section exceeds the maximum allowed request header section size."},
	RequestTimeout:                      {400, "Your socket connection to the server was not read from or written to within the timeout period."},
	RequestTimeTooSkewed:                {403, "The difference between the request time and the server's time is too large."},
	ServiceUnavailable:                  {503, "Service is unable to handle request."},
	SignatureDoesNotMatch:               {403, "The request signature that the server calculated does not match the signature that you provided. Check your AWS secret access key and signing method."},
	QuotaExceeded:                       {403, "The quota is used up."},
	SlowDown:                            {503, "Please reduce your request rate."},
	Throttling:                          {400, "Rate exceeded"},
	TooManyBuckets:                      {400, "You have attempted to create more buckets than are allowed."},
	TooManyConfigurations:               {400, "You are attempting to create a new configuration but have already reached the 1,000-configuration limit."},
	UnsupportedSignature:                {400, "The provided request is signed with an unsupported STS Token version or the signature version is not supported."},
	URITooLong:                          {414, "The request URI is too long."},
	UserKeyMustBeSpecified:              {400, "The bucket POST must contain the specified field name. If it is specified, check the order of the fields."},
	ValidationError:                     {400, "The input fails to satisfy the constraints."},
}
