package api

import (
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// neverSet marks the rows of an account's public access block. Only the whole
// deployment has one, s3.block_public_access.
const neverSet = "no account has one"

// controlOperations are rows of S3 Control: those that manage buckets, and
// those that clients use to look at an account. All other requests are
// NotImplemented.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_AWS_S3_Control.html
var controlOperations = []Operation{
	{Name: "ListTagsForResource", Method: "GET", Scope: ControlScope, Path: bucketTagsPath,
		Needs: needs("s3:ListTagsForResource"), Handle: listTagsForResource, Note: ofBuckets},
	{Name: "TagResource", Method: "POST", Scope: ControlScope, Path: bucketTagsPath,
		Needs: needs("s3:TagResource"), Body: XMLBody, MaxBody: maxSubresourceXML, Document: &tagsOfResource,
		Handle: tagResource, Note: ofBuckets},
	{Name: "UntagResource", Method: "DELETE", Scope: ControlScope, Path: bucketTagsPath,
		Needs: needs("s3:UntagResource"), Handle: untagResource, Note: ofBuckets},
	{Name: "GetAccountPublicAccessBlock", Method: "GET", Scope: ControlScope, Path: accountBlockPath,
		Needs: needs("s3:GetAccountPublicAccessBlock"), Handle: getAccountBlock, Note: neverSet},
	{Name: "PutAccountPublicAccessBlock", Method: "PUT", Scope: ControlScope, Path: accountBlockPath,
		Needs: needs("s3:PutAccountPublicAccessBlock")},
	{Name: "DeleteAccountPublicAccessBlock", Method: "DELETE", Scope: ControlScope, Path: accountBlockPath,
		Needs: needs("s3:PutAccountPublicAccessBlock"), Handle: deleteAccountBlock, Note: neverSet},
	{Name: "ListAccessPoints", Method: "GET", Scope: ControlScope, Path: "accesspoint",
		Needs: needs("s3:ListAccessPoints"), Handle: listAccessPoints, Note: "there are none"},
}

const (
	bucketTagsPath   = "tags/" + bucketARNPrefix + "*"
	bucketARNPrefix  = "arn:aws:s3:::"
	accountBlockPath = "configuration/publicAccessBlock"
	ofBuckets        = "of buckets"
)

// meansPath reports whether the row means a path below controlPath. A row's
// path that ends in * stands for all paths with that prefix.
func (op *Operation) meansPath(path string) bool {
	if prefix, ok := strings.CutSuffix(op.Path, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return path == op.Path
}

// resolveControl finds the S3 Control operation that a request means.
func resolveControl(method, path string) (*Operation, error) {
	for i := range Operations {
		if op := &Operations[i]; op.Scope == ControlScope && op.Method == method && op.meansPath(path) {
			return op, nil
		}
	}
	if arn, ok := strings.CutPrefix(path, "tags/"); ok && !strings.HasPrefix(arn, "arn:") {
		return nil, s3err.New(s3err.InvalidRequest, "The resource must be given as an ARN.")
	}
	return nil, s3err.NotImplemented
}

// accountHeader names the account that a request of S3 Control is about.
const accountHeader = "X-Amz-Account-Id"

// expectAccount checks the account that a request of S3 Control names. It must
// be the owner of the request's bucket, or without a bucket the sender's own
// account. The operator may ask about every account.
func (r *Request) expectAccount() error {
	if r.Op.Scope != ControlScope {
		return nil
	}
	if !r.Bucket.ID.IsZero() {
		return r.expectOwner(accountHeader, r.Bucket)
	}
	if r.Header(accountHeader) != r.Principal.Account && !r.Principal.Operator {
		return s3err.AccessDenied
	}
	return nil
}

// getAccountBlock says that the account has no public access block: see
// neverSet.
func getAccountBlock(_ *Server, r *Request) (*Reply, error) {
	return nil, s3err.New(s3err.NoSuchPublicAccessBlock, "").With("AccountId", r.Principal.Account)
}

// deleteAccountBlock succeeds, as S3 does where nothing is configured.
func deleteAccountBlock(*Server, *Request) (*Reply, error) {
	return &Reply{Status: http.StatusNoContent}, nil
}

// listAccessPoints lists none; there are no access points.
func listAccessPoints(*Server, *Request) (*Reply, error) {
	return &Reply{XML: controlDocument{"ListAccessPointsResult", "AccessPointList", nil}}, nil
}
