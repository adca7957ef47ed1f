package clienttest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/sanctum-storage/gateway/sigv4"
)

// Each place may hold some canaries and not others. A backend sees nothing at
// all; the store beside it knows names, which listings need; the log knows
// buckets alone.
var (
	notInBackend = allKinds
	notInStore   = []kind{inBody, inMetadata, inHeader, ofBody, isSecret}
	notInLog     = []kind{inBody, inMetadata, inHeader, inKey, ofBody, isSecret}
)

// canaryTest writes to a gateway by every way there is, and remembers what.
type canaryTest struct {
	scanner
	t      *testing.T
	g      *gateway
	bucket string
	access string // of the user who writes
	secret string
	stored int64 // bytes of bodies
	last   string
}

// TestCanary plants words that are nowhere else in bodies, metadata, headers
// and names, and searches all that the gateway left behind for them and for
// digests of the bodies: while it runs, with a body half way in, after it has
// failed, and after its end.
func TestCanary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tmp := filepath.Join(dir, "tmp")
	must(t, os.Mkdir(tmp, 0o700))
	g := restart(t, filepath.Join(dir, "data"), filepath.Join(dir, "gateway.log"), "TMPDIR="+tmp, "SANCTUM_LOG_LEVEL=debug",
		"SANCTUM_COLLECTOR_GRACE=1h", "SANCTUM_S3_PROXIES=127.0.0.0/8") // what was replaced and deleted is searched as well
	c := &canaryTest{t: t, g: g, bucket: unique(), access: accessKey, secret: secretKey}
	c.add(inBucket, "bucket", []byte(c.bucket))
	c.add(isSecret, "root's secret key", []byte(secretKey))
	c.user()
	c.send(call{method: "PUT", bare: true, want: 200})
	c.puts()
	c.uploads()
	c.copies()
	c.marks()
	c.reads()
	c.refusals()
	c.halfWay(func() { c.clean("with a body half way in", tmp) })
	c.broken()
	c.clean("while it runs", tmp)
	must(t, g.stop())
	c.clean("after its end", tmp)
	c.controls()
	t.Logf("%d canaries in %d forms searched for in %d files with %d MiB, after bodies of %d MiB", len(c.canaries), len(c.forms), c.files, c.scanned/mib, c.stored/mib)
}

// clean demands that everything the process wrote is free of canaries.
func (c *canaryTest) clean(when, tmp string) {
	c.t.Helper()
	failed := c.t.Failed()
	c.absent(c.t, filepath.Join(c.g.dir, "blobs"), notInBackend...)
	entries, err := os.ReadDir(c.g.dir)
	must(c.t, err)
	for _, e := range entries {
		if e.Name() != "blobs" {
			c.absent(c.t, filepath.Join(c.g.dir, e.Name()), notInStore...)
		}
	}
	c.absent(c.t, c.g.log, notInLog...)
	c.absent(c.t, tmp, allKinds...)
	if c.g.cmd.ProcessState == nil {
		_, metrics := fetch(c.t, http.MethodGet, c.g.metrics+"/metrics", nil, http.StatusOK)
		if found := c.find(metrics); len(found) > 0 {
			c.t.Errorf("the metrics have canaries: %+v", found)
		}
	}
	if c.t.Failed() && !failed {
		c.t.Errorf("that was %s", when)
	}
}

// user adds a tenant whose secret the gateway has to keep, and goes on as this user.
func (c *canaryTest) user() {
	text, err := os.ReadFile(c.g.log)
	must(c.t, err)
	var admin string
	for line := range bytes.Lines(text) {
		var entry struct{ Msg, Admin string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			admin = entry.Admin
		}
	}
	path, err := gatewayBinary()
	must(c.t, err)
	access, secret := "CANARYACCESSKEY", unique()
	cmd := exec.Command(path, "tenant", "create", "canary", "--access-key", access, "--secret-key", secret, "--admin-url", admin, "-o", "json")
	cmd.Env = []string{"HOME=" + work, "SANCTUM_ACCESS_KEY=" + accessKey, "SANCTUM_SECRET_KEY=" + secretKey}
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("tenant create: %v\n%s", err, out)
	}
	c.add(isSecret, "a user's secret key", []byte(secret))
	c.access, c.secret = access, secret
}

