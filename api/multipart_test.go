package api_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/weakhash"
)

const partSize = engine.MinPartSize

// etagOf returns the quoted entity tag of an object made of the parts.
func etagOf(parts ...[]byte) string {
	var all []byte
	for _, p := range parts {
		digest := weakhash.MD5(p)
		all = append(all, digest[:]...)
	}
	digest := weakhash.MD5(all)
	return fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(digest[:]), len(parts))
}

func TestMultipartUpload(t *testing.T) {
	g := start(t)
	one, two := bytesOf(partSize+1), bytesOf(77)
	whole := append(bytes.Clone(one), two...)
	created := g.Must(t, 200, "POST", "/bkt/k%20e?uploads", nil, "Content-Type", "text/plain", "X-Amz-Meta-A", "1")
	id := created.Element("UploadId")
	if len(id) != 32 || created.Element("Bucket") != "bkt" || created.Element("Key") != "k e" ||
		!bytes.Contains(created.Body, []byte("<InitiateMultipartUploadResult ")) {
		t.Fatalf("create: %s", created.Body)
	}
	expectHeaders(t, "create", created, "X-Amz-Server-Side-Encryption", "AES256", "X-Amz-Checksum-Algorithm", "")
	etag7 := sendPart(t, g, "/bkt/k%20e", id, 7, one)
	sendPart(t, g, "/bkt/k%20e", id, 9000, []byte("replaced"))
	etag9000 := sendPart(t, g, "/bkt/k%20e", id, 9000, two)
	sendPart(t, g, "/bkt/k%20e", id, 9001, []byte("not chosen"))
	expect(t, "not yet", g.Do(t, g.Root, "GET", "/bkt/k%20e", nil), 404, "NoSuchKey")

	document := completeDocument(part(7, strings.ReplaceAll(etag7, `"`, "&quot;")), part(9000, strings.Trim(etag9000, `"`)))
	for _, attempt := range []string{"first", "retried"} {
		done := g.Must(t, 200, "POST", "/bkt/k%20e?uploadId="+id, document, "X-Amz-Mp-Object-Size", fmt.Sprint(len(whole)))
		if done.Element("ETag") != strings.ReplaceAll(etagOf(one, two), `"`, "&quot;") || done.Element("Location") != g.URL+"/bkt/k%20e" ||
			done.Element("Bucket") != "bkt" || done.Element("Key") != "k e" ||
			done.Element("ChecksumCRC64NVME") != sum(engine.CRC64NVME, whole) || done.Element("ChecksumType") != "FULL_OBJECT" {
			t.Errorf("%s: %s", attempt, done.Body)
		}
		expectHeaders(t, attempt, done, "X-Amz-Server-Side-Encryption", "AES256", "Content-Type", "application/xml")
	}
	res := bothMethods(t, g, "/bkt/k%20e", "X-Amz-Checksum-Mode", "ENABLED")
	expectHeaders(t, "object", res, "ETag", etagOf(one, two), "Content-Type", "text/plain", "X-Amz-Meta-A", "1",
		"X-Amz-Checksum-Crc64nvme", sum(engine.CRC64NVME, whole), "X-Amz-Mp-Parts-Count", "")
	if !bytes.Equal(res.Body, whole) {
		t.Error("the object has another content")
	}
	over := fmt.Sprintf("bytes=%d-%d", len(one)-2, len(one)+1)
	if res := bothMethods(t, g, "/bkt/k%20e", "Range", over); !bytes.Equal(res.Body, whole[len(one)-2:len(one)+2]) {
		t.Errorf("%s: %d %q", over, res.Status, res.Body)
	}
	expect(t, "completed uploads take no part", g.Do(t, g.Root, "PUT", "/bkt/k%20e?partNumber=1&uploadId="+id, two), 404, "NoSuchUpload")
	expect(t, "completed uploads are not listed", g.Do(t, g.Root, "GET", "/bkt/k%20e?uploadId="+id, nil), 404, "NoSuchUpload")
	expect(t, "completed uploads are not aborted", g.Do(t, g.Root, "DELETE", "/bkt/k%20e?uploadId="+id, nil), 404, "NoSuchUpload")
}

