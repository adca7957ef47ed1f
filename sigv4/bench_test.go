package sigv4

import (
	"bytes"
	"io"
	"net/http/httptest"
	"testing"
)

func BenchmarkVerifyHeader(b *testing.B) {
	r := httptest.NewRequest("PUT", "/bucket/a/key%20with/parts?partNumber=7&uploadId=abcdef0123456789", nil)
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set("X-Amz-Meta-Origin", "benchmark")
	if err := Sign(r, exampleKey, exampleSecret, "us-east-1", "s3", unsignedPayload, exampleTime); err != nil {
		b.Fatal(err)
	}
	v := exampleVerifier()
	b.ReportAllocs()
	for b.Loop() {
		target, err := ParseTarget(r.RequestURI)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.Verify(r, target); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeriveKey(b *testing.B) {
	s := Scope{Date: "20130524", Region: "us-east-1", Service: "s3"}
	b.ReportAllocs()
	for b.Loop() {
		deriveKey(exampleSecret, s)
	}
}

func BenchmarkVerifyPresigned(b *testing.B) {
	r := httptest.NewRequest("GET", "http://example.com/bucket/key", nil)
	url, err := Presign(r, exampleKey, exampleSecret, "us-east-1", "s3", MaxPresignExpiry, exampleTime)
	if err != nil {
		b.Fatal(err)
	}
	r = httptest.NewRequest("GET", url, nil)
	r.RequestURI = r.URL.RequestURI()
	v := exampleVerifier()
	b.ReportAllocs()
	for b.Loop() {
		target, err := ParseTarget(r.RequestURI)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.Verify(r, target); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	for _, mode := range []PayloadMode{Unsigned, Signed, StreamingSigned, StreamingUnsignedTrailer} {
		b.Run(mode.String(), func(b *testing.B) {
			data := make([]byte, 8<<20)
			r, id := signedUpload(b, upload{mode: mode, data: data})
			wire, err := io.ReadAll(r.Body)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				body, err := id.Body(bytes.NewReader(wire), int64(len(wire)), int64(len(data)), nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, body, make([]byte, 64<<10)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