// call is a request and the status that it must get.
type call struct {
	method, key, query string
	bare               bool // for the bucket
	header             http.Header
	body               []byte
	mode               sigv4.PayloadMode // 0: Signed
	trailer            http.Header
	want               int
}

// send signs and sends a request. Its signature becomes a canary.
func (c *canaryTest) send(r call) (http.Header, []byte) {
	c.t.Helper()
	u := url.URL{Path: "/" + c.bucket, RawQuery: r.query}
	if !r.bare {
		u.Path += "/" + r.key
	}
	req, err := http.NewRequestWithContext(c.t.Context(), r.method, c.g.s3+u.String(), bytes.NewReader(r.body))
	must(c.t, err)
	for name, values := range r.header {
		req.Header[name] = values
	}
	now := time.Now()
	switch {
	case r.mode.Chunked():
		must(c.t, sigv4.SignChunked(req, c.access, c.secret, region, "s3",
			sigv4.Chunked{Mode: r.mode, Body: bytes.NewReader(r.body), Length: int64(len(r.body)), Trailer: r.trailer}, now))
	case r.mode == sigv4.Unsigned:
		must(c.t, sigv4.Sign(req, c.access, c.secret, region, "s3", r.mode.String(), now))
	default:
		must(c.t, sigv4.Sign(req, c.access, c.secret, region, "s3", sigv4.PayloadHash(r.body), now))
	}
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	raw, err := hex.DecodeString(signature)
	must(c.t, err)
	c.add(isSecret, "the signature of a "+r.method, raw)
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(c.t, err)
	if resp.StatusCode != r.want {
		c.t.Fatalf("%s %q?%s: status %d instead of %d\n%s", r.method, r.key, r.query, resp.StatusCode, r.want, last(string(got)))
	}
	return resp.Header, got
}

// word is a new canary.
func (c *canaryTest) word(k kind, name string) string {
	w := unique()
	c.add(k, name, []byte(w))
	return w
}

func (c *canaryTest) key() string {
	return c.word(inKey, "a key's folder") + "/größe + " + c.word(inKey, "a key")
}

// body is n bytes, of which every run of two words' length holds a canary.
func (c *canaryTest) body(name string, n int) []byte {
	w := c.word(inBody, name)
	b := bytes.Repeat([]byte(w+"\n"), n/(len(w)+1)+1)[:n]
	c.digests(name, b)
	c.stored += int64(n)
	return b
}

// attributes are all headers that are kept with an object.
func (c *canaryTest) attributes() http.Header {
	h := http.Header{"Content-Type": {"application/x-" + c.word(inHeader, "Content-Type")}}
	for _, name := range []string{"Content-Disposition", "Content-Encoding", "Content-Language", "Cache-Control"} {
		h.Set(name, c.word(inHeader, name))
	}
	h.Set("X-Amz-Meta-"+c.word(inMetadata, "the name of metadata"), c.word(inMetadata, "metadata"))
	return h
}

// checksum is the header with one of the five checksums of a body.
func checksum(algorithm string, body []byte) http.Header {
	sum1, sum256 := sha1.Sum(body), sha256.Sum256(body)
	sum := map[string][]byte{
		"Crc32":     binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)),
		"Crc32c":    binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))),
		"Crc64nvme": binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(body)),
		"Sha1":      sum1[:],
		"Sha256":    sum256[:],
	}[algorithm]
	return http.Header{"X-Amz-Checksum-" + algorithm: {base64.StdEncoding.EncodeToString(sum)}}
}

func merged(headers ...http.Header) http.Header {
	all := http.Header{}
	for _, h := range headers {
		for name, values := range h {
			all[name] = values
		}
	}
	return all
}

