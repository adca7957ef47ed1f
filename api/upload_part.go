package api

import (
	"net/http"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// maxPartNumber is the highest part number, and so the number of parts of an
// upload.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const maxPartNumber = 10_000

// uploadPart stores one part of an upload. It replaces an earlier part with the
// same number.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
func uploadPart(s *Server, r *Request) (*Reply, error) {
	number, err := r.partNumber()
	if err != nil {
		return nil, err
	}
	id, err := r.upload()
	if err != nil {
		return nil, err
	}
	if err := r.refuseEncryption(); err != nil {
		return nil, err
	}
	customer, err := r.customerKey()
	if err != nil {
		return nil, err
	}
	body, err := r.engineBody()
	if err != nil {
		return nil, err
	}
	part, err := s.engine.UploadPart(r.Context(), engine.UploadPart{
		Bucket: r.Bucket, Key: r.Target.Key, Upload: id, Number: number, Customer: customer, Body: body,
	})
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	setETag(h, part.ETag)
	if part.Checksum != nil {
		h.Set(checksumHeader(part.Checksum.Algorithm), part.Checksum.String())
	}
	setPartEncryption(h, r, &part)
	return &Reply{Header: h}, nil
}

// partNumber reads the query parameter partNumber.
func (r *Request) partNumber() (int, error) {
	value := r.QueryValue("partNumber")
	n, ok := strict.Number(value, maxPartNumber)
	if !ok || n < 1 {
		return 0, s3err.New(s3err.InvalidArgument, "Part number must be an integer between 1 and %d, inclusive", maxPartNumber).
			With("ArgumentName", "partNumber").With("ArgumentValue", value)
	}
	return int(n), nil
}
