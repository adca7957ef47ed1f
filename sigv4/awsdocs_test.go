package sigv4

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// The credentials, time and signatures below are those of the examples in the
// Amazon S3 API Reference:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	exampleToken  = "AQoDYXdzEJrEXAMPLETOKEN=="
	exampleScope  = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

func exampleVerifier() *Verifier {
	return &Verifier{
		Region:  "us-east-1",
		Now:     func() time.Time { return exampleTime },
		DayKeys: new(DayKeys),
		Lookup: func(_ context.Context, accessKey, token string) (string, error) {
			if accessKey != exampleKey {
				return "", s3err.InvalidAccessKeyID
			}
			if token != "" && token != exampleToken {
				return "", s3err.InvalidToken
			}
			return exampleSecret, nil
		},
	}
}

// arrived makes a request as a server receives it. Headers are "name: value".
func arrived(method, host, target string, headers ...string) *http.Request {
	r := (&http.Request{Method: method, Host: host, RequestURI: target, Header: http.Header{}, Body: http.NoBody}).
		WithContext(context.Background())
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r
}

func verifyArrived(v *Verifier, r *http.Request) (*Identity, error) {
	target, err := ParseTarget(r.RequestURI)
	if err != nil {
		return nil, err
	}
	return v.Verify(r, target)
}

func TestDocumentedExamples(t *testing.T) {
	const host = "examplebucket.s3.amazonaws.com"
	auth := func(signed, signature string) string {
		return "Authorization: AWS4-HMAC-SHA256 Credential=" + exampleScope + ",SignedHeaders=" + signed + ",Signature=" + signature
	}
	empty, date := "x-amz-content-sha256: "+emptySHA256, "x-amz-date: 20130524T000000Z"
	for name, r := range map[string]*http.Request{
		"GET Object": arrived("GET", host, "/test.txt", empty, date, "Range: bytes=0-9",
			auth("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")),
		"PUT Object": arrived("PUT", host, "/test%24file.text", date, "Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class: REDUCED_REDUNDANCY",
			"x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			auth("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")),
		"PUT Object, path not encoded": arrived("PUT", host, "/test$file.text", date, "Date: Fri, 24 May 2013 00:00:00 GMT",
			"x-amz-storage-class: REDUCED_REDUNDANCY",
			"x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			auth("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")),
		"GET Bucket Lifecycle": arrived("GET", host, "/?lifecycle", empty, date,
			auth("host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")),
		"List Objects": arrived("GET", host, "/?max-keys=2&prefix=J", empty, date,
			auth("host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")),
		"presigned": arrived("GET", host, "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+strings.ReplaceAll(exampleScope, "/", "%2F")+
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
	} {
		t.Run(name, func(t *testing.T) {
			id, err := verifyArrived(exampleVerifier(), r)
			if err != nil {
				t.Fatal(err)
			}
			if id.AccessKey != exampleKey || id.Presigned != (name == "presigned") || !id.Date.Equal(exampleTime) {
				t.Errorf("identity %+v", id)
			}
		})
	}
}

// chunkedExample is the documented upload of 66,560 bytes of "a".
func chunkedExample(mode PayloadMode, seed string, trailer string, signatures ...string) *http.Request {
	signed := "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
	headers := []string{"x-amz-date: 20130524T000000Z", "x-amz-storage-class: REDUCED_REDUNDANCY", "x-amz-content-sha256: " + mode.String(),
		"Content-Encoding: aws-chunked", "x-amz-decoded-content-length: 66560"}
	if mode.Trailing() {
		signed = "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer"
		headers = append(headers, "x-amz-trailer: x-amz-checksum-crc32c")
	} else {
		headers = append(headers, "Content-Length: 66824")
	}
	r := arrived("PUT", "s3.amazonaws.com", "/examplebucket/chunkObject.txt", append(headers,
		"Authorization: AWS4-HMAC-SHA256 Credential="+exampleScope+",SignedHeaders="+signed+",Signature="+seed)...)
	body := "10000;chunk-signature=" + signatures[0] + "\r\n" + strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=" + signatures[1] + "\r\n" + strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=" + signatures[2] + "\r\n" + trailer + "\r\n"
	r.ContentLength = int64(len(body))
	r.Body = io.NopCloser(strings.NewReader(body))
	return r
}

func TestDocumentedChunkedUpload(t *testing.T) {
	trailing := func(end string) *http.Request {
		return chunkedExample(StreamingSignedTrailer, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", end,
			"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992")
	}
	const trailerSum = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
	for name, r := range map[string]*http.Request{
		"chunks": chunkedExample(StreamingSigned, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", "",
			"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
			"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
		"trailer":               trailing("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:" + trailerSum + "\r\n"),
		"trailer as documented": trailing("x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:" + trailerSum + "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			id, err := verifyArrived(exampleVerifier(), r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := id.RequestBody(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, bytes.Repeat([]byte("a"), 66560)) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			want := ""
			if id.Payload.Trailing() {
				want = "sOO8/Q=="
			}
			if sum := body.Trailers().Get("x-amz-checksum-crc32c"); sum != want {
				t.Errorf("trailer %q, want %q", sum, want)
			}
		})
	}
}
