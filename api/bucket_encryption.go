package api

import (
	"encoding/xml"
	"net/http"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/s3err"
)

// The kinds of encryption that a bucket may block.
const (
	blockNone     = "NONE"
	blockCustomer = "SSE-C"
)

// bucketEncryption is a ServerSideEncryptionConfiguration, as sent and as
// shown.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionConfiguration.html
type bucketEncryption struct {
	XMLName xml.Name         `xml:"ServerSideEncryptionConfiguration"`
	Rules   []encryptionRule `xml:"Rule" max:"1"`
}

// encryptionRule is the one rule of a configuration. Either part may be absent,
// but not both.
type encryptionRule struct {
	Default   *encryptionDefault `xml:"ApplyServerSideEncryptionByDefault"`
	Blocked   *blockedEncryption `xml:"BlockedEncryptionTypes"`
	BucketKey bool               `xml:"BucketKeyEnabled"`
}

// encryptionDefault is the encryption of objects whose request asks for none.
type encryptionDefault struct {
	Algorithm string `xml:"SSEAlgorithm"`
	KMSKey    string `xml:"KMSMasterKeyID,omitempty"`
}

// blockedEncryption lists the kinds of encryption that new objects must not
// have.
type blockedEncryption struct {
	Types []string `xml:"EncryptionType" max:"10"`
}

// getBucketEncryption shows the encryption of new objects. A bucket without a
// configuration shows AES256, as S3 does.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html
func getBucketEncryption(s *Server, r *Request) (*Reply, error) {
	e, err := s.engine.Buckets().Encryption(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	rule := encryptionRule{Default: &encryptionDefault{Algorithm: encryptionAES}, BucketKey: e.BucketKey}
	if e.KMS {
		rule.Default.Algorithm = encryptionKMS
		if e.KMSKey != "" {
			rule.Default.KMSKey = r.kmsKeyARN(e.KMSKey)
		}
	}
	if e.NoCustomer {
		rule.Blocked = &blockedEncryption{[]string{blockCustomer}}
	}
	return &Reply{XML: bucketEncryption{Rules: []encryptionRule{rule}}}, nil
}

// putBucketEncryption replaces the encryption of new objects. Existing objects
// stay as they are.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
func putBucketEncryption(s *Server, r *Request) (*Reply, error) {
	var doc bucketEncryption
	if err := decodeXML(r.XML, "ServerSideEncryptionConfiguration", &doc); err != nil {
		return nil, err
	}
	if len(doc.Rules) != 1 {
		return nil, s3err.MalformedXML
	}
	e, err := r.encryptionRule(&doc.Rules[0])
	if err != nil {
		return nil, err
	}
	return &Reply{}, s.engine.Buckets().SetEncryption(r.Context(), r.Bucket, e)
}

// deleteBucketEncryption restores the encryption of a new bucket.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html
func deleteBucketEncryption(s *Server, r *Request) (*Reply, error) {
	if err := s.engine.Buckets().SetEncryption(r.Context(), r.Bucket, buckets.Encryption{}); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

// encryptionRule validates a rule and returns its settings.
func (r *Request) encryptionRule(rule *encryptionRule) (e buckets.Encryption, err error) {
	// It is returned last, so that a malformed rule is called malformed.
	var u unsupported
	e.BucketKey = rule.BucketKey
	if d := rule.Default; d != nil {
		switch d.Algorithm {
		case encryptionAES:
			if d.KMSKey != "" {
				return e, s3err.New(s3err.InvalidArgument, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse").
					With("ArgumentName", "ApplyServerSideEncryptionByDefault")
			}
		case encryptionKMS:
			e.KMS = true
			if d.KMSKey != "" {
				if e.KMSKey, err = r.kmsKey(d.KMSKey); err != nil {
					return e, err
				}
			}
		case "aws:kms:dsse":
			u.note("Dual-layer encryption (aws:kms:dsse) is not implemented.")
		default:
			return e, s3err.MalformedXML
		}
	} else if rule.Blocked == nil {
		return e, s3err.MalformedXML
	}
	if rule.Blocked != nil {
		for _, kind := range rule.Blocked.Types {
			switch kind {
			case blockCustomer:
				e.NoCustomer = true
			case blockNone:
			default:
				return e, s3err.MalformedXML
			}
		}
	}
	return e, u.err
}