func TestMultipartPartReads(t *testing.T) {
	g := start(t)
	one, two := bytesOf(partSize), bytesOf(100)
	id := newUpload(t, g, "/bkt/k", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	tag1, tag2 := sendPart(t, g, "/bkt/k", id, 1, one), sendPart(t, g, "/bkt/k", id, 2, two)
	g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, completeDocument(part(1, tag1), part(2, tag2)))
	for n, want := range map[int][]byte{1: one, 2: two} {
		res := bothMethods(t, g, fmt.Sprintf("/bkt/k?partNumber=%d", n), "X-Amz-Checksum-Mode", "ENABLED")
		first := 0
		if n == 2 {
			first = len(one)
		}
		expectHeaders(t, fmt.Sprint(n), res, "X-Amz-Mp-Parts-Count", "2", "X-Amz-Checksum-Crc32", sum(engine.CRC32, want),
			"Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+len(want)-1, len(one)+len(two)))
		if res.Status != 206 || !bytes.Equal(res.Body, want) {
			t.Errorf("part %d: %d, %d bytes", n, res.Status, len(res.Body))
		}
	}
	expect(t, "no such part", bothMethods(t, g, "/bkt/k?partNumber=3"), 416, "InvalidPartNumber")
}

func TestMultipartChecksums(t *testing.T) {
	g := start(t)
	one, two := bytesOf(partSize), bytesOf(100)
	whole := append(bytes.Clone(one), two...)
	for _, c := range []struct{ algorithm, kind string }{
		{"CRC32", "COMPOSITE"}, {"CRC32", "FULL_OBJECT"}, {"CRC32C", "COMPOSITE"}, {"CRC32C", "FULL_OBJECT"},
		{"CRC64NVME", "FULL_OBJECT"}, {"SHA1", "COMPOSITE"}, {"SHA256", "COMPOSITE"}, {"SHA512", "COMPOSITE"},
		{"MD5", "COMPOSITE"}, {"XXHASH64", "COMPOSITE"}, {"XXHASH3", "COMPOSITE"}, {"XXHASH128", "COMPOSITE"},
	} {
		what, target := c.algorithm+" "+c.kind, "/bkt/"+c.algorithm+c.kind
		header := "X-Amz-Checksum-" + c.algorithm
		created := g.Must(t, 200, "POST", target+"?uploads", nil, "X-Amz-Checksum-Algorithm", c.algorithm, "X-Amz-Checksum-Type", c.kind)
		expectHeaders(t, what, created, "X-Amz-Checksum-Algorithm", c.algorithm, "X-Amz-Checksum-Type", c.kind)
		id := created.Element("UploadId")
		element := "Checksum" + c.algorithm
		var parts []string
		composite := engine.NewChecksumHash(c.algorithm)
		for i, body := range [][]byte{one, two} {
			claim := sum(c.algorithm, body)
			etag := sendPart(t, g, target, id, i+1, body, header, claim)
			parts = append(parts, part(i+1, etag, "<"+element+">"+claim+"</"+element+">"))
			h := engine.NewChecksumHash(c.algorithm)
			h.Write(body)
			composite.Write(h.Sum(nil))
		}
		want := sum(c.algorithm, whole)
		if c.kind == "COMPOSITE" {
			want = (&engine.Checksum{Algorithm: c.algorithm, Type: c.kind, Value: composite.Sum(nil), Parts: 2}).String()
		}
		expect(t, what+": wrong claim", g.Do(t, g.Root, "POST", target+"?uploadId="+id, completeDocument(parts...), header,
			sum(c.algorithm, two), "X-Amz-Checksum-Type", c.kind), 400, "BadDigest")
		other := map[string]string{"COMPOSITE": "FULL_OBJECT", "FULL_OBJECT": "COMPOSITE"}[c.kind]
		expect(t, what+": other type", g.Do(t, g.Root, "POST", target+"?uploadId="+id, completeDocument(parts...),
			"X-Amz-Checksum-Type", other), 400, "InvalidRequest")
		done := g.Must(t, 200, "POST", target+"?uploadId="+id, completeDocument(parts...), header, want, "X-Amz-Checksum-Type", c.kind)
		if done.Element(element) != want || done.Element("ChecksumType") != c.kind {
			t.Errorf("%s: %s", what, done.Body)
		}
		expectHeaders(t, what, bothMethods(t, g, target, "X-Amz-Checksum-Mode", "ENABLED"), header, want, "X-Amz-Checksum-Type", c.kind)
	}
}

func TestMultipartRefusals(t *testing.T) {
	g := start(t)
	for _, headers := range [][]string{
		{"X-Amz-Checksum-Algorithm", "SHA1", "X-Amz-Checksum-Type", "FULL_OBJECT"},
		{"X-Amz-Checksum-Algorithm", "CRC64NVME", "X-Amz-Checksum-Type", "COMPOSITE"},
		{"X-Amz-Checksum-Type", "COMPOSITE"},
		{"X-Amz-Checksum-Algorithm", "CRC16"},
	} {
		expect(t, fmt.Sprint(headers), g.Do(t, g.Root, "POST", "/bkt/k?uploads", nil, headers...), 400, "InvalidRequest")
	}
	id := newUpload(t, g, "/bkt/k", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	big, small := bytesOf(partSize), []byte("small")
	tag1, tag2 := sendPart(t, g, "/bkt/k", id, 1, small), sendPart(t, g, "/bkt/k", id, 2, big)
	stranger := newUpload(t, g, "/bkt/other")
	upload := func(query string, headers ...string) gatewaytest.Response {
		return g.Do(t, g.Root, "PUT", "/bkt/k?"+query, small, headers...)
	}
	for _, c := range []struct {
		query   string
		status  int
		code    string
		headers []string
	}{
		{"partNumber=0&uploadId=" + id, 400, "InvalidArgument", nil},
		{"partNumber=10001&uploadId=" + id, 400, "InvalidArgument", nil},
		{"partNumber=-1&uploadId=" + id, 400, "InvalidArgument", nil},
		{"partNumber=x&uploadId=" + id, 400, "InvalidArgument", nil},
		{"partNumber=1&uploadId=x", 404, "NoSuchUpload", nil},
		{"partNumber=1&uploadId=" + strings.ToUpper(id[:31]) + "G", 404, "NoSuchUpload", nil},
		{"partNumber=1&uploadId=" + stranger, 404, "NoSuchUpload", nil},
		{"partNumber=1&uploadId=" + id, 400, "InvalidRequest", []string{"X-Amz-Checksum-Sha1", sum("SHA1", small)}},
		{"partNumber=1&uploadId=" + id, 400, "BadDigest", []string{"X-Amz-Checksum-Crc32", sum("CRC32", big)}},
		{"partNumber=1&uploadId=" + id, 400, "BadDigest", []string{"Content-Md5", "rL0Y20zC+Fzt72VPzMSk2A=="}},
	} {
		expect(t, c.query, upload(c.query, c.headers...), c.status, c.code)
	}
	for _, c := range []struct {
		what     string
		document []byte
		status   int
		code     string
		headers  []string
	}{
		{"no parts", completeDocument(), 400, "MalformedXML", nil},
		{"no XML", []byte("x"), 400, "MalformedXML", nil},
		{"nothing", nil, 400, "MalformedXML", nil},
		{"no number", completeDocument("<Part><ETag>x</ETag></Part>"), 400, "MalformedXML", nil},
		{"no tag", completeDocument("<Part><PartNumber>1</PartNumber></Part>"), 400, "MalformedXML", nil},
		{"number 0", completeDocument(part(0, tag1)), 400, "InvalidArgument", nil},
		{"number 10001", completeDocument(part(10001, tag1)), 400, "InvalidArgument", nil},
		{"descending", completeDocument(part(2, tag2), part(1, tag1)), 400, "InvalidPartOrder", nil},
		{"twice", completeDocument(part(1, tag1), part(1, tag1)), 400, "InvalidPartOrder", nil},
		{"absent part", completeDocument(part(2, tag2), part(3, tag2)), 400, "InvalidPart", nil},
		{"other tag", completeDocument(part(2, tag1)), 400, "InvalidPart", nil},
		{"too small", completeDocument(part(1, tag1), part(2, tag2)), 400, "EntityTooSmall", nil},
		{"two checksums", completeDocument(part(2, tag2, "<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumSHA1>AAAA</ChecksumSHA1>")), 400, "InvalidArgument", nil},
		{"other checksum", completeDocument(part(2, tag2, "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")), 400, "InvalidPart", nil},
		{"other algorithm", completeDocument(part(2, tag2, "<ChecksumSHA1>"+sum("SHA1", big)+"</ChecksumSHA1>")), 400, "BadDigest", nil},
		{"other size", completeDocument(part(2, tag2)), 400, "InvalidRequest", []string{"X-Amz-Mp-Object-Size", "1"}},
		{"negative size", completeDocument(part(2, tag2)), 400, "InvalidRequest", []string{"X-Amz-Mp-Object-Size", "-1"}},
		{"no size", completeDocument(part(2, tag2)), 400, "InvalidRequest", []string{"X-Amz-Mp-Object-Size", "x"}},
		{"type", completeDocument(part(2, tag2)), 400, "InvalidRequest", []string{"X-Amz-Checksum-Type", "x"}},
		{"malformed claim", completeDocument(part(2, tag2)), 400, "InvalidRequest", []string{"X-Amz-Checksum-Crc32", "x"}},
	} {
		expect(t, c.what, g.Do(t, g.Root, "POST", "/bkt/k?uploadId="+id, c.document, c.headers...), c.status, c.code)
	}
	expect(t, "other key", g.Do(t, g.Root, "POST", "/bkt/k?uploadId="+stranger, completeDocument(part(2, tag2))), 404, "NoSuchUpload")
	g.Must(t, 200, "PUT", "/bkt/k", []byte("there"))
	expect(t, "exists", g.Do(t, g.Root, "POST", "/bkt/k?uploadId="+id, completeDocument(part(2, tag2)), "If-None-Match", "*"), 412, "PreconditionFailed")
	if got := content(t, g, "/bkt/k"); string(got) != "there" {
		t.Errorf("a refused Complete left %q", got)
	}
	g.Must(t, 204, "DELETE", "/bkt/k", nil)
	g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, completeDocument(part(2, tag2)), "If-None-Match", "*")
	if !bytes.Equal(content(t, g, "/bkt/k"), big) {
		t.Error("another content")
	}
}

// With a composite checksum, every part's checksum is sent twice.
func TestCompositeNeedsEveryChecksum(t *testing.T) {
	g := start(t)
	id := newUpload(t, g, "/bkt/k", "X-Amz-Checksum-Algorithm", "SHA512")
	body := []byte("part")
	expect(t, "a part without", g.Do(t, g.Root, "PUT", "/bkt/k?partNumber=1&uploadId="+id, body), 400, "InvalidRequest")
	tag := sendPart(t, g, "/bkt/k", id, 1, body, "X-Amz-Checksum-Sha512", sum(engine.SHA512, body))
	res := g.Do(t, g.Root, "POST", "/bkt/k?uploadId="+id, completeDocument(part(1, tag)))
	if expect(t, "complete without", res, 400, "InvalidRequest"); !strings.Contains(res.Element("Message"), "missing for part 1") {
		t.Errorf("%s", res.Body)
	}
	g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, completeDocument(part(1, tag, "<ChecksumSHA512>"+sum(engine.SHA512, body)+"</ChecksumSHA512>")))
}

