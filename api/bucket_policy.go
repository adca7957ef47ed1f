package api

import (
	"bytes"
	"net/http"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// putBucketPolicy stores a policy as it was sent. Whom it names must exist, and
// it must not be public where that is blocked.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
func putBucketPolicy(s *Server, r *Request) (*Reply, error) {
	p, err := access.ParseBucketPolicy("bucket policy", r.Bucket.Name, r.XML)
	if err != nil {
		return nil, err
	}
	for _, name := range p.Principals() {
		ok, err := s.engine.PrincipalExists(r.Context(), name)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, s3err.New(s3err.MalformedPolicy, "Invalid principal in policy").With("Detail", name)
		}
	}
	public := p.Public()
	err = s.engine.UpdateSetting(r.Context(), r.Bucket, settingPolicy, func(now *engine.Settings) ([]byte, error) {
		block, err := s.publicAccessBlock(now)
		if err != nil {
			return nil, err
		}
		if public && block.BlockPublicPolicy {
			return nil, s3err.New(s3err.AccessDenied, "Public policies are blocked by the BlockPublicPolicy setting in the block public access settings.")
		}
		return r.XML, nil
	})
	if err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

// getBucketPolicy gives back the document as it was sent.
func getBucketPolicy(s *Server, r *Request) (*Reply, error) {
	doc, err := s.policyOf(r)
	if err != nil {
		return nil, err
	}
	return &Reply{
		Header: http.Header{"Content-Type": {"application/json"}},
		Stream: bytes.NewReader(doc), Length: int64(len(doc)),
	}, nil
}

func deleteBucketPolicy(s *Server, r *Request) (*Reply, error) {
	if err := s.engine.SetSetting(r.Context(), r.Bucket, settingPolicy, nil); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

func (s *Server) policyOf(r *Request) ([]byte, error) {
	settings, err := s.engine.Settings(r.Context(), r.Bucket)
	if err != nil {
		return nil, err
	}
	doc, ok := settings.Document(settingPolicy)
	if !ok {
		return nil, s3err.New(s3err.NoSuchBucketPolicy, "").With("BucketName", r.Bucket.Name)
	}
	return doc, nil
}

// policyStatus is the answer to GetBucketPolicyStatus.
type policyStatus struct{ public bool }

// getBucketPolicyStatus says whether the policy gives something to everybody.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
func getBucketPolicyStatus(s *Server, r *Request) (*Reply, error) {
	doc, err := s.policyOf(r)
	if err != nil {
		return nil, err
	}
	p, err := access.ParseBucketPolicy("bucket policy", r.Bucket.Name, doc)
	if err != nil {
		return nil, s3err.Wrap(s3err.InternalError, err)
	}
	return &Reply{XML: policyStatus{p.Public()}}, nil
}

// AppendXML writes PolicyStatus.
func (p policyStatus) AppendXML(b []byte) []byte {
	b = openRoot(b, "PolicyStatus")
	word := "FALSE"
	if p.public {
		word = "TRUE"
	}
	return closeTag(appendElement(b, "IsPublic", word), "PolicyStatus")
}
