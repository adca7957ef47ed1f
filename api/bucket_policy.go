package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// bucketPolicy is the stored setting: the document as it was sent, and the
// unique ids of the users, roles and sessions that it named then. A principal
// that is created later under an old name is another principal and not meant.
type bucketPolicy struct {
	Document string            `json:"document"`
	IDs      map[string]string `json:"ids,omitempty"`
	// Whole: IDs has all principals that existed. Earlier releases left out
	// sessions.
	Whole bool `json:"whole,omitempty"`
}

// parseBucketPolicy compiles a stored policy. A principal without an id matches
// nobody.
func parseBucketPolicy(bucket string, doc []byte) (*access.Policy, error) {
	var stored bucketPolicy
	if err := json.Unmarshal(doc, &stored); err != nil {
		return nil, err
	}
	p, err := access.ParseBucketPolicy("bucket policy", bucket, []byte(stored.Document))
	if err != nil {
		return nil, err
	}
	return p.WithIDs(func(arn string) (string, bool) {
		id, ok := stored.IDs[arn]
		return id, ok
	}).Closed(), nil
}

// identified completes a policy that an earlier release stored with ARNs alone.
// The principals that have the names now get their ids stored, once and for
// all. A name without a principal keeps matching nobody.
func (s *Server) identified(ctx context.Context, b meta.Bucket, p *access.Policy) (*access.Policy, error) {
	var doc []byte
	update := func(now *buckets.Settings) ([]byte, error) {
		var stored bucketPolicy
		doc, _ = now.Document(settingPolicy)
		if err := json.Unmarshal(doc, &stored); err != nil || stored.Whole {
			return doc, err
		}
		if stored.IDs == nil {
			stored.IDs = make(map[string]string)
		}
		for _, name := range p.Unknown() {
			id, err := s.accounts.PrincipalID(ctx, name)
			if err != nil {
				return nil, err
			}
			if id != "" {
				stored.IDs[name] = id
			}
		}
		stored.Whole = true
		var err error
		doc, err = json.Marshal(stored)
		return doc, err
	}
	settings, err := s.engine.Buckets().ReadableSettings(ctx, b)
	if err != nil {
		return nil, err
	}
	// Names without an id belong to nobody then, and no look-up changes that.
	if before, _ := settings.Document(settingPolicy); isWhole(before) {
		return p, nil
	}
	if err := s.engine.Buckets().UpdateSetting(ctx, b, settingPolicy, update); err != nil {
		return nil, err
	}
	if len(doc) == 0 {
		return nil, nil // removed meanwhile
	}
	return parseBucketPolicy(b.Name, doc)
}

// isWhole reports whether a stored policy has all its ids.
func isWhole(doc []byte) bool {
	var stored bucketPolicy
	return json.Unmarshal(doc, &stored) == nil && stored.Whole
}

// putBucketPolicy stores a policy. Its principals must exist, and it must not
// be public where that is blocked.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
func putBucketPolicy(s *Server, r *Request) (*Reply, error) {
	p, err := access.ParseBucketPolicy("bucket policy", r.Bucket.Name, r.XML)
	if err != nil {
		return nil, err
	}
	if err := p.CheckConditions(); err != nil {
		return nil, err
	}
	ids, nobody, err := s.accounts.PrincipalIDs(r.Context(), p)
	if err != nil {
		return nil, err
	}
	if nobody != "" {
		return nil, s3err.New(s3err.MalformedPolicy, "Invalid principal in policy").With("Detail", nobody)
	}
	stored := bucketPolicy{Document: string(r.XML), IDs: ids, Whole: true}
	doc, err := json.Marshal(stored)
	if err != nil {
		return nil, err
	}
	err = s.engine.Buckets().UpdateSetting(r.Context(), r.Bucket, settingPolicy, func(now *buckets.Settings) ([]byte, error) {
		// Checked within the update, so that a block which is set at the same
		// time is not passed by.
		block, err := s.publicAccessBlock(now)
		if err != nil {
			return nil, err
		}
		if block.BlockPublicPolicy && p.Public() {
			return nil, s3err.New(s3err.AccessDenied,
				"Public policies are blocked by the BlockPublicPolicy setting in the block public access settings.")
		}
		return doc, nil
	})
	if err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

// getBucketPolicy returns the document as it was sent, byte for byte, while its
// principals keep their names.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html
func getBucketPolicy(s *Server, r *Request) (*Reply, error) {
	doc, err := s.storedPolicy(r)
	if err != nil {
		return nil, err
	}
	var stored bucketPolicy
	if err := json.Unmarshal(doc, &stored); err != nil {
		return nil, err
	}
	if err := s.showPrincipals(r, &stored, doc); err != nil {
		return nil, err
	}
	return &Reply{
		Header: http.Header{"Content-Type": {"application/json"}},
		Stream: strings.NewReader(stored.Document), Length: int64(len(stored.Document)),
	}, nil
}

// showPrincipals rewrites the document when a principal in it was renamed or
// deleted. Deleted principals are shown by their unique id, as on AWS.
func (s *Server) showPrincipals(r *Request, stored *bucketPolicy, doc []byte) error {
	p, err := parseBucketPolicy(r.Bucket.Name, doc)
	if err != nil || len(stored.IDs) == 0 {
		return nil // an unreadable policy is shown as it is
	}
	arns, err := s.accounts.ARNs(r.Context(), p)
	if err != nil {
		return err
	}
	same := true
	for arn, id := range stored.IDs {
		same = same && arns[id] == arn
	}
	if same {
		return nil
	}
	stored.Document, err = p.WithARNs(arns).Text()
	return err
}

// deleteBucketPolicy removes the policy; it succeeds without one.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html
func deleteBucketPolicy(s *Server, r *Request) (*Reply, error) {
	if err := s.engine.Buckets().SetSetting(r.Context(), r.Bucket, settingPolicy, nil); err != nil {
		return nil, err
	}
	return &Reply{Status: http.StatusNoContent}, nil
}

// storedPolicy returns the stored setting of the request's bucket, or
// NoSuchBucketPolicy.
func (s *Server) storedPolicy(r *Request) ([]byte, error) {
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
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

// getBucketPolicyStatus tells whether the policy gives something to everybody.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
func getBucketPolicyStatus(s *Server, r *Request) (*Reply, error) {
	doc, err := s.storedPolicy(r)
	if err != nil {
		return nil, err
	}
	p, err := parseBucketPolicy(r.Bucket.Name, doc)
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
