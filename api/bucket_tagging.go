package api

import (
	"net/http"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// putBucketTagging replaces the tags of a bucket.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
func putBucketTagging(s *Server, r *Request) (*Reply, error) {
	tags, err := r.asked.bucketTags.get()
	if err != nil {
		return nil, err
	}
	if err := storeSetting(s, r, settingTags, tags); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

// taggingOfBucket reads a bucket's Tagging document.
var taggingOfBucket = documentFacts{
	keys: openKeys("aws:requesttag/", "aws:tagkeys"),
	read: func(r *Request) { r.asked.bucketTags = saying(parseTagging(r.XML, maxBucketTags)) },
}

// getBucketTagging shows the tags.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html
var getBucketTagging = showSetting(settingTags, s3err.NoSuchTagSet, func(tags []engine.Pair) any { return tagging(tags) })
