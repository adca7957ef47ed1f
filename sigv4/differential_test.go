package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"
)

var credentials = aws.Credentials{AccessKeyID: exampleKey, SecretAccessKey: exampleSecret}

// randomRequest makes a request with a path, a query and headers that are hard
// to sign correctly.
func randomRequest(t *testing.T, rng *rand.Rand) *http.Request {
	t.Helper()
	alphabet := []rune("abcXYZ019-._~ +%/()'!*&=;:@,$?#äሴ😀\"<>|\\^`{}[]")
	word := func(longest int) string {
		var b strings.Builder
		for range 1 + rng.IntN(longest) {
			b.WriteRune(alphabet[rng.IntN(len(alphabet))])
		}
		return b.String()
	}
	u := &url.URL{Scheme: "http", Host: "gateway.test:9000", Path: "/bucket/" + word(30)}
	u.RawPath = httpbinding.EscapePath(u.Path, false)
	q := url.Values{}
	for range rng.IntN(4) {
		q.Set(fmt.Sprintf("p%d", rng.IntN(100)), word(10))
	}
	if rng.IntN(2) == 0 {
		q.Set("acl", "")
	}
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	r, err := http.NewRequestWithContext(context.Background(), []string{"GET", "PUT", "DELETE", "HEAD"}[rng.IntN(4)], u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	for range rng.IntN(4) {
		r.Header.Add(fmt.Sprintf("X-Amz-Meta-%c", 'A'+rng.IntN(3)), strings.Repeat(" ", rng.IntN(2))+"v  "+fmt.Sprint(rng.IntN(100)))
	}
	if rng.IntN(2) == 0 {
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	return r
}

// TestOtherSigners verifies signatures made by the signers of AWS, MinIO and
// this package.
func TestOtherSigners(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	now := time.Now().UTC()
	sdk := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	presigned := func(r *http.Request, u string, h http.Header) (*http.Request, error) {
		out, err := http.NewRequest(r.Method, u, nil)
		if err == nil {
			for name := range h {
				out.Header[name] = h[name]
			}
			out.Header.Del("Host")
		}
		return out, err
	}
	for name, sign := range map[string]func(r *http.Request) (*http.Request, error){
		"aws": func(r *http.Request) (*http.Request, error) {
			r.Header.Set("X-Amz-Content-Sha256", emptySHA256)
			return r, sdk.SignHTTP(r.Context(), credentials, r, emptySHA256, "s3", "us-east-1", now)
		},
		"aws presign": func(r *http.Request) (*http.Request, error) {
			q := r.URL.Query()
			q.Set("X-Amz-Expires", "60")
			r.URL.RawQuery = q.Encode()
			u, h, err := sdk.PresignHTTP(r.Context(), credentials, r, unsignedPayload, "s3", "us-east-1", now)
			if err != nil {
				return nil, err
			}
			return presigned(r, u, h)
		},
		"minio": func(r *http.Request) (*http.Request, error) {
			r.Header.Set("X-Amz-Content-Sha256", emptySHA256)
			r.URL.RawPath = s3utils.EncodePath(r.URL.Path)
			return signer.SignV4(*r, exampleKey, exampleSecret, "", "us-east-1"), nil
		},
		"minio presign": func(r *http.Request) (*http.Request, error) {
			r.URL.RawPath = s3utils.EncodePath(r.URL.Path)
			return signer.PreSignV4(*r, exampleKey, exampleSecret, "", "us-east-1", 60), nil
		},
		"ours": func(r *http.Request) (*http.Request, error) {
			return r, Sign(r, exampleKey, exampleSecret, "us-east-1", "s3", emptySHA256, now)
		},
		"ours presign": func(r *http.Request) (*http.Request, error) {
			u, err := Presign(r, exampleKey, exampleSecret, "us-east-1", "s3", time.Minute, now)
			if err != nil {
				return nil, err
			}
			return presigned(r, u, r.Header)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := exampleVerifier()
			v.Now = time.Now
			for i := range 300 {
				r, err := sign(randomRequest(t, rng))
				if err != nil {
					t.Fatal(err)
				}
				r = overWire(t, r)
				if _, err := verifyArrived(v, r); err != nil {
					t.Fatalf("seed %d, request %d: %s %s %q: %+v", seed, i, r.Method, r.RequestURI, r.Header, err)
				}
			}
		})
	}
}

// TestSignerAgainstAWS compares our signer's signatures with those of AWS's
// signer.
func TestSignerAgainstAWS(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	sdk := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	for range 200 {
		r := randomRequest(t, rng)
		theirs := r.Clone(r.Context())
		theirs.Header.Set("X-Amz-Content-Sha256", emptySHA256)
		if err := sdk.SignHTTP(r.Context(), credentials, theirs, emptySHA256, "s3", "us-east-1", exampleTime); err != nil {
			t.Fatal(err)
		}
		if err := Sign(r, exampleKey, exampleSecret, "us-east-1", "s3", emptySHA256, exampleTime); err != nil {
			t.Fatal(err)
		}
		if got, want := r.Header.Get("Authorization"), theirs.Header.Get("Authorization"); got != want {
			t.Fatalf("seed %d: %s\n%s\nwant\n%s", seed, r.URL, got, want)
		}
	}
}

// sha is the hasher that minio-go's streaming signer takes.
type sha struct{ hash.Hash }

func (sha) Close() {}

// TestMinioStreams decodes the bodies of minio-go's streaming signers.
func TestMinioStreams(t *testing.T) {
	checksum := func() http.Header { return http.Header{"X-Amz-Checksum-Crc32c": {"sOO8/Q=="}} }
	for name, sign := range map[string]func(r *http.Request, size int64) *http.Request{
		"signed": func(r *http.Request, size int64) *http.Request {
			return signer.StreamingSignV4(r, exampleKey, exampleSecret, "", "us-east-1", size, exampleTime, sha{sha256.New()})
		},
		"signed with trailer": func(r *http.Request, size int64) *http.Request {
			r.Trailer = checksum()
			return signer.StreamingSignV4(r, exampleKey, exampleSecret, "", "us-east-1", size, exampleTime, sha{sha256.New()})
		},
		"unsigned with trailer": func(r *http.Request, size int64) *http.Request {
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
			r = signer.SignV4Trailer(*r, exampleKey, exampleSecret, "", "us-east-1", checksum())
			r.Trailer = nil
			return r
		},
	} {
		for _, size := range []int{1, 100, 64 << 10, 64<<10 + 1, 300_000} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				data := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
				r, err := http.NewRequest("PUT", "http://gateway.test/bucket/key", bytes.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				r = overWire(t, sign(r, int64(size)))
				v := exampleVerifier()
				if name == "unsigned with trailer" {
					v.Now = time.Now
				}
				id, err := verifyArrived(v, r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := id.RequestBody(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(body)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if sum := body.Trailers().Get("x-amz-checksum-crc32c"); id.Payload.Trailing() && sum != "sOO8/Q==" {
					t.Errorf("trailer %q", sum)
				}
			})
		}
	}
}
