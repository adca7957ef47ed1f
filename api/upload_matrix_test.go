package api_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/weakhash"
)

// Every way to upload is one element of the product of these lists, and is
// tried: {payload} × {address} × {scheme} × {checksum and its place} ×
// {operation}. Combinations that the protocol does not have are named by
// uploadWay.impossible, and must be refused.
var (
	uploadModes     = []sigv4.PayloadMode{sigv4.Signed, sigv4.Unsigned, sigv4.StreamingSigned, sigv4.StreamingSignedTrailer, sigv4.StreamingUnsignedTrailer}
	uploadChecksums = append([]string{"", contentMD5}, engine.ChecksumAlgorithms...)
	uploadPlaces    = []string{"header", "trailer"}
)

const (
	contentMD5    = "Content-MD5"
	uploadDomain  = "s3.example"
	uploadChunk   = sigv4.MinChunkSize
	uploadSize    = 2*uploadChunk + 1001 // three chunks
	uploadsAtMost = 2 * 5 * 12 * 2       // in one gateway: operations, modes, checksums, places
)

// uploadWay is one way to upload.
type uploadWay struct {
	g        *gatewaytest.Gateway
	host     bool // the bucket is in the host's name
	part     bool // UploadPart, else PutObject
	mode     sigv4.PayloadMode
	checksum string // empty: none
	trailing bool   // the checksum is a trailer
}

func (w uploadWay) String() string {
	operation, address, place := "PutObject", "path", "header"
	if w.part {
		operation = "UploadPart"
	}
	if w.host {
		address = "host"
	}
	if w.trailing {
		place = "trailer"
	}
	if w.checksum == "" {
		return fmt.Sprintf("%s, %s, %s, no checksum", operation, address, w.mode)
	}
	return fmt.Sprintf("%s, %s, %s, %s in the %s", operation, address, w.mode, w.checksum, place)
}

// impossible tells why the protocol does not have this way, with the code of
// its refusal; empty when it has. Unsigned bodies over http are possible: SDKs
// send them over https alone, but S3 accepts them over both, as every presigned
// URL shows.
func (w uploadWay) impossible() (why, code string) {
	switch {
	case w.trailing && !w.mode.Trailing():
		return "only a payload whose name ends in -TRAILER has trailers", "MalformedTrailerError"
	case w.trailing && w.checksum == contentMD5:
		return "Content-MD5 is a header; the trailers of S3 are x-amz-checksum-*", "InvalidRequest"
	}
	return "", ""
}

// TestUploadMatrix sends a correct body and wrong ones in every way. The
// correct one is stored and read back; of the wrong ones nothing is stored.
func TestUploadMatrix(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, Domains: []string{uploadDomain}, TLS: scheme == "https"})
			before := liveBlobs(t, g)
			for _, host := range []bool{false, true} {
				bucket := map[bool]string{false: "path", true: "host"}[host]
				g.Must(t, 200, "PUT", "/"+bucket, nil)
				tried := 0
				for _, part := range []bool{false, true} {
					for _, mode := range uploadModes {
						for _, checksum := range uploadChecksums {
							for _, place := range uploadPlaces {
								if checksum == "" && place == "trailer" {
									continue // nowhere is one place
								}
								w := uploadWay{g: g, host: host, part: part, mode: mode, checksum: checksum, trailing: place == "trailer"}
								w.test(t, bucket, fmt.Sprintf("key%d", tried))
								tried++
							}
						}
					}
				}
				if want := uploadsAtMost - 2*len(uploadModes); tried != want {
					t.Errorf("%d ways were tried, not %d", tried, want)
				}
			}
			held := strings.Count(string(g.Must(t, 200, "GET", "/path", nil).Body)+string(g.Must(t, 200, "GET", "/host", nil).Body), "<Key>")
			if n := liveBlobs(t, g) - before; n != held {
				t.Errorf("%d blobs are held for %d objects", n, held)
			}
		})
	}
}

