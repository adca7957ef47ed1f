package api

import (
	"net/http"

	"github.com/sanctum-storage/gateway/engine"
)

// putObject stores a body under a key.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func putObject(s *Server, r *Request) (*Reply, error) {
	attributes, err := r.objectAttributes()
	if err != nil {
		return nil, err
	}
	conditions, err := r.writeConditions()
	if err != nil {
		return nil, err
	}
	body, err := r.engineBody()
	if err != nil {
		return nil, err
	}
	made, err := r.newObject()
	if err != nil {
		return nil, err
	}
	if err := r.requireDigest(made.Lock, &body); err != nil {
		return nil, err
	}
	if body.ChecksumAlgorithm == "" {
		// As S3 does: an object always has a checksum over all of it.
		body.ChecksumAlgorithm = engine.CRC64NVME
	}
	o, err := s.engine.PutObject(r.Context(), engine.PutObject{
		Bucket: r.Bucket, Key: r.Target.Key, Owner: r.objectOwner(), Marks: made.Marks, Encryption: made.kind, Customer: made.customer,
		Attributes: attributes, Body: body, Conditions: conditions,
	})
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	setETag(h, o.ETag)
	setChecksum(h, o.Checksum)
	r.setEncryption(h, &o)
	setMade(h, o.Version)
	h.Set("X-Amz-Object-Size", decimal(o.Size))
	r.setExpiration(h, o)
	return &Reply{Header: h}, nil
}
