package sigv4

import (
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/s3err"
)

// PayloadMode tells how the signature covers a request's body.
type PayloadMode int

const (
	// Signed: the signature covers the body's SHA-256.
	Signed PayloadMode = iota + 1
	// Unsigned: the body is not covered.
	Unsigned
	// StreamingSigned: the body is aws-chunked, and every chunk is signed.
	StreamingSigned
	// StreamingSignedTrailer is StreamingSigned with signed trailing headers.
	StreamingSignedTrailer
	// StreamingUnsignedTrailer: the body is aws-chunked with trailing headers;
	// nothing is signed.
	StreamingUnsignedTrailer
)

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptySHA256     = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

	messagePayload = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, " +
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
)

// payloadNames are the values of x-amz-content-sha256 that are not digests.
var payloadNames = map[PayloadMode]string{
	Unsigned:                 unsignedPayload,
	StreamingSigned:          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
	StreamingSignedTrailer:   "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
	StreamingUnsignedTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}

// String is the mode's name in x-amz-content-sha256. Signed, for which S3 has
// no name, is "SIGNED-PAYLOAD".
func (m PayloadMode) String() string {
	if m == Signed {
		return "SIGNED-PAYLOAD"
	}
	return payloadNames[m]
}

// Chunked reports whether the body is in the aws-chunked encoding.
func (m PayloadMode) Chunked() bool { return m >= StreamingSigned }

// Trailing reports whether trailing headers follow the last chunk.
func (m PayloadMode) Trailing() bool {
	return m == StreamingSignedTrailer || m == StreamingUnsignedTrailer
}

// payload is a request's claim about its body.
type payload struct {
	mode   PayloadMode
	text   string // as signed
	digest string // Signed only
}

// claimedPayload reads x-amz-content-sha256. A presigned URL may have it as a
// parameter; without it, the body is unsigned. A signed header requires it.
// implied is the value for a request that has none; "" makes a missing one an
// error, except in a URL.
func claimedPayload(h http.Header, q Query, at place, implied string) (payload, error) {
	values := h["X-Amz-Content-Sha256"]
	if len(values) == 0 && at == inQuery {
		for _, p := range q {
			if strings.EqualFold(p.Name, "X-Amz-Content-Sha256") {
				values = append(values, p.Value)
			}
		}
		if len(values) == 0 && implied == "" {
			implied = unsignedPayload
		}
	}
	text := implied
	switch {
	case len(values) == 1:
		text = values[0]
	case len(values) > 1:
		return payload{}, invalidPayload(strings.Join(values, ","))
	case implied == "":
		return payload{}, s3err.New(s3err.InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
	}
	p, ok := parsePayload(text)
	switch {
	case !ok:
		return payload{}, invalidPayload(text)
	case at == inQuery && p.mode.Chunked():
		return payload{}, s3err.New(s3err.InvalidRequest, "The value of x-amz-content-sha256 header is invalid.")
	case at == nowhere && (p.mode == StreamingSigned || p.mode == StreamingSignedTrailer):
		return payload{}, s3err.New(s3err.InvalidRequest, "Anonymous requests don't support this x-amz-content-sha256 value. "+
			"Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	}
	return p, nil
}

// parsePayload parses a value of x-amz-content-sha256. The digest may be in
// capitals.
func parsePayload(text string) (payload, bool) {
	for mode, name := range payloadNames {
		if text == name {
			return payload{mode: mode, text: text}, true
		}
	}
	if len(text) != len(emptySHA256) {
		return payload{}, false
	}
	for i := 0; i < len(text); i++ {
		if unhex(text[i]) < 0 {
			return payload{}, false
		}
	}
	// The text stays as it was sent, because it is what the client signed.
	return payload{mode: Signed, text: text, digest: strings.ToLower(text)}, true
}

// invalidPayload refuses a value of x-amz-content-sha256.
func invalidPayload(text string) error {
	return s3err.New(s3err.InvalidArgument, messagePayload).
		With("ArgumentName", "x-amz-content-sha256").With("ArgumentValue", shortValue(text))
}