// puts stores bodies of every way to be sent and sealed: in one segment, in
// several, and beyond what is verified whole.
func (c *canaryTest) puts() {
	modes := []struct {
		mode     sigv4.PayloadMode
		checksum string
	}{
		{sigv4.Signed, "Sha256"}, {sigv4.Unsigned, "Crc32"}, {sigv4.StreamingSigned, "Sha1"},
		{sigv4.StreamingSignedTrailer, "Crc32c"}, {sigv4.StreamingUnsignedTrailer, "Crc64nvme"},
	}
	for _, m := range modes {
		for _, n := range []int{100, 70_000, 2*mib + 3} {
			c.last = c.key()
			body := c.body(fmt.Sprintf("a body of %d in mode %v", n, m.mode), n)
			r := call{method: "PUT", key: c.last, header: c.attributes(), body: body, mode: m.mode, want: 200}
			if m.mode.Trailing() {
				r.trailer = checksum(m.checksum, body)
			} else {
				sum := md5.Sum(body)
				r.header = merged(r.header, checksum(m.checksum, body), http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}})
			}
			c.send(r)
		}
	}
	gone := c.key()
	for range 2 {
		c.send(call{method: "PUT", key: gone, header: c.attributes(), body: c.body("a replaced body", 5000), want: 200})
	}
	c.send(call{method: "DELETE", key: gone, want: 204})
	c.presigned("PUT", c.key(), c.body("a body by a presigned URL", 9000))
}

// presigned sends a request whose signature is in its URL.
func (c *canaryTest) presigned(method, key string, body []byte) {
	c.t.Helper()
	u := url.URL{Path: "/" + c.bucket + "/" + key}
	req, err := http.NewRequest(method, c.g.s3+u.String(), nil)
	must(c.t, err)
	signed, err := sigv4.Presign(req, c.access, c.secret, region, "s3", time.Hour, time.Now())
	must(c.t, err)
	_, signature, _ := strings.Cut(signed, "X-Amz-Signature=")
	raw, err := hex.DecodeString(signature)
	must(c.t, err)
	c.add(isSecret, "the signature of a presigned "+method, raw)
	fetch(c.t, method, signed, body, http.StatusOK)
}

var (
	uploadID  = regexp.MustCompile(`<UploadId>(.+)</UploadId>`)
	etag      = regexp.MustCompile(`<ETag>&?[#a-z0-9"]*;?"?([0-9a-f]{32})-3`)
	composite = regexp.MustCompile(`<ChecksumSHA256>(.+)-3</ChecksumSHA256>`)
)

