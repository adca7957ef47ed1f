package sigv4

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// FuzzSignedChunks decodes arbitrary bytes as signed chunks. The result must be
// a prefix of the signed data, and the whole only without an error.
func FuzzSignedChunks(f *testing.F) {
	data := pattern(40) // short, so that the fuzzer's changes hit the framing
	ids := map[bool]*Identity{}
	for _, mode := range []PayloadMode{StreamingSigned, StreamingSignedTrailer} {
		id, wire := wireOf(f, upload{mode: mode, data: data, chunkSize: MinChunkSize})
		ids[mode.Trailing()] = id
		f.Add(wire, mode.Trailing())
		f.Add(wire[:len(wire)/2], mode.Trailing())
		f.Add(bytes.Replace(wire, []byte("28;"), []byte("0;"), 1), mode.Trailing())
	}
	f.Fuzz(func(t *testing.T, wire []byte, trailing bool) {
		id := ids[trailing]
		body, err := id.Body(bytes.NewReader(wire), int64(len(wire)), int64(len(data)), declaredFor(id.Payload))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if !bytes.HasPrefix(data, got) {
			t.Fatal("unsigned bytes were returned")
		}
		if (err == nil) != (len(got) == len(data)) {
			t.Fatalf("%d of %d bytes, %v", len(got), len(data), err)
		}
		if err != nil && s3err.From(err).Code == s3err.InternalError {
			t.Fatalf("an error without a code: %v", err)
		}
	})
}

// FuzzUnsignedChunks decodes arbitrary bytes and, if that succeeds, encodes the
// result again and expects the same.
func FuzzUnsignedChunks(f *testing.F) {
	f.Add([]byte("a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"), int64(10))
	f.Add([]byte("0\r\nx-amz-checksum-crc32c:\n\r\n\r\n"), int64(0))
	f.Add([]byte("7fffffffffffffff\r\n"), int64(1)<<62)
	f.Fuzz(func(t *testing.T, wire []byte, length int64) {
		id := &Identity{Payload: StreamingUnsignedTrailer}
		decode := func(wire []byte) ([]byte, http.Header, error) {
			body, err := id.Body(bytes.NewReader(wire), int64(len(wire)), length, declaredFor(id.Payload))
			if err != nil {
				return nil, nil, err
			}
			got, err := io.ReadAll(body)
			return got, body.Trailers(), err
		}
		got, trailers, err := decode(wire)
		if err != nil {
			if s3err.From(err).Code == s3err.InternalError {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if int64(len(got)) != length || len(trailers) != 1 {
			t.Fatalf("%d bytes of %d, trailers %q", len(got), length, trailers)
		}
		e := &encoder{in: bytes.NewReader(got), left: length, mode: id.Payload, chunk: make([]byte, MinChunkSize), sum: sha256.New(),
			names: declaredFor(id.Payload), trailer: trailers}
		again, err := io.ReadAll(e)
		if err != nil {
			t.Fatal(err)
		}
		if got2, trailers2, err := decode(again); err != nil || !bytes.Equal(got, got2) || !reflect.DeepEqual(trailers, trailers2) {
			t.Fatalf("encoded again: %v", err)
		}
	})
}

// FuzzParseQuery compares with net/url, for queries where that keeps every
// pair.
func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{"", "acl", "a=b&c=d", "a=%20+&=&&;=%", "a;b=c", "%61=%C3%A4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := ParseQuery(raw)
		if err != nil {
			return
		}
		canonical := string(q.appendCanonical(nil, ""))
		if len(canonical) <= MaxQueryBytes {
			again, err := ParseQuery(canonical)
			if err != nil || string(again.appendCanonical(nil, "")) != canonical {
				t.Fatalf("%q is not canonical: %v", canonical, err)
			}
		}
		values, err := url.ParseQuery(strings.ReplaceAll(raw, ";", "%3B"))
		if err != nil {
			t.Fatalf("net/url refuses %q: %v", raw, err)
		}
		n := 0
		for name := range values {
			if v, ok := q.Get(name); !ok || v != values.Get(name) || q.Count(name) != len(values[name]) {
				t.Fatalf("%q: %q is %q here and %q there", raw, name, v, values[name])
			}
			n += len(values[name])
		}
		if n != len(q) {
			t.Fatalf("%q: %d parameters, net/url has %d", raw, len(q), n)
		}
	})
}

