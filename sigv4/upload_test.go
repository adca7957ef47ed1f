package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"testing"
)

// upload describes a PUT that this package's own signer signs.
type upload struct {
	mode      PayloadMode
	data      []byte
	chunkSize int
	trailer   http.Header
}

// signedUpload signs u and returns it as it arrives, with its identity.
func signedUpload(t testing.TB, u upload) (*http.Request, *Identity) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "PUT", "http://gateway.test:9000/bucket/key", bytes.NewReader(u.data))
	if err != nil {
		t.Fatal(err)
	}
	switch u.mode {
	case Signed, Unsigned:
		payloadHash := unsignedPayload
		if u.mode == Signed {
			payloadHash = PayloadHash(u.data)
		}
		err = Sign(r, exampleKey, exampleSecret, "us-east-1", "s3", payloadHash, exampleTime)
	default:
		err = SignChunked(r, exampleKey, exampleSecret, "us-east-1", "s3", Chunked{
			Mode: u.mode, Body: bytes.NewReader(u.data), Length: int64(len(u.data)), ChunkSize: u.chunkSize, Trailer: u.trailer}, exampleTime)
	}
	if err != nil {
		t.Fatal(err)
	}
	r = overWire(t, r)
	id, err := verifyArrived(exampleVerifier(), r)
	if err != nil {
		t.Fatal(err)
	}
	if id.Payload != u.mode {
		t.Fatalf("payload mode %v, want %v", id.Payload, u.mode)
	}
	return r, id
}

// overWire returns a client's request as a server receives it, body included.
func overWire(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	return got.WithContext(context.Background())
}