// uploads makes one object from parts, one of them copied in part, and leaves
// one upload open.
func (c *canaryTest) uploads() {
	source, sourceBody := c.key(), c.body("the source of a part", 6*mib)
	c.send(call{method: "PUT", key: source, body: sourceBody, want: 200})
	key := c.key()
	begin := func(key string) string {
		_, reply := c.send(call{method: "POST", key: key, query: "uploads=", header: merged(c.attributes(), http.Header{"X-Amz-Checksum-Algorithm": {"SHA256"}}), want: 200})
		return string(uploadID.FindSubmatch(reply)[1])
	}
	id := begin(key)
	first, third := c.body("the first part", 5*mib), c.body("the third part", 77_777)
	at := func(number int, id string) string { return fmt.Sprintf("partNumber=%d&uploadId=%s", number, id) }
	c.send(call{method: "PUT", key: key, query: at(1, id), body: first, mode: sigv4.StreamingSignedTrailer, trailer: checksum("Sha256", first), want: 200})
	second := sourceBody[100_000 : 100_000+5*mib]
	c.digests("the second part", second)
	c.send(call{method: "PUT", key: key, query: at(2, id), header: http.Header{"X-Amz-Copy-Source": {c.source(source)},
		"X-Amz-Copy-Source-Range": {fmt.Sprintf("bytes=%d-%d", 100_000, 100_000+5*mib-1)}}, want: 200})
	c.send(call{method: "PUT", key: key, query: at(3, id), body: third, mode: sigv4.StreamingUnsignedTrailer, trailer: checksum("Sha256", third), want: 200})
	var parts strings.Builder
	for i, body := range [][]byte{first, second, third} {
		fmt.Fprintf(&parts, "<Part><PartNumber>%d</PartNumber><ETag>%x</ETag><ChecksumSHA256>%s</ChecksumSHA256></Part>", i+1, md5.Sum(body), checksum("Sha256", body).Get("X-Amz-Checksum-Sha256"))
	}
	_, reply := c.send(call{method: "POST", key: key, query: "uploadId=" + id, body: []byte("<CompleteMultipartUpload>" + parts.String() + "</CompleteMultipartUpload>"), want: 200})
	c.digests("an object of three parts", slices.Concat(first, second, third))
	for name, value := range map[string]func() ([]byte, error){
		"ETag of three parts": func() ([]byte, error) { return hex.DecodeString(string(etag.FindSubmatch(reply)[1])) },
		"SHA-256 of three parts": func() ([]byte, error) {
			return base64.StdEncoding.DecodeString(string(composite.FindSubmatch(reply)[1]))
		},
	} {
		sum, err := value()
		must(c.t, err)
		c.add(ofBody, name, sum)
	}
	open := c.key()
	part := c.body("a part of an open upload", 100_001)
	c.send(call{method: "PUT", key: open, query: at(7, begin(open)), body: part, header: checksum("Sha256", part), want: 200})
}

// source names an object as the source of a copy, in which a plus is a space.
func (c *canaryTest) source(key string) string { return url.QueryEscape(c.bucket + "/" + key) }

// marks are tags, of new objects and of such as are there, and SSE-C keys, used and
// refused. There is a proxy, so to speak, that had them over TLS.
func (c *canaryTest) marks() {
	key := c.key()
	tags := func() string {
		return c.word(inMetadata, "the name of a tag") + "=" + c.word(inMetadata, "a tag")
	}
	c.send(call{method: "PUT", key: key, header: http.Header{"X-Amz-Tagging": {tags()}}, body: c.body("a tagged body", 3000), want: 200})
	document := "<Tagging><TagSet><Tag><Key>" + c.word(inMetadata, "the name of a later tag") + "</Key><Value>" + c.word(inMetadata, "a later tag") + "</Value></Tag></TagSet></Tagging>"
	c.send(call{method: "PUT", key: key, query: "tagging=", body: []byte(document), want: 200})
	if _, shown := c.send(call{method: "GET", key: key, query: "tagging=", want: 200}); !bytes.Contains(shown, []byte("canary")) {
		c.t.Errorf("the tags are not there: %s", shown)
	}
	upload := c.key()
	c.send(call{method: "POST", key: upload, query: "uploads=", header: http.Header{"X-Amz-Tagging": {tags()}}, want: 200})
	document = "<Tagging><TagSet><Tag><Key>a</Key><Value>" + c.word(inMetadata, "a bucket's tag") + "</Value></Tag></TagSet></Tagging>"
	c.send(call{method: "PUT", bare: true, query: "tagging=", body: []byte(document), want: 204})

	secret := []byte(unique() + "-32 bytes are needed here")[:32]
	c.add(isSecret, "an SSE-C key", secret)
	digest := md5.Sum(secret)
	header := customerHeader(secret, digest[:])
	sealed, body := c.key(), c.body("a body with a customer's key", 100_000)
	c.send(call{method: "PUT", key: sealed, header: merged(header, c.attributes()), body: body, want: 200})
	if _, got := c.send(call{method: "GET", key: sealed, header: header, want: 200}); !bytes.Equal(got, body) {
		c.t.Error("a body with a customer's key comes back as another")
	}
	_, reply := c.send(call{method: "POST", key: sealed, query: "uploads=", header: merged(header, c.attributes()), want: 200})
	id := string(uploadID.FindSubmatch(reply)[1])
	c.send(call{method: "PUT", key: sealed, query: "partNumber=1&uploadId=" + id, header: header, body: c.body("a part with a customer's key", 70_000), want: 200})
	c.send(call{method: "GET", key: key, header: header, want: 400})
	insecure := header.Clone()
	insecure.Del("X-Forwarded-Proto")
	c.send(call{method: "PUT", key: sealed, header: insecure, body: c.body("a body with an exposed key", 3000), want: 400})
	other := slices.Clone(secret)
	slices.Reverse(other)
	c.add(isSecret, "a wrong SSE-C key", other)
	digest = md5.Sum(other)
	c.send(call{method: "GET", key: sealed, header: customerHeader(other, digest[:]), want: 403})
	digest[0]++
	c.send(call{method: "GET", key: sealed, header: customerHeader(other, digest[:]), want: 400})
}

