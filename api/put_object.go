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
		if body.ChecksumAlgorithm, err = r.defaultChecksum(); err != nil {
			return nil, err
		}
	}
	o, err := s.engine.PutObject(r.Context(), engine.PutObject{
		Bucket: r.Bucket, Key: r.Target.Key, Owner: r.objectOwner(),
		Marks: made.Marks, Encryption: made.kind, Customer: made.customer,
		Attributes: attributes, Body: body, Conditions: conditions, Vacant: r.vacant,
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

// defaultChecksum returns the checksum algorithm for an object that is sent
// without one, because every object has one: CRC64NVME, as on S3. A client may
// name another in x-amz-checksum-algorithm. S3 takes that header for multipart
// uploads and copies only, but minio-go sends it with every object and expects
// that checksum in the answer.
func (r *Request) defaultChecksum() (string, error) {
	named, err := r.checksumAlgorithm("X-Amz-Checksum-Algorithm")
	if named == "" {
		named = engine.CRC64NVME
	}
	return named, err
}