func (w uploadWay) test(t *testing.T, bucket, key string) {
	t.Helper()
	object := "/" + bucket + "/" + key
	body := bytesOf(uploadSize + len(key)) // a different length for each
	id := ""
	if w.part {
		var headers []string
		if w.checksum != "" && w.checksum != contentMD5 {
			headers = []string{"x-amz-checksum-algorithm", w.checksum}
		}
		id = newUpload(t, w.g, object, headers...)
	}
	send := func(u upload) gatewaytest.Response { return w.send(t, bucket, key, id, u) }
	if why, code := w.impossible(); code != "" {
		if res := send(upload{body: body}); res.Status != 400 || res.Code() != code {
			t.Errorf("%s: %d %s, want %s, for %s", w, res.Status, res.Code(), code, why)
		}
		w.nothing(t, object, id)
		if w.part {
			w.g.Must(t, 204, "DELETE", object+"?uploadId="+id, nil)
		}
		return
	}
	wrong := w.wrong(body)
	for _, u := range wrong {
		expect(t, w.String()+": "+u.name, send(u), u.status, u.code)
		w.nothing(t, object, id)
	}
	right := send(upload{body: body})
	if right.Status != 200 {
		t.Errorf("%s: %d %s", w, right.Status, right.Body)
		return
	}
	w.answered(t, right, body)
	for _, u := range wrong {
		expect(t, w.String()+": "+u.name+" over what is there", send(u), u.status, u.code)
	}
	if w.part {
		sum := ""
		if w.checksum != "" && w.checksum != contentMD5 {
			sum = fmt.Sprintf("<Checksum%[1]s>%[2]s</Checksum%[1]s>", w.checksum, checksumOf(w.checksum, body))
		}
		w.g.Must(t, 200, "POST", object+"?uploadId="+id, completeDocument(part(1, right.Header.Get("ETag"), sum)))
	}
	if !bytes.Equal(content(t, w.g, object), body) {
		t.Errorf("%s: other bytes are read than were sent", w)
	}
}

// answered demands that the answer has the digests of the body that was sent.
func (w uploadWay) answered(t *testing.T, res gatewaytest.Response, body []byte) {
	t.Helper()
	expectHeaders(t, w.String(), res, "ETag", fmt.Sprintf(`"%x"`, weakhash.MD5(body)))
	if w.checksum != "" && w.checksum != contentMD5 {
		expectHeaders(t, w.String(), res, "x-amz-checksum-"+strings.ToLower(w.checksum), checksumOf(w.checksum, body))
	}
}

// nothing demands that a refused body left nothing.
func (w uploadWay) nothing(t *testing.T, object, id string) {
	t.Helper()
	if res := w.g.Do(t, w.g.Root, "HEAD", object, nil); res.Status != 404 {
		t.Errorf("%s: %d for an object whose body was refused", w, res.Status)
	}
	if id == "" {
		return
	}
	if res := w.g.Must(t, 200, "GET", object+"?uploadId="+id, nil); strings.Contains(string(res.Body), "<Part>") {
		t.Errorf("%s: a part whose body was refused is listed: %s", w, res.Body)
	}
}

// upload is a body that is being sent.
type upload struct {
	name   string
	body   []byte
	sum    []byte              // the body of the checksum that is sent; nil: body
	spoil  func([]byte) []byte // changes the body between signature and gateway
	status int
	code   string
}

// wrong returns the wrong bodies that this way can detect.
func (w uploadWay) wrong(body []byte) (list []upload) {
	flip := func(at int) func([]byte) []byte {
		return func(wire []byte) []byte {
			// Detected by the data after it: there are lines between the
			// chunks.
			wire[bytes.Index(wire, body[at:at+16])] ^= 1
			return wire
		}
	}
	flipped := upload{status: 400, code: "BadDigest"}
	switch {
	case w.mode == sigv4.Signed:
		flipped.code = "XAmzContentSHA256Mismatch"
	case w.mode == sigv4.StreamingSigned || w.mode == sigv4.StreamingSignedTrailer:
		flipped.status, flipped.code = 403, "SignatureDoesNotMatch"
	}
	// Nothing covers an unsigned body without a checksum, so that a flipped bit
	// cannot be detected.
	if covered := w.checksum != "" || flipped.code != "BadDigest"; covered {
		for _, at := range []int{0, 2*uploadChunk + 5} {
			u := flipped
			u.name, u.body, u.spoil = fmt.Sprintf("byte %d flipped", at), body, flip(at)
			list = append(list, u)
		}
	}
	if w.checksum != "" {
		list = append(list, upload{name: "the checksum of something else", body: body, sum: body[1:], status: 400, code: "BadDigest"})
	}
	if w.mode == sigv4.StreamingSigned || w.mode == sigv4.StreamingSignedTrailer {
		for _, nth := range []int{0, 1, 3} {
			list = append(list, upload{name: fmt.Sprintf("another signature of chunk %d", nth+1), body: body,
				spoil: otherDigit(chunkSignature, nth), status: 403, code: "SignatureDoesNotMatch"})
		}
	}
	if w.mode == sigv4.StreamingSignedTrailer {
		list = append(list, upload{name: "another signature of the trailers", body: body,
			spoil: otherDigit(trailersSignature, 0), status: 403, code: "SignatureDoesNotMatch"})
		if w.trailing {
			list = append(list, upload{name: "a right trailer replaced on its way", body: body,
				spoil: func(wire []byte) []byte {
					return bytes.Replace(wire, []byte(checksumOf(w.checksum, body)), []byte(checksumOf(w.checksum, body[1:])), 1)
				}, status: 403, code: "SignatureDoesNotMatch"})
		}
	}
	return list
}