// customerHeader are the headers of SSE-C.
func customerHeader(key, digest []byte) http.Header {
	const prefix = "X-Amz-Server-Side-Encryption-Customer-"
	encode := base64.StdEncoding.EncodeToString
	return http.Header{prefix + "Algorithm": {"AES256"}, prefix + "Key": {encode(key)}, prefix + "Key-Md5": {encode(digest)}, "X-Forwarded-Proto": {"https"}}
}

// copies are made with the attributes of the source and with their own.
func (c *canaryTest) copies() {
	from := http.Header{"X-Amz-Copy-Source": {c.source(c.last)}}
	c.send(call{method: "PUT", key: c.key(), header: from, want: 200})
	c.send(call{method: "PUT", key: c.key(), header: merged(from, c.attributes(), http.Header{"X-Amz-Metadata-Directive": {"REPLACE"}, "X-Amz-Checksum-Algorithm": {"SHA1"}}), want: 200})
}

// reads ask for things by name, which a log of requests might show.
func (c *canaryTest) reads() {
	c.send(call{method: "GET", key: c.last, query: "response-content-disposition=" + c.word(inHeader, "response-content-disposition"), want: 200})
	c.send(call{method: "GET", key: c.last, header: http.Header{"Range": {"bytes=5-70000"}}, want: 206})
	c.send(call{method: "HEAD", key: c.last, header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}, want: 200})
	c.send(call{method: "GET", key: c.last, query: "attributes=", header: http.Header{"X-Amz-Object-Attributes": {"ETag,Checksum,ObjectSize"}}, want: 200})
	c.send(call{method: "GET", bare: true, query: "list-type=2&prefix=" + c.word(inKey, "a prefix"), want: 200})
	c.send(call{method: "GET", key: c.key(), want: 404})
	c.presigned("GET", c.last, nil)
	list := []byte("<Delete><Object><Key>" + c.word(inKey, "a key to delete") + "</Key></Object></Delete>")
	sum := md5.Sum(list)
	c.send(call{method: "POST", bare: true, query: "delete=", header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}}, body: list, want: 200})
}

// refusals fail after the gateway has seen what it must not show.
func (c *canaryTest) refusals() {
	c.send(call{method: "PUT", key: c.key(), header: merged(c.attributes(), checksum("Crc32", []byte("another body"))), body: c.body("a body with another's checksum", 300_000), want: 400})
	c.send(call{method: "PUT", key: c.key(), header: c.attributes(), body: c.body("a body with another's trailer", 300_000),
		mode: sigv4.StreamingUnsignedTrailer, trailer: checksum("Sha1", []byte("another body")), want: 400})
	c.send(call{method: "PUT", key: c.last, header: merged(c.attributes(), http.Header{"If-None-Match": {"*"}}), body: c.body("a body too many", 3000), want: 412})
	c.send(call{method: "POST", bare: true, query: "delete=", body: c.body("no XML", 3000), want: 400})
	c.send(call{method: "PUT", key: c.last, query: "tagging=", body: c.body("tags", 300), want: 400})
	secret := c.secret
	c.secret = c.word(isSecret, "a wrong secret key")
	c.send(call{method: "PUT", key: c.key(), header: c.attributes(), body: c.body("a body with a wrong signature", 3000), want: 403})
	c.secret = secret
}

