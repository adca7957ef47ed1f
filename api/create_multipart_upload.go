package api

import (
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// createUploadResult is the answer to CreateMultipartUpload.
type createUploadResult struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	Bucket   string   `xml:"Bucket"`
	Key      string   `xml:"Key"`
	UploadID string   `xml:"UploadId"`
}

// createMultipartUpload starts an upload. The attributes, ACL, tags, lock and
// encryption of the later object are fixed now.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
func createMultipartUpload(s *Server, r *Request) (*Reply, error) {
	// As on S3. An upload belongs to its initiator, who may list and abort it.
	if r.Principal.Kind == access.Nobody {
		return nil, s3err.New(s3err.AccessDenied, "Anonymous users cannot initiate multipart uploads. Please authenticate.")
	}
	attributes, err := r.objectAttributes()
	if err != nil {
		return nil, err
	}
	algorithm, kind, err := r.uploadChecksum()
	if err != nil {
		return nil, err
	}
	made, err := r.newObject()
	if err != nil {
		return nil, err
	}
	u, err := s.engine.CreateUpload(r.Context(), engine.CreateUpload{
		Bucket: r.Bucket, Key: r.Target.Key, Owner: r.objectOwner(), By: r.initiator(),
		Marks: made.Marks, Encryption: made.kind, Customer: made.customer,
		Attributes: attributes, ChecksumAlgorithm: algorithm, ChecksumType: kind,
	})
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	made.sealing.set(h, r)
	if u.ChecksumAlgorithm != "" {
		h.Set("X-Amz-Checksum-Algorithm", u.ChecksumAlgorithm)
		h.Set("X-Amz-Checksum-Type", u.ChecksumType)
	}
	return &Reply{Header: h, XML: createUploadResult{
		Bucket: r.Bucket.Name, Key: r.Target.Key, UploadID: u.ID.String(),
	}}, nil
}

// initiator is the sender as the initiator of an upload.
func (r *Request) initiator() engine.Initiator {
	p := &r.Principal
	by := engine.Initiator{Tenant: r.Owner(), Principal: meta.ID(p.ID), Session: p.SessionName}
	if p.Kind != access.Root {
		by.ARN = p.ARN()
	}
	return by
}

// began reports whether the sender is the initiator of the request's upload, or
// the root of the initiator's account.
func (r *Request) began() bool {
	if r.Owner().IsZero() {
		return false
	}
	u, err := r.underway()
	if err != nil || u == nil {
		return false
	}
	by, p := u.By, &r.Principal
	if by.Tenant != r.Owner() {
		return false
	}
	return p.Kind == access.Root || by.Principal == meta.ID(p.ID) && by.Session == p.SessionName
}

// initiatorNeeds demands an action on an upload that its initiator may take
// too. The initiator is looked up only where nothing else allows the action.
func initiatorNeeds(action string) func(*Request) ([]access.Need, error) {
	return func(r *Request) ([]access.Need, error) {
		n := r.need(action)
		n.Began = !r.decide(n).Allow && r.began()
		return []access.Need{n}, nil
	}
}

// upload returns the id of the request's upload. A malformed id is that of no
// upload.
func (r *Request) upload() (meta.ID, error) {
	id, err := meta.ParseID(r.QueryValue("uploadId"))
	if err != nil {
		return id, s3err.New(s3err.NoSuchUpload, "").With("UploadId", r.QueryValue("uploadId"))
	}
	return id, nil
}

// underway returns the request's upload, read once: nothing of it changes until it
// ends. It is nil if there is no such upload in progress, which the handler refuses.
func (r *Request) underway() (*engine.Upload, error) {
	if !r.begun.given {
		r.begun = saying(r.readUnderway())
	}
	return r.begun.get()
}

func (r *Request) readUnderway() (*engine.Upload, error) {
	id, err := r.upload()
	if err != nil {
		return nil, nil
	}
	u, err := r.server.engine.OpenUpload(r.Context(), r.Bucket, r.Target.Key, id)
	if errors.Is(err, s3err.NoSuchUpload) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return &u, nil
}