// If the upload names no algorithm, the parts' own checksums are checked, and
// the object has S3's default.
func TestPartsWithChecksumsOfTheirOwn(t *testing.T) {
	g := start(t)
	id := newUpload(t, g, "/bkt/k")
	one, two := bytesOf(partSize), []byte("two")
	expect(t, "a wrong one", g.Do(t, g.Root, "PUT", "/bkt/k?partNumber=1&uploadId="+id, one, "X-Amz-Checksum-Crc32", sum(engine.CRC32, two)), 400, "BadDigest")
	var parts []string
	for i, c := range []struct {
		algorithm string
		body      []byte
	}{{engine.CRC32, one}, {engine.XXHASH3, two}} {
		header, claim := "X-Amz-Checksum-"+c.algorithm, sum(c.algorithm, c.body)
		res := g.Must(t, 200, "PUT", fmt.Sprintf("/bkt/k?partNumber=%d&uploadId=%s", i+1, id), c.body, header, claim)
		expectHeaders(t, c.algorithm, res, header, claim)
		parts = append(parts, part(i+1, res.Header.Get("ETag"), fmt.Sprintf("<Checksum%[1]s>%[2]s</Checksum%[1]s>", c.algorithm, claim)))
	}
	done := g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, completeDocument(parts...))
	want := sum(engine.CRC64NVME, append(bytes.Clone(one), two...))
	if got := done.Element("ChecksumCRC64NVME"); got != want || done.Element("ChecksumType") != "FULL_OBJECT" {
		t.Errorf("the object's checksum is %s, want %s: %s", got, want, done.Body)
	}
}

