package api

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

// sumOf returns the base64 checksum of data.
func sumOf(algorithm, data string) string {
	h := engine.NewChecksumHash(algorithm)
	io.WriteString(h, data)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func bodyRequest(announced []string, trailers http.Header, headers ...string) *Request {
	r := requestWith(headers...)
	r.Body = &Body{Body: engine.Body{Reader: strings.NewReader("x"), Size: 1}, Announced: announced, Trailers: func() http.Header { return trailers }}
	return r
}

func TestEngineBodyOfHeader(t *testing.T) {
	for _, algorithm := range engine.ChecksumAlgorithms {
		name := checksumHeader(algorithm)
		b, err := bodyRequest(nil, nil, name, sumOf(algorithm, "x"), "x-amz-sdk-checksum-algorithm", strings.ToLower(algorithm)).engineBody()
		if err != nil || b.ChecksumAlgorithm != algorithm || base64.StdEncoding.EncodeToString(b.ChecksumValue) != sumOf(algorithm, "x") || b.ClaimedLate != nil {
			t.Errorf("%s: %+v, %v", algorithm, b, err)
		}
		for _, value := range []string{"", "x", "AAAA", sumOf(algorithm, "x") + "=", sumOf(algorithm, "x") + "-1", "\n" + sumOf(algorithm, "x") + "AAAA"} {
			_, err := bodyRequest(nil, nil, name, value).engineBody()
			if !errors.Is(err, s3err.InvalidRequest) || !strings.Contains(err.Error(), "Value for "+name+" header is invalid.") {
				t.Errorf("%s: %q: %v", name, value, err)
			}
		}
	}
}

func TestEngineBodyOfTrailer(t *testing.T) {
	for _, algorithm := range engine.ChecksumAlgorithms {
		name := checksumHeader(algorithm)
		trailers := http.Header{}
		b, err := bodyRequest([]string{name}, trailers, "x-amz-sdk-checksum-algorithm", algorithm).engineBody()
		if err != nil || b.ChecksumAlgorithm != algorithm || b.ChecksumValue != nil || b.ClaimedLate == nil {
			t.Fatalf("%s: %+v, %v", algorithm, b, err)
		}
		if _, err := b.ClaimedLate(); !errors.Is(err, s3err.MalformedTrailer) {
			t.Errorf("%s: a promised trailer that did not come: %v", algorithm, err)
		}
		trailers.Set(name, "AAA")
		if _, err := b.ClaimedLate(); !errors.Is(err, s3err.InvalidRequest) {
			t.Errorf("%s: a trailer that is no checksum: %v", algorithm, err)
		}
		trailers.Set(name, sumOf(algorithm, "x"))
		if sum, err := b.ClaimedLate(); err != nil || base64.StdEncoding.EncodeToString(sum) != sumOf(algorithm, "x") {
			t.Errorf("%s: %x, %v", algorithm, sum, err)
		}
	}
}

func TestEngineBodyRefusals(t *testing.T) {
	crc32, sha1 := sumOf(engine.CRC32, "x"), sumOf(engine.SHA1, "x")
	for _, c := range []struct {
		name      string
		announced []string
		headers   []string
		message   string
	}{
		{"two headers", nil, []string{"x-amz-checksum-crc32", crc32, "x-amz-checksum-sha1", sha1}, "Expecting a single x-amz-checksum- header"},
		{"one header twice", nil, []string{"x-amz-checksum-crc32", crc32, "x-amz-checksum-crc32", crc32}, "Expecting a single x-amz-checksum- header"},
		{"header and trailer", []string{"x-amz-checksum-crc32"}, []string{"x-amz-checksum-crc32", crc32}, "Expecting a single x-amz-checksum- header"},
		{"two trailers", []string{"x-amz-checksum-crc32", "x-amz-checksum-sha1"}, nil, "Expecting a single x-amz-checksum- header"},
		{"unknown algorithm", nil, []string{"x-amz-checksum-crc16", "AAA="}, "The algorithm type you specified in x-amz-checksum- header is invalid."},
		{"unknown trailer", []string{"x-amz-meta-a"}, nil, "The value specified in the x-amz-trailer header is not supported"},
		{"setting as trailer", []string{"x-amz-checksum-type"}, nil, "The value specified in the x-amz-trailer header is not supported"},
		{"named, not sent", nil, []string{"x-amz-sdk-checksum-algorithm", "CRC32"}, "no corresponding x-amz-checksum-* or x-amz-trailer headers were found"},
		{"named another", nil, []string{"x-amz-sdk-checksum-algorithm", "SHA1", "x-amz-checksum-crc32", crc32},
			"Value for x-amz-sdk-checksum-algorithm header is invalid."},
		{"named another trailer", []string{"x-amz-checksum-crc32"}, []string{"x-amz-sdk-checksum-algorithm", "SHA1"},
			"Value for x-amz-sdk-checksum-algorithm header is invalid."},
		{"named unknown", nil, []string{"x-amz-sdk-checksum-algorithm", "CRC16"}, "Checksum algorithm provided is unsupported."},
	} {
		_, err := bodyRequest(c.announced, nil, c.headers...).engineBody()
		if !errors.Is(err, s3err.InvalidRequest) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", c.name, err, c.message)
		}
	}
}

