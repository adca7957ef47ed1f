package api

import (
	"encoding/json"
	"encoding/xml"
	"net/http"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/s3err"
)

// accessBlock is the stored setting. Without one the gateway's default applies,
// so that a deleted block has to be stored as such.
type accessBlock struct {
	access.PublicAccessBlock
	Deleted bool `json:",omitempty"`
}

// accessBlockDocument is a PublicAccessBlockConfiguration as it is shown.
type accessBlockDocument struct {
	XMLName               xml.Name `xml:"PublicAccessBlockConfiguration"`
	BlockPublicACLs       bool     `xml:"BlockPublicAcls"`
	IgnorePublicACLs      bool     `xml:"IgnorePublicAcls"`
	BlockPublicPolicy     bool     `xml:"BlockPublicPolicy"`
	RestrictPublicBuckets bool     `xml:"RestrictPublicBuckets"`
}

// publicAccessBlock returns the block in effect: the bucket's own, or the
// default.
func (s *Server) publicAccessBlock(settings *buckets.Settings) (accessBlock, error) {
	block, ok, err := buckets.Parsed(settings, settingPublicAccessBlock, func(doc []byte) (b accessBlock, err error) {
		return b, json.Unmarshal(doc, &b)
	})
	if err != nil || ok {
		return block, err
	}
	on := s.blockPublicAccess
	return accessBlock{
		PublicAccessBlock: access.PublicAccessBlock{BlockPublicACLs: on, IgnorePublicACLs: on, BlockPublicPolicy: on, RestrictPublicBuckets: on},
		// Where the default blocks nothing, clients see no configuration, as on
		// S3.
		Deleted: !on,
	}, nil
}

// putPublicAccessBlock stores the four switches. An absent one is off.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html
func putPublicAccessBlock(s *Server, r *Request) (*Reply, error) {
	var d struct {
		BlockPublicACLs       *bool `xml:"BlockPublicAcls"`
		IgnorePublicACLs      *bool `xml:"IgnorePublicAcls"`
		BlockPublicPolicy     *bool `xml:"BlockPublicPolicy"`
		RestrictPublicBuckets *bool `xml:"RestrictPublicBuckets"`
	}
	if err := decodeXML(r.XML, "PublicAccessBlockConfiguration", &d); err != nil {
		return nil, err
	}
	is := func(b *bool) bool { return b != nil && *b }
	doc, err := json.Marshal(accessBlock{PublicAccessBlock: access.PublicAccessBlock{
		BlockPublicACLs: is(d.BlockPublicACLs), IgnorePublicACLs: is(d.IgnorePublicACLs),
		BlockPublicPolicy: is(d.BlockPublicPolicy), RestrictPublicBuckets: is(d.RestrictPublicBuckets),
	}})
	if err != nil {
		return nil, err
	}
	return &Reply{}, s.engine.Buckets().SetSetting(r.Context(), r.Bucket, settingPublicAccessBlock, doc)
}

// getPublicAccessBlock shows the block in effect, the default included.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html
func getPublicAccessBlock(s *Server, r *Request) (*Reply, error) {
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	block, err := s.publicAccessBlock(settings)
	if err != nil {
		return nil, err
	}
	if block.Deleted {
		return nil, s3err.New(s3err.NoSuchPublicAccessBlock, "").With("BucketName", r.Bucket.Name)
	}
	return &Reply{XML: accessBlockDocument{
		BlockPublicACLs: block.BlockPublicACLs, IgnorePublicACLs: block.IgnorePublicACLs,
		BlockPublicPolicy: block.BlockPublicPolicy, RestrictPublicBuckets: block.RestrictPublicBuckets,
	}}, nil
}

// deletePublicAccessBlock turns the block off, even where the default is on.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html
func deletePublicAccessBlock(s *Server, r *Request) (*Reply, error) {
	doc, err := json.Marshal(accessBlock{Deleted: true})
	if err != nil {
		return nil, err
	}
	if err := s.engine.Buckets().SetSetting(r.Context(), r.Bucket, settingPublicAccessBlock, doc); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}
