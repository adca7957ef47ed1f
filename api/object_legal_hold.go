package api

import (
	"encoding/xml"

	"github.com/sanctum-storage/gateway/s3err"
)

// legalHold is a LegalHold document.
type legalHold struct {
	XMLName xml.Name `xml:"LegalHold"`
	Status  string   `xml:"Status"`
}

// getObjectLegalHold shows a version's legal hold. A version that never had one
// has no configuration, as on S3; HoldLifted remembers that it had.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html
func getObjectLegalHold(s *Server, r *Request) (*Reply, error) {
	o, err := s.lockOf(r)
	if err != nil {
		return nil, err
	}
	if !o.Marks.Lock.Hold && !o.Marks.HoldLifted {
		return nil, s3err.New(s3err.NoSuchObjectLockConfiguration, "").With("Key", r.Target.Key)
	}
	return &Reply{XML: legalHold{Status: holdName(o.Marks.Lock.Hold)}}, nil
}

// putObjectLegalHold sets or lifts the legal hold of a version.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html
func putObjectLegalHold(s *Server, r *Request) (*Reply, error) {
	ref, err := r.lockedVersion()
	if err != nil {
		return nil, err
	}
	hold, err := r.asked.hold.get()
	if err != nil {
		return nil, err
	}
	o, err := s.engine.Hold(r.Context(), r.target(ref), hold)
	if err != nil {
		return nil, err
	}
	return &Reply{Header: versionHeader(o.Version)}, nil
}

// holdDocument reads a LegalHold document.
var holdDocument = documentFacts{
	keys: openKeys("s3:object-lock-legal-hold"),
	read: readHoldDocument,
}

// readHoldDocument parses a LegalHold into asked.
func readHoldDocument(r *Request) {
	var doc legalHold
	err := decodeXML(r.XML, "LegalHold", &doc)
	if len(r.XML) == 0 || err == nil && doc.Status != holdOn && doc.Status != holdOff {
		err = s3err.MalformedXML
	}
	r.asked.hold = saying(doc.Status == holdOn, err)
}
