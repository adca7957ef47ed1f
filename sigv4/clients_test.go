package sigv4

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"
)

// receiver verifies requests and keeps the decoded bodies of PUTs.
type receiver struct {
	mu     sync.Mutex
	bodies [][]byte
	modes  []PayloadMode
	errs   []error
}

func (s *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := exampleVerifier()
	v.Now = time.Now
	id, err := verifyArrived(v, r)
	var data []byte
	if err == nil {
		var body *Body
		if body, err = id.RequestBody(r); err == nil {
			data, err = io.ReadAll(body)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s %s: %w", r.Method, r.RequestURI, err))
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPut {
		s.bodies, s.modes = append(s.bodies, data), append(s.modes, id.Payload)
		w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	}
}

// TestClients uploads with the real clients, over both transports.
func TestClients(t *testing.T) {
	tlsOff := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tlsOff.CloseIdleConnections()
	var modes []PayloadMode
	for _, secure := range []bool{false, true} {
		for name, put := range map[string]func(url, key string, data []byte) error{
			"aws-sdk-go-v2": func(url, key string, data []byte) error {
				client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &url, UsePathStyle: true, RetryMaxAttempts: 1,
					RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
					HTTPClient:                 &http.Client{Transport: tlsOff},
					Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
						return credentials, nil
					})})
				_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key,
					Body: bytes.NewReader(data), Metadata: map[string]string{"a": "x  y"}, ContentType: aws.String("text/plain")})
				return err
			},
			"minio-go": func(url, key string, data []byte) error {
				return minioPut(t.Context(), tlsOff, url, key, data, minio.PutObjectOptions{UserMetadata: map[string]string{"a": "x  y"}})
			},
			"minio-go, checksum": func(url, key string, data []byte) error {
				return minioPut(t.Context(), tlsOff, url, key, data, minio.PutObjectOptions{Checksum: minio.ChecksumCRC32C})
			},
		} {
			for _, size := range []int{0, 1, 100_000, 1_000_000} {
				for _, key := range []string{"plain", "a b+c/ä~(1)'*!&=?;%2F"} {
					t.Run(fmt.Sprintf("%s/tls=%t/%d/%s", name, secure, size, key), func(t *testing.T) {
						s := &receiver{}
						server := httptest.NewUnstartedServer(s)
						if server.Start(); secure {
							server.Close()
							server = httptest.NewTLSServer(s)
						}
						defer server.Close()
						data := bytes.Repeat([]byte("sanctum "), size/8+1)[:size]
						if err := put(server.URL, key, data); err != nil {
							t.Errorf("put: %v", err)
						}
						for _, err := range s.errs {
							t.Error(err)
						}
						if len(s.bodies) != 1 || !bytes.Equal(s.bodies[0], data) {
							t.Fatalf("%d bodies arrived", len(s.bodies))
						}
						modes = append(modes, s.modes...)
					})
				}
			}
		}
	}
	for _, mode := range []PayloadMode{Signed, Unsigned, StreamingSigned, StreamingSignedTrailer, StreamingUnsignedTrailer} {
		if !slices.Contains(modes, mode) {
			t.Errorf("no client used %v", mode)
		}
	}
}

func minioPut(ctx context.Context, transport http.RoundTripper, endpoint, key string, data []byte, options minio.PutObjectOptions) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: miniocredentials.NewStaticV4(exampleKey, exampleSecret, ""), Secure: u.Scheme == "https", Region: "us-east-1",
		Transport: transport, TrailingHeaders: true, BucketLookup: minio.BucketLookupPath})
	if err != nil {
		return err
	}
	_, err = client.PutObject(ctx, "bucket", key, struct{ io.Reader }{bytes.NewReader(data)}, int64(len(data)), options)
	return err
}
