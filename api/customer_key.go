package api

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

// The headers of SSE-C: an algorithm, a key, and the MD5 of the key. Those for
// a copy's source have another prefix. Of their values only the MD5 may appear
// in an answer, an error or a log.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
const (
	customerPrefix       = "X-Amz-Server-Side-Encryption-Customer-"
	sourceCustomerPrefix = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"
)

// customerKey reads the key that the client sends for the object; nil without
// one.
func (r *Request) customerKey() (*engine.CustomerKey, error) {
	return r.readCustomerKey(customerPrefix)
}

// sourceCustomerKey reads the key of a copy's source; nil without one.
func (r *Request) sourceCustomerKey() (*engine.CustomerKey, error) {
	return r.readCustomerKey(sourceCustomerPrefix)
}

// readCustomerKey demands TLS even for a malformed key, because the key may
// already be exposed.
func (r *Request) readCustomerKey(prefix string) (*engine.CustomerKey, error) {
	algorithm, key, sum := prefix+"Algorithm", prefix+"Key", prefix+"Key-Md5"
	if !r.HasHeader(algorithm) && !r.HasHeader(key) && !r.HasHeader(sum) {
		return nil, nil
	}
	const sending = "Requests specifying Server Side Encryption with Customer provided keys must "
	switch {
	case !r.secure():
		return nil, s3err.New(s3err.InvalidRequest, sending+"be made over a secure connection.")
	case r.Header(algorithm) == "":
		return nil, badCustomerKey(algorithm, sending+"provide a valid encryption algorithm.")
	case r.Header(algorithm) != "AES256":
		return nil, s3err.New(s3err.InvalidEncryptionAlgorithm, "").With("ArgumentName", http.CanonicalHeaderKey(algorithm))
	case r.Header(key) == "":
		return nil, badCustomerKey(key, sending+"provide an appropriate secret key.")
	case r.Header(sum) == "":
		return nil, badCustomerKey(sum, sending+"provide the client calculated MD5 of the secret key.")
	}
	raw, err := base64.StdEncoding.DecodeString(r.Header(key))
	if err != nil || len(raw) != len(engine.CustomerKey{}) {
		return nil, badCustomerKey(key, "The secret key was invalid for the specified algorithm.")
	}
	claimed, err := base64.StdEncoding.DecodeString(r.Header(sum))
	if want := weakhash.MD5(raw); err != nil || subtle.ConstantTimeCompare(claimed, want[:]) != 1 {
		return nil, badCustomerKey(sum, "The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	k := engine.CustomerKey(raw)
	return &k, nil
}

// badCustomerKey names the header and never its value.
func badCustomerKey(header, message string) error {
	return s3err.New(s3err.InvalidArgument, "%s", message).With("ArgumentName", http.CanonicalHeaderKey(header))
}