func TestAbortMultipartUpload(t *testing.T) {
	g := start(t)
	before := liveBlobs(t, g)
	id := newUpload(t, g, "/bkt/k")
	sendPart(t, g, "/bkt/k", id, 1, bytesOf(100_000))
	expect(t, "condition", g.Do(t, g.Root, "DELETE", "/bkt/k?uploadId="+id, nil, "X-Amz-If-Match-Initiated-Time",
		"Wed, 21 Oct 2015 07:28:00 GMT"), 412, "PreconditionFailed")
	g.Must(t, 204, "DELETE", "/bkt/k?uploadId="+id, nil)
	for _, method := range []string{"DELETE", "GET", "POST"} {
		expect(t, method, g.Do(t, g.Root, method, "/bkt/k?uploadId="+id, completeDocument(part(1, "x"))), 404, "NoSuchUpload")
	}
	expect(t, "PUT", g.Do(t, g.Root, "PUT", "/bkt/k?partNumber=1&uploadId="+id, []byte("x")), 404, "NoSuchUpload")
	if after := liveBlobs(t, g); after != before {
		t.Errorf("%d blobs, before there were %d", after, before)
	}
}

func TestUploadPartCopy(t *testing.T) {
	g := start(t)
	body := bytesOf(partSize + 1000)
	g.Must(t, 200, "PUT", "/bkt/s", body)
	bare := g.Must(t, 200, "PUT", "/bkt/k?partNumber=1&uploadId="+newUpload(t, g, "/bkt/k"), nil, "X-Amz-Copy-Source", "/bkt/s")
	if bytes.Contains(bare.Body, []byte("Checksum")) {
		t.Errorf("an unrequested checksum: %s", bare.Body)
	}
	id := newUpload(t, g, "/bkt/k", "X-Amz-Checksum-Algorithm", "CRC64NVME")
	target := "/bkt/k?uploadId=" + id + "&partNumber="
	whole := g.Must(t, 200, "PUT", target+"1", nil, "X-Amz-Copy-Source", "/bkt/s")
	if whole.Element("LastModified") == "" || whole.Element("ChecksumCRC64NVME") != sum(engine.CRC64NVME, body) ||
		!bytes.Contains(whole.Body, []byte("<CopyPartResult ")) {
		t.Errorf("answer: %s", whole.Body)
	}
	piece := g.Must(t, 200, "PUT", target+"2", nil, "X-Amz-Copy-Source", "bkt/s", "X-Amz-Copy-Source-Range", "bytes=10-70000")
	for _, c := range []struct {
		status  int
		code    string
		headers []string
	}{
		{400, "InvalidArgument", []string{"X-Amz-Copy-Source-Range", "bytes=0-"}},
		{400, "InvalidArgument", []string{"X-Amz-Copy-Source-Range", "bytes=-5"}},
		{400, "InvalidArgument", []string{"X-Amz-Copy-Source-Range", "0-5"}},
		{400, "InvalidArgument", []string{"X-Amz-Copy-Source-Range", "bytes=0-5,7-8"}},
		{400, "InvalidArgument", []string{"X-Amz-Copy-Source-Range", fmt.Sprintf("bytes=0-%d", len(body))}},
		{400, "InvalidArgument", []string{"X-Amz-Copy-Source-Range", "bytes=99999999-99999999999999999999"}},
		{412, "PreconditionFailed", []string{"X-Amz-Copy-Source-If-Match", "x"}},
	} {
		expect(t, fmt.Sprint(c.headers), g.Do(t, g.Root, "PUT", target+"2", nil, append(c.headers, "X-Amz-Copy-Source", "bkt/s")...), c.status, c.code)
	}
	g.Must(t, 204, "DELETE", "/bkt/s", nil)
	g.Must(t, 200, "POST", "/bkt/k?uploadId="+id, completeDocument(part(1, whole.Element("ETag")), part(2, piece.Element("ETag"))))
	liveBlobs(t, g)
	if got := content(t, g, "/bkt/k"); !bytes.Equal(got, append(bytes.Clone(body), body[10:70_001]...)) {
		t.Error("another content")
	}
}