// FuzzVerify sends arbitrary credentials. None may verify, and every refusal
// must be one that clients may see.
func FuzzVerify(f *testing.F) {
	header := signedGet(f, "us-east-1", "s3", exampleTime, nil)
	query := presignedGet(f, "us-east-1", "s3", exampleTime, MaxPresignExpiry)
	var known []string
	for _, r := range []*http.Request{header, query} {
		id, err := verifyArrived(exampleVerifier(), r)
		if err != nil {
			f.Fatal(err)
		}
		known = append(known, id.seed.signature)
	}
	f.Add(header.Header.Get("Authorization"), header.RequestURI, "20130524T000000Z", emptySHA256)
	f.Add("", query.RequestURI, "", "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request,SignedHeaders=;;,Signature=0", "/?X-Amz-Date=1", "x", unsignedPayload)
	f.Fuzz(func(t *testing.T, auth, target, date, payload string) {
		r := arrived("GET", "gateway.test:9000", target)
		for name, value := range map[string]string{"Authorization": auth, "X-Amz-Date": date, "X-Amz-Content-Sha256": payload} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		id, err := verifyArrived(exampleVerifier(), r)
		switch {
		case err == nil:
			// The fuzzer cannot sign, so that a verified request is one of the
			// two seeds, perhaps spelt differently.
			if !slices.Contains(known, id.seed.signature) {
				t.Fatalf("verified: %q %q", auth, target)
			}
		case errors.Is(err, ErrAnonymous):
			if auth != "" {
				t.Fatalf("anonymous with Authorization %q", auth)
			}
		case s3err.From(err).Code == s3err.InternalError:
			t.Fatalf("an error without a code: %v", err)
		}
	})
}

// FuzzVerify2 sends arbitrary credentials of Version 2, as FuzzVerify does.
func FuzzVerify2(f *testing.F) {
	expires := exampleTime.Add(time.Hour)
	header := signed2Request("GET", "/bucket/key?versionId=null", "GET\n\n\n"+day2+"\n/bucket/key?versionId=null", "Date: "+day2)
	query := presigned2("GET", "/bucket/key?versionId=null", "GET\n\n\n"+strconv.FormatInt(expires.Unix(), 10)+"\n/bucket/key?versionId=null", expires)
	f.Add(header.Header.Get("Authorization"), header.RequestURI, day2, "")
	f.Add("", query.RequestURI, "", "")
	f.Add("AWS a:b:c", "/?Signature=1&x-amz-acl=%0A", "x", unsignedPayload)
	f.Fuzz(func(t *testing.T, auth, target, date, meta string) {
		r := arrived("GET", "gateway.test:9000", target)
		for name, value := range map[string]string{"Authorization": auth, "Date": date, "X-Amz-Meta-A": meta} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		v := exampleVerifier()
		v.Version2 = Version2All
		id, err := verifyArrived(v, r)
		switch {
		case err == nil:
			parsed, _ := ParseTarget(target)
			if version, _ := parsed.Query.Get("versionId"); id.Version != Version2 || parsed.Path != "/bucket/key" || version != "null" || meta != "" {
				t.Fatalf("verified: %q %q %q", auth, target, meta)
			}
		case errors.Is(err, ErrAnonymous):
			if auth != "" {
				t.Fatalf("anonymous with Authorization %q", auth)
			}
		case s3err.From(err).Code == s3err.InternalError:
			t.Fatalf("an error without a code: %v", err)
		}
	})
}

// FuzzOneReading2 checks that two presigned requests with one signed text mean
// the same: path, signed parameters and headers.
func FuzzOneReading2(f *testing.F) {
	f.Add("/b/k?response-expires=a%26versionId%3D1", "/b/k?response-expires=a&versionId=1", "a", "a")
	f.Add("/b/k?x-amz-meta-a=1%0Ax-amz-meta-b:2", "/b/k?x-amz-meta-a=1&x-amz-meta-b=2", "", "")
	f.Add("/b/k?acl", "/b/k?acl=", "1", "1")
	f.Add("/b/k?partNumber=1&uploadId=2", "/b/k?uploadId=2&partNumber=1", "text/plain", "text/plain")
	meaning := func(target, kind string) (text string, means []any, ok bool) {
		parsed, err := ParseTarget(target)
		if err != nil || strings.ContainsAny(kind, "\r\n\x00") { // impossible in a header
			return "", nil, false
		}
		r := arrived("GET", "gateway.test", target)
		r.Header["Content-Type"] = []string{kind}
		b, err := stringToSign2(r, parsed, &claim{place: inQuery, stamp: "1"})
		if err != nil {
			return "", nil, false
		}
		signed := map[string]string{}
		for _, p := range parsed.Query {
			if name := strings.ToLower(p.Name); strings.HasPrefix(name, "x-amz-") {
				signed[name] = p.Value
			} else if SignedByVersion2(p.Name) {
				signed[p.Name] = p.Value
			}
		}
		return string(b), []any{parsed.RawPath, kind, signed}, true
	}
	f.Fuzz(func(t *testing.T, a, b, kindA, kindB string) {
		textA, meansA, okA := meaning(a, kindA)
		textB, meansB, okB := meaning(b, kindB)
		if okA && okB && textA == textB && !reflect.DeepEqual(meansA, meansB) {
			t.Fatalf("one text, two meanings: %q and %q", a, b)
		}
	})
}
