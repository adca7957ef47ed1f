package api

import "github.com/sanctum-storage/gateway/engine"

// headObject describes an object as getObject does, without its body.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func headObject(s *Server, r *Request) (*Reply, error) {
	return read(s, r, func(in engine.GetObject) (*engine.Reading, error) {
		return s.engine.HeadObject(r.Context(), in)
	})
}