var (
	chunkSignature    = regexp.MustCompile(`;chunk-signature=[0-9a-f]{64}`)
	trailersSignature = regexp.MustCompile(`x-amz-trailer-signature:[0-9a-f]{64}`)
)

// otherDigit changes the last digit of the nth match.
func otherDigit(what *regexp.Regexp, nth int) func([]byte) []byte {
	return func(wire []byte) []byte {
		at := what.FindAllIndex(wire, -1)[nth][1] - 1
		if wire[at]++; wire[at] == '9'+1 || wire[at] == 'f'+1 {
			wire[at] = '0'
		}
		return wire
	}
}

func checksumOf(name string, data []byte) string {
	if name == contentMD5 {
		md := weakhash.MD5(data)
		return base64.StdEncoding.EncodeToString(md[:])
	}
	return sum(name, data)
}

// send uploads u in this way: signed, and then changed as u tells.
func (w uploadWay) send(t *testing.T, bucket, key, id string, u upload) gatewaytest.Response {
	t.Helper()
	target := "/" + bucket + "/" + key
	if w.host {
		target = "/" + key
	}
	if w.part {
		target += "?partNumber=1&uploadId=" + id
	}
	r := w.g.Request(t, "PUT", target, nil)
	if w.host {
		r.Host = bucket + "." + uploadDomain
	}
	wire := w.sign(t, r, u)
	if u.spoil != nil {
		before := bytes.Clone(wire)
		if wire = u.spoil(wire); bytes.Equal(wire, before) {
			t.Fatalf("%s: %s: nothing was changed", w, u.name)
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(wire)), int64(len(wire))
	return w.g.Send(t, r)
}

// sign puts checksum and signature into r and returns the body as it goes over
// the wire.
func (w uploadWay) sign(t *testing.T, r *http.Request, u upload) []byte {
	t.Helper()
	if u.sum == nil {
		u.sum = u.body
	}
	name := "x-amz-checksum-" + strings.ToLower(w.checksum)
	if w.checksum == contentMD5 {
		name = contentMD5
	}
	c := sigv4.Chunked{Mode: w.mode, Body: bytes.NewReader(u.body), Length: int64(len(u.body)), ChunkSize: uploadChunk}
	switch _, impossible := w.impossible(); {
	case w.checksum == "":
	case !w.trailing:
		r.Header.Set(name, checksumOf(w.checksum, u.sum))
	case impossible != "" && !w.mode.Trailing():
		r.Header.Set("X-Amz-Trailer", strings.ToLower(name))
	default:
		c.Trailer = http.Header{http.CanonicalHeaderKey(name): {checksumOf(w.checksum, u.sum)}}
	}
	root, now := w.g.Root, w.g.Now()
	if w.mode.Chunked() {
		if err := sigv4.SignChunked(r, root.AccessKey, root.SecretKey, w.g.Region, "s3", c, now); err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		wire, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		if declared := r.Header.Get("X-Amz-Decoded-Content-Length"); declared != strconv.Itoa(len(u.body)) {
			t.Fatalf("%s bytes are declared instead of %d", declared, len(u.body))
		}
		return wire
	}
	hash := w.mode.String()
	if w.mode == sigv4.Signed {
		hash = sigv4.PayloadHash(u.body)
	}
	if err := sigv4.Sign(r, root.AccessKey, root.SecretKey, w.g.Region, "s3", hash, now); err != nil {
		t.Fatalf("%s: %v", w, err)
	}
	return bytes.Clone(u.body)
}
