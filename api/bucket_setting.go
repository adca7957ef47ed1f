package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/s3err"
)

// Names of the settings that hold bucket sub-resources, as JSON of a validated
// Go type. Fields may be added to the types; their names never change.
const (
	settingCORS       = "cors"
	settingTags       = "tags"
	settingWebsite    = "website"
	settingAccelerate = "accelerate"
)

// setting returns a setting of the request's bucket; false when there is none.
// An unreadable one is an error without a code: 500.
func setting[T any](s *Server, r *Request, name string) (v T, ok bool, err error) {
	settings, err := s.engine.Buckets().Settings(r.Context(), r.Bucket)
	if err != nil {
		return v, false, err
	}
	return buckets.Parsed(settings, name, readSetting[T])
}

// readSetting decodes a stored document. An unknown field is an error: a rule
// that is understood in part must not be applied.
func readSetting[T any](document []byte) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err = d.Decode(&v); err != nil {
		return v, err
	}
	if _, err = d.Token(); err != io.EOF {
		return v, errors.New("the setting has data after its document")
	}
	return v, nil
}

// storeSetting replaces a setting of the request's bucket.
func storeSetting(s *Server, r *Request, name string, v any) error {
	document, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.engine.Buckets().SetSetting(r.Context(), r.Bucket, name, document)
}

// replaceSetting handles the PUT of a sub-resource. parse validates the
// client's document.
func replaceSetting[T any](name string, parse func(document []byte) (T, error)) Handler {
	return func(s *Server, r *Request) (*Reply, error) {
		v, err := parse(r.XML)
		if err != nil {
			return nil, err
		}
		return &Reply{}, storeSetting(s, r, name, v)
	}
}

// removeSetting handles the DELETE of a sub-resource. It succeeds without one.
func removeSetting(name string) Handler {
	return func(s *Server, r *Request) (*Reply, error) {
		if err := s.engine.Buckets().SetSetting(r.Context(), r.Bucket, name, nil); err != nil {
			return nil, err
		}
		return &Reply{Status: http.StatusNoContent}, nil
	}
}

// showSetting handles the GET of a sub-resource. render makes the document of
// the stored value; absent is the error without one.
func showSetting[T any](name string, absent s3err.Code, render func(T) any) Handler {
	return func(s *Server, r *Request) (*Reply, error) {
		v, ok, err := setting[T](s, r, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, s3err.New(absent, "").With("BucketName", r.Bucket.Name)
		}
		return &Reply{XML: render(v)}, nil
	}
}