func TestListParts(t *testing.T) {
	g := start(t)
	id := newUpload(t, g, "/bkt/k", "X-Amz-Checksum-Algorithm", "SHA256", "X-Amz-Storage-Class", "STANDARD_IA")
	for _, n := range []int{3, 1, 2} {
		sendPart(t, g, "/bkt/k", id, n, bytesOf(n), "X-Amz-Checksum-Sha256", sum(engine.SHA256, bytesOf(n)))
	}
	target := "/bkt/k?uploadId=" + id
	all := g.Must(t, 200, "GET", target, nil)
	for element, want := range map[string]string{
		"Bucket": "bkt", "Key": "k", "UploadId": id, "StorageClass": "STANDARD_IA", "PartNumberMarker": "0", "NextPartNumberMarker": "3",
		"MaxParts": "1000", "IsTruncated": "false", "ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE",
		"PartNumber": "1", "Size": "1", "ChecksumSHA256": sum(engine.SHA256, bytesOf(1)), "ID": g.Engine.Accounts().Root().ID.Canonical(),
	} {
		if got := all.Element(element); got != want {
			t.Errorf("%s is %q, want %q", element, got, want)
		}
	}
	if n := strings.Count(string(all.Body), "<Part>"); n != 3 {
		t.Errorf("%d parts: %s", n, all.Body)
	}
	page := g.Must(t, 200, "GET", target+"&max-parts=1&part-number-marker=1", nil)
	if page.Element("PartNumber") != "2" || page.Element("IsTruncated") != "true" ||
		page.Element("NextPartNumberMarker") != "2" || page.Element("MaxParts") != "1" {
		t.Errorf("page: %s", page.Body)
	}
	if none := g.Must(t, 200, "GET", target+"&max-parts=0", nil); none.Element("Part") != "" || none.Element("IsTruncated") != "false" {
		t.Errorf("max-parts=0: %s", none.Body)
	}
	for _, n := range []string{"5000", "2147483647"} {
		if many := g.Must(t, 200, "GET", target+"&max-parts="+n, nil); many.Element("MaxParts") != "1000" {
			t.Errorf("max-parts=%s: %s", n, many.Body)
		}
	}
	for _, q := range []string{"&max-parts=x", "&max-parts=-1", "&max-parts=%2B1", "&max-parts=2147483648", "&part-number-marker=x"} {
		expect(t, q, g.Do(t, g.Root, "GET", target+q, nil), 400, "InvalidArgument")
	}
}

