package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// opener is Engine.GetObject or Engine.HeadObject.
type opener func(engine.GetObject) (*engine.Reading, error)

// getObject sends an object, a range of it, or one of its parts.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func getObject(s *Server, r *Request) (*Reply, error) {
	return read(s, r, func(in engine.GetObject) (*engine.Reading, error) {
		return s.engine.GetObject(r.Context(), in)
	})
}

// read answers a GET or HEAD. Only open differs between them.
func read(s *Server, r *Request, open opener) (*Reply, error) {
	in, err := r.readInput()
	if err != nil {
		return nil, err
	}
	// Only a range has a use for If-Range. Without one the header is ignored.
	if in.Range != nil && r.HasHeader("If-Range") {
		if err := r.settleIfRange(s, &in); err != nil {
			return nil, err
		}
	}
	reading, err := open(in)
	if err != nil {
		return notModified(reading, err)
	}
	h, err := r.readHeader(reading, in.PartNumber)
	if err != nil {
		reading.Close()
		return nil, err
	}
	reply := &Reply{Header: h, Stream: reading, Length: reading.Length}
	if h.Get("Content-Range") != "" {
		reply.Status = http.StatusPartialContent
	}
	return reply, nil
}

// readInput reads the parameters of a GET or HEAD.
func (r *Request) readInput() (engine.GetObject, error) {
	in := engine.GetObject{Bucket: r.Bucket, Key: r.Target.Key, Found: r.object.found, Conditions: r.readConditions()}
	var err error
	if in.Version, err = r.version(); err != nil {
		return in, err
	}
	if err := r.refuseEncryption(); err != nil {
		return in, err
	}
	if in.Customer, err = r.customerKey(); err != nil {
		return in, err
	}
	// Both select a piece of the object, and S3 does not combine them.
	if r.HasQuery("partNumber") {
		if r.HasHeader("Range") {
			return in, s3err.New(s3err.InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
		}
		in.PartNumber, err = r.partNumber()
		return in, err
	}
	in.Range = parseRange(r.Header("Range"))
	return in, nil
}

// settleIfRange drops the range when If-Range names another state of the object
// than the present one. Otherwise it pins the present state by If-Match, so
// that the range cannot come from an object that was written in between.
// Source: RFC 9110 section 13.1.5.
func (r *Request) settleIfRange(s *Server, in *engine.GetObject) error {
	whole := *in
	whole.Range = nil
	reading, err := s.engine.HeadObject(r.Context(), whole)
	if reading != nil {
		defer reading.Close()
	}
	if errors.Is(err, s3err.NotModified) {
		return nil // the read that follows has the same result
	}
	if err != nil {
		return onMarker(reading, err)
	}
	o := reading.Object
	validator := strings.TrimSpace(r.Header("If-Range"))
	if validator != quote(o.ETag) && validator != httpTime(o.Modified) {
		in.Range = nil
		return nil
	}
	in.Conditions.IfMatch = quote(o.ETag)
	return nil
}

// readHeader makes the header for a reading.
func (r *Request) readHeader(reading *engine.Reading, partNumber int) (http.Header, error) {
	h := http.Header{}
	o := reading.Object
	setObject(h, o)
	r.setMarks(h, &o)
	// Only the current version can expire by a rule that the header announces.
	if o.Latest {
		r.setExpiration(h, o)
	}
	if err := r.setOverrides(h); err != nil {
		return nil, err
	}
	if partNumber > 0 && o.Parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", decimal(o.Parts))
	}
	if reading.Partial && reading.Length > 0 {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", reading.Offset, reading.Offset+reading.Length-1, o.Size))
	}
	if (!reading.Partial || partNumber > 0) && strings.EqualFold(r.Header("X-Amz-Checksum-Mode"), "ENABLED") {
		// A range would not match the checksum of the whole. For a part, the
		// engine returns the part's own checksum.
		setChecksum(h, o.Checksum)
	}
	return h, nil
}

// notModified turns NotModified into a 304 with the headers that RFC 9110
// section 15.4.5 asks for. Other errors are returned.
func notModified(reading *engine.Reading, err error) (*Reply, error) {
	if reading == nil {
		return nil, err
	}
	defer reading.Close()
	if !errors.Is(err, s3err.NotModified) {
		return nil, onMarker(reading, err)
	}
	o := reading.Object
	h := http.Header{}
	setETag(h, o.ETag)
	setVersion(h, o.Version)
	for name, value := range map[string]string{
		"Last-Modified": httpTime(o.Modified), "Cache-Control": o.CacheControl, "Expires": o.Expires,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return &Reply{Status: http.StatusNotModified, Header: h}, nil
}
