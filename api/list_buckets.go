package api

import (
	"math"
	"regexp"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// maxBuckets bounds one answer to ListBuckets.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
const maxBuckets = 10000

// bucketList is the answer to ListBuckets.
type bucketList struct {
	owner   meta.ID
	name    string
	prefix  string
	region  string
	buckets []meta.Bucket
	next    string
}

// listBuckets shows the buckets of the sender's tenant, and to the operator
// those of all tenants.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
func listBuckets(s *Server, r *Request) (*Reply, error) {
	limit := maxBuckets
	if r.HasQuery("max-buckets") {
		n, ok := number(r.QueryValue("max-buckets"))
		if !ok || n < 1 || n > maxBuckets {
			return nil, s3err.New(s3err.InvalidArgument, "Argument max-buckets must be an integer between 1 and %d", maxBuckets).
				With("ArgumentName", "max-buckets").With("ArgumentValue", r.QueryValue("max-buckets"))
		}
		limit = n
	}
	q := meta.BucketQuery{Owner: r.Owner(), Prefix: r.asked.prefix.value}
	if r.Principal.Operator {
		q.Owner = meta.ID{}
	}
	if r.HasQuery("continuation-token") {
		var err error
		if q.After, err = bucketToken(r.QueryValue("continuation-token")); err != nil {
			return nil, err
		}
	}
	list := &bucketList{owner: r.Owner(), name: r.Principal.Name, prefix: q.Prefix, region: s.region}
	if region := r.QueryValue("bucket-region"); region != "" && region != s.region {
		return &Reply{XML: list}, nil // all buckets are in the gateway's region
	}
	// A page of the store is smaller than one of S3.
	for len(list.buckets) < limit {
		q.Limit = min(limit-len(list.buckets), meta.MaxPage)
		page, err := s.engine.Buckets().List(r.Context(), q)
		if err != nil {
			return nil, err
		}
		list.buckets = append(list.buckets, page...)
		if len(page) < q.Limit {
			return &Reply{XML: list}, nil
		}
		q.After = page[len(page)-1].Name
	}
	// One more look tells whether the list is complete.
	q.Limit = 1
	more, err := s.engine.Buckets().List(r.Context(), q)
	if len(more) > 0 {
		list.next = q.After
	}
	return &Reply{XML: list}, err
}

// bucketTokens matches bucket names.
var bucketTokens = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// bucketToken parses a continuation token, which is the last name of the page
// before.
func bucketToken(s string) (string, error) {
	if !bucketTokens.MatchString(s) {
		return "", s3err.New(s3err.InvalidArgument, "The continuation token provided is incorrect").
			With("ArgumentName", "continuation-token").With("ArgumentValue", s)
	}
	return s, nil
}

// AppendXML writes ListAllMyBucketsResult.
func (l *bucketList) AppendXML(b []byte) []byte {
	b = openRoot(b, "ListAllMyBucketsResult")
	b = appendOwner(b, "Owner", l.owner, l.name)
	b = openTag(b, "Buckets")
	for _, bucket := range l.buckets {
		b = openTag(b, "Bucket")
		b = appendElement(b, "Name", bucket.Name)
		b = appendTime(b, "CreationDate", bucket.Created)
		b = appendElement(b, "BucketRegion", l.region)
		b = closeTag(b, "Bucket")
	}
	b = closeTag(b, "Buckets")
	if l.prefix != "" {
		b = appendElement(b, "Prefix", l.prefix)
	}
	if l.next != "" {
		b = appendElement(b, "ContinuationToken", l.next)
	}
	return closeTag(b, "ListAllMyBucketsResult")
}

// appendOwner writes an owner, with the name if it is known.
func appendOwner(b []byte, element string, id meta.ID, name string) []byte {
	b = openTag(b, element)
	b = appendElement(b, "ID", id.Canonical())
	if name != "" {
		b = appendElement(b, "DisplayName", name)
	}
	return closeTag(b, element)
}

// number parses decimal digits up to 2,147,483,647, the largest number that S3
// takes. Some clients send it to ask for everything.
func number(s string) (int, bool) {
	n, ok := strict.Number(s, math.MaxInt32)
	return int(n), ok
}