func TestListMultipartUploads(t *testing.T) {
	g := start(t)
	keys := []string{"a/1", "a/2", "b", "c d", "c d"}
	var ids []string
	for _, key := range keys {
		ids = append(ids, newUpload(t, g, "/bkt/"+strings.ReplaceAll(key, " ", "%20")))
	}
	var seen []string
	query := ""
	for range len(keys) + 1 {
		page := g.Must(t, 200, "GET", "/bkt?uploads&max-uploads=1"+query, nil)
		seen = append(seen, page.Element("Upload"))
		if page.Element("IsTruncated") == "false" {
			break
		}
		query = "&key-marker=" + strings.ReplaceAll(page.Element("NextKeyMarker"), " ", "%20") + "&upload-id-marker=" + page.Element("NextUploadIdMarker")
	}
	if len(seen) != len(keys) {
		t.Fatalf("%d pages for %d uploads: %q", len(seen), len(keys), seen)
	}
	for i, entry := range seen {
		if !strings.Contains(entry, "<Key>"+keys[i]+"</Key>") {
			t.Errorf("entry %d is %s, want %s", i, entry, keys[i])
		}
	}
	for _, id := range ids {
		if !strings.Contains(strings.Join(seen, ""), "<UploadId>"+id+"</UploadId>") {
			t.Errorf("upload %s is missing", id)
		}
	}
	res := g.Must(t, 200, "GET", "/bkt?uploads&delimiter=/&encoding-type=url&prefix=", nil)
	if res.Element("CommonPrefixes") != "<Prefix>a/</Prefix>" || strings.Count(string(res.Body), "<Upload>") != 3 ||
		!strings.Contains(string(res.Body), "<Key>c+d</Key>") || res.Element("EncodingType") != "url" {
		t.Errorf("delimiter: %s", res.Body)
	}
	if res := g.Must(t, 200, "GET", "/bkt?uploads&prefix=c&key-marker=c%20d", nil); res.Element("Upload") != "" || res.Element("KeyMarker") != "c d" {
		t.Errorf("after the last key: %s", res.Body)
	}
	if res := g.Must(t, 200, "GET", "/bkt?uploads&max-uploads=0", nil); res.Element("Upload") != "" || res.Element("IsTruncated") != "false" {
		t.Errorf("max-uploads=0: %s", res.Body)
	}
	for _, q := range []string{"&max-uploads=x", "&encoding-type=x", "&key-marker=a&upload-id-marker=x"} {
		expect(t, q, g.Do(t, g.Root, "GET", "/bkt?uploads"+q, nil), 400, "InvalidArgument")
	}
}

func TestUploadPartClientGone(t *testing.T) {
	finished := make(chan api.Observation, 16)
	g := gatewaytest.Start(t, gatewaytest.Options{Grace: -1, Observe: func(o api.Observation) {
		if o.Operation == "UploadPart" {
			finished <- o
		}
	}})
	g.Must(t, 200, "PUT", "/bkt", nil)
	id := newUpload(t, g, "/bkt/k")
	before := liveBlobs(t, g)
	body := bytesOf(200_000)
	for _, sent := range []int{0, 65_536, len(body) - 1} {
		r := g.Request(t, "PUT", "/bkt/k?partNumber=1&uploadId="+id, body)
		g.Sign(t, r, g.Root, body)
		cut(t, g, r, len(body)-sent)
		if o := <-finished; o.Code == "" {
			t.Errorf("after %d of %d bytes the part was stored", sent, len(body))
		}
	}
	if res := g.Must(t, 200, "GET", "/bkt/k?uploadId="+id, nil); res.Element("Part") != "" {
		t.Errorf("a part is left: %s", res.Body)
	}
	if after := liveBlobs(t, g); after != before {
		t.Errorf("%d blobs, before there were %d", after, before)
	}
}