// halfWay calls look while half of a body has been written.
func (c *canaryTest) halfWay(look func()) {
	body := c.body("a body half way in", 8*mib)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(c.t.Context(), "PUT", c.g.s3+"/"+c.bucket+"/"+c.word(inKey, "a key half way in"), r)
	must(c.t, err)
	req.ContentLength = int64(len(body))
	must(c.t, sigv4.Sign(req, c.access, c.secret, region, "s3", sigv4.Unsigned.String(), time.Now()))
	done := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
		}
		done <- err
	}()
	_, err = w.Write(body[:len(body)/2])
	must(c.t, err)
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		if c.written(filepath.Join(c.g.dir, "blobs", "tmp")) {
			break
		}
		if time.Now().After(deadline) {
			c.t.Fatal("nothing is written of a body that is half way in")
		}
	}
	look()
	_, err = w.Write(body[len(body)/2:])
	must(c.t, err)
	must(c.t, w.Close())
	must(c.t, <-done)
}

// written reports whether a file in dir has more than zeros in its first MiB,
// for its whole length may have been reserved.
func (c *canaryTest) written(dir string) bool {
	for _, name := range treeOf(c.t, dir) {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil && len(b) > mib && bytes.Trim(b[mib-32:mib], "\x00") != nil {
			return true
		}
	}
	return false
}

// broken damages all blobs, so that reading fails and the log says why.
func (c *canaryTest) broken() {
	dir := filepath.Join(c.g.dir, "blobs", "blobs")
	was := make(map[string][]byte)
	for _, name := range treeOf(c.t, dir) {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		must(c.t, err)
		was[path] = b
		must(c.t, os.Truncate(path, int64(len(b)/2)))
	}
	c.send(call{method: "GET", key: c.last, header: http.Header{"Range": {"bytes=2000000-"}}, want: 500})
	for path, b := range was {
		must(c.t, os.WriteFile(path, b, 0o600))
	}
	c.send(call{method: "GET", key: c.last, want: 200})
	lines, err := c.g.serverErrors()
	if text := strings.Join(lines, ""); err != nil || len(lines) != 2 || strings.Count(text, `"msg":"damage"`) != 1 || strings.Count(text, `"msg":"request"`) != 1 {
		c.t.Errorf("%d lines about failures instead of one of the damage and one of the request: %v\n%s", len(lines), err, lines)
	}
}

// controls show that the search reads what it should: names are in the store and
// the bucket in the log, where they may be, and a canary of each kind is found once it lies in the
// backend.
func (c *canaryTest) controls() {
	found := make(map[kind]bool)
	for _, h := range c.search(c.t, filepath.Join(c.g.dir, "meta.db")) {
		found[h.kind] = true
	}
	if !found[inKey] || !found[inBucket] {
		c.t.Errorf("the store has names, and the search found %v", found)
	}
	if hits := c.search(c.t, c.g.log); len(hits) != 1 || hits[0].kind != inBucket {
		c.t.Errorf("the log has the bucket's name, and the search found %+v", hits)
	}
	blobs := filepath.Join(c.g.dir, "blobs")
	for _, k := range allKinds {
		i := slices.IndexFunc(c.canaries, func(x *canary) bool { return x.kind == k })
		text := append([]byte("leaked: "), c.canaries[i].value...)
		must(c.t, os.WriteFile(filepath.Join(blobs, "blobs", "planted"), text, 0o600))
		if hits := c.search(c.t, blobs); len(hits) == 0 || hits[0].canary != c.canaries[i] {
			c.t.Errorf("a planted %s: found %+v", k, hits)
		}
	}
}