func TestEngineBodyWithoutChecksum(t *testing.T) {
	b, err := bodyRequest(nil, nil, "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "FULL_OBJECT", "x-amz-checksum-mode", "ENABLED").engineBody()
	if err != nil || b.ChecksumAlgorithm != "" {
		t.Errorf("settings were taken for a checksum: %+v, %v", b, err)
	}
}

func TestUploadChecksum(t *testing.T) {
	const full, composite = engine.FullObject, engine.Composite
	for _, c := range []struct{ algorithm, kind, wantAlgorithm, wantKind, message string }{
		{"", "", "", "", ""},
		{"CRC32", "", "CRC32", composite, ""},
		{"crc32", "full_object", "CRC32", full, ""},
		{"CRC32", composite, "CRC32", composite, ""},
		{"CRC32C", "", "CRC32C", composite, ""},
		{"CRC32C", full, "CRC32C", full, ""},
		{"CRC64NVME", "", "CRC64NVME", full, ""},
		{"CRC64NVME", full, "CRC64NVME", full, ""},
		{"CRC64NVME", composite, "", "", "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm."},
		{"SHA1", "", "SHA1", composite, ""},
		{"SHA1", full, "", "", "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm."},
		{"SHA256", composite, "SHA256", composite, ""},
		{"SHA256", full, "", "", "The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm."},
		{"SHA512", "", "SHA512", composite, ""},
		{"MD5", "", "MD5", composite, ""},
		{"MD5", full, "", "", "The FULL_OBJECT checksum type cannot be used with the md5 checksum algorithm."},
		{"xxhash64", "", "XXHASH64", composite, ""},
		{"XXHASH3", full, "", "", "The FULL_OBJECT checksum type cannot be used with the xxhash3 checksum algorithm."},
		{"XXHASH128", composite, "XXHASH128", composite, ""},
		{"", full, "", "", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."},
		{"CRC32", "HALF", "", "", "Value for x-amz-checksum-type header is invalid."},
		{"MD4", "", "", "", "Checksum algorithm provided is unsupported."},
	} {
		var headers []string
		if c.algorithm != "" {
			headers = append(headers, "x-amz-checksum-algorithm", c.algorithm)
		}
		if c.kind != "" {
			headers = append(headers, "x-amz-checksum-type", c.kind)
		}
		algorithm, kind, err := requestWith(headers...).uploadChecksum()
		if algorithm != c.wantAlgorithm || kind != c.wantKind || (err == nil) != (c.message == "") ||
			err != nil && !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s %s: %q %q %v; want %q %q %q", c.algorithm, c.kind, algorithm, kind, err, c.wantAlgorithm, c.wantKind, c.message)
		}
	}
}

func TestObjectChecksum(t *testing.T) {
	crc, sha, nvme := sumOf(engine.CRC32, "x"), sumOf(engine.SHA256, "x"), sumOf(engine.CRC64NVME, "x")
	for _, c := range []struct {
		header, value, kind string
		want                string // of Checksum.String
		wantKind            string
		fails               bool
	}{
		{"x-amz-checksum-crc32", crc, "", crc, "", false},
		{"x-amz-checksum-crc32", crc, engine.FullObject, crc, engine.FullObject, false},
		{"x-amz-checksum-crc32", crc + "-3", "", crc + "-3", engine.Composite, false},
		{"x-amz-checksum-sha256", sha + "-10000", engine.Composite, sha + "-10000", engine.Composite, false},
		{"x-amz-checksum-crc32", crc + "-3", engine.FullObject, "", "", true},
		{"x-amz-checksum-crc64nvme", nvme + "-3", "", "", "", true},
		{"x-amz-checksum-crc32", crc + "-0", "", "", "", true},
		{"x-amz-checksum-crc32", crc + "-", "", "", "", true},
		{"x-amz-checksum-crc32", crc + "-10001", "", "", "", true},
		{"x-amz-checksum-crc32", sha, "", "", "", true},
	} {
		sum, err := requestWith(c.header, c.value).objectChecksum(c.kind)
		if c.fails {
			if !errors.Is(err, s3err.InvalidRequest) {
				t.Errorf("%s: %s: %v, %v; want InvalidRequest", c.header, c.value, sum, err)
			}
		} else if err != nil || sum.String() != c.want || sum.Type != c.wantKind {
			t.Errorf("%s: %s: %v, %v", c.header, c.value, sum, err)
		}
	}
	if sum, err := requestWith("x-amz-checksum-type", "COMPOSITE").objectChecksum(""); sum != nil || err != nil {
		t.Errorf("no checksum: %v, %v", sum, err)
	}
}

func TestElementsOf(t *testing.T) {
	for _, algorithm := range engine.ChecksumAlgorithms {
		e := elementsOf(&engine.Checksum{Algorithm: algorithm, Type: engine.Composite, Value: []byte{1}, Parts: 2})
		if *e.field(algorithm) != "AQ==-2" {
			t.Errorf("%s: %+v", algorithm, e)
		}
	}
	if e := elementsOf(&engine.Checksum{Algorithm: "CRC16"}); e != (checksumElements{}) {
		t.Errorf("an algorithm of another release: %+v", e)
	}
	if e := elementsOf(nil); e != (checksumElements{}) {
		t.Errorf("no checksum: %+v", e)
	}
}
