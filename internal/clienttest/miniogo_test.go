package clienttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// oddKeys are keys that clients and servers have got wrong. Each is one object.
var oddKeys = []string{
	"with space", " leading and trailing ", "ünïcode/日本語/🗝", "plus+and%percent%25", "a&b=c?d#e", "double//slash",
	"trailing/", "%2F", "semi;colon,comma:at@bang!$'()*~", "quote\"<xml>&amp;", "back\\slash", "~/.hidden", "e\u0301 and \u00e9",
}

// dotKeys are further keys, which some HTTP libraries take for paths and change.
var dotKeys = []string{"dots/../in/./between", "a/b/../..", "./a", "a/.."}

// newMinio is a client that tries everything once.
func newMinio(t *testing.T, g *gateway) *minio.Core {
	t.Helper()
	c, err := minio.NewCore(strings.TrimPrefix(g.s3, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: region, MaxRetries: 1, TrailingHeaders: true,
	})
	must(t, err)
	return c
}

// populate stores small objects under n keys made from format, many at a time,
// and returns the keys in the order of their bytes. Content is the key.
func populate(t *testing.T, g *gateway, bucket, format string, n int) []string {
	t.Helper()
	c := newMinio(t, g)
	var wg sync.WaitGroup
	keys := make([]string, n)
	errs := make([]error, n)
	slots := make(chan struct{}, 16)
	for i := range keys {
		keys[i] = fmt.Sprintf(format, i)
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_, errs[i] = c.Client.PutObject(t.Context(), bucket, keys[i], strings.NewReader(keys[i]), int64(len(keys[i])), minio.PutObjectOptions{})
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s: %v", keys[i], err)
		}
	}
	slices.Sort(keys)
	return keys
}

// module is the version of a Go module that the tests are built with, by
// go.mod: binaries of tests do not say.
func module(path string) string {
	root, err := servers.Repository()
	if err != nil {
		return err.Error()
	}
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(words) > 1 && words[0] == path {
			return words[1]
		}
	}
	return "not in go.mod"
}

func TestMinioGo(t *testing.T) { onEach(t, testMinioGo) }

func testMinioGo(t *testing.T, g *gateway) {
	t.Parallel()
	t.Logf("client: minio-go %s", module("github.com/minio/minio-go/v7"))
	m := &minioTest{Core: newMinio(t, g), g: g, bucket: bucketName(t)}
	must(t, m.MakeBucket(t.Context(), m.bucket, minio.MakeBucketOptions{}))
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"sizes", m.sizes}, {"ranges", m.ranges}, {"attributes", m.attributes}, {"keys", m.keys}, {"listing", m.listing},
		{"copy", m.copy}, {"presigned", m.presigned}, {"multipart", m.multipart}, {"checksums", m.checksums},
		{"conditions", m.conditions}, {"versions", m.versions}, {"removal", m.removal},
	} {
		t.Run(part.name, part.test)
	}
}

type minioTest struct {
	*minio.Core
	g      *gateway
	bucket string
}

func (m *minioTest) put(t *testing.T, key, path string, o minio.PutObjectOptions) minio.UploadInfo {
	t.Helper()
	info, err := m.FPutObject(t.Context(), m.bucket, key, path, o)
	must(t, err)
	return info
}

// same demands that the object is the file, as read through the client.
func (m *minioTest) same(t *testing.T, key, path string, o minio.GetObjectOptions) minio.ObjectInfo {
	t.Helper()
	r, info, _, err := m.Core.GetObject(t.Context(), m.bucket, key, o)
	must(t, err)
	defer r.Close()
	sameContent(t, r, path)
	return info
}

func (m *minioTest) sizes(t *testing.T) {
	for _, size := range append(slices.Clone(allSizes), 64*mib, 200*mib) {
		path := corpus(t, size)
		key := fmt.Sprintf("sizes/%d", size)
		m.put(t, key, path, minio.PutObjectOptions{})
		if info := m.same(t, key, path, minio.GetObjectOptions{}); info.Size != size {
			t.Fatalf("size %d instead of %d", info.Size, size)
		}
	}
	// The same key again, shorter, and with a body that is signed in one piece.
	m.put(t, "sizes/65537", corpus(t, 1), minio.PutObjectOptions{DisableContentSha256: true})
	m.same(t, "sizes/65537", corpus(t, 1), minio.GetObjectOptions{})
	r, w := io.Pipe()
	go func() {
		_, err := io.CopyN(w, content(17*mib, 0), 17*mib)
		w.CloseWithError(err)
	}()
	_, err := m.Client.PutObject(t.Context(), m.bucket, "sizes/stream", r, -1, minio.PutObjectOptions{PartSize: 5 * mib, ConcurrentStreamParts: true, NumThreads: 3})
	must(t, err)
	m.same(t, "sizes/stream", corpus(t, 17*mib), minio.GetObjectOptions{})
}

func (m *minioTest) ranges(t *testing.T) {
	const size = 17 * mib
	want := random(size, 0, size)
	for _, key := range []string{"single", "parts"} {
		m.put(t, key, corpus(t, size), minio.PutObjectOptions{DisableMultipart: key == "single", PartSize: 5 * mib})
		for _, r := range [][2]int64{{0, 0}, {65535, 65536}, {65536, 65536}, {size - 1, size - 1}, {5*mib - 1, 5 * mib}, {10*mib - 70000, 10*mib + 70000}, {size - 100, size + 100}} {
			var o minio.GetObjectOptions
			must(t, o.SetRange(r[0], r[1]))
			m.sameBytes(t, key, want[r[0]:min(r[1]+1, size)], o)
		}
		var o minio.GetObjectOptions
		must(t, o.SetRange(0, -77777))
		m.sameBytes(t, key, want[size-77777:], o)
		must(t, o.SetRange(size-3, 0))
		m.sameBytes(t, key, want[size-3:], o)
		must(t, o.SetRange(size, 0))
		_, _, _, err := m.Core.GetObject(t.Context(), m.bucket, key, o)
		wantCode(t, err, "InvalidRange")
	}
	m.sameBytes(t, "parts", want[5*mib:10*mib], minio.GetObjectOptions{PartNumber: 2})
}

func (m *minioTest) sameBytes(t *testing.T, key string, want []byte, o minio.GetObjectOptions) {
	t.Helper()
	r, _, _, err := m.Core.GetObject(t.Context(), m.bucket, key, o)
	must(t, err)
	defer r.Close()
	if at, err := differ(r, bytes.NewReader(want)); err != nil || at >= 0 {
		t.Fatalf("%s: differs at %d of %d: %v", key, at, len(want), err)
	}
}

func (m *minioTest) attributes(t *testing.T) {
	expires := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	user := map[string]string{"Colour": "blue", "Spaced": "a  b", "Quoted": "\"x\"; y=z, ok"}
	m.put(t, "attributes", corpus(t, 4*kib), minio.PutObjectOptions{UserMetadata: maps.Clone(user), ContentType: "text/x-test; charset=utf-8",
		ContentEncoding: "zstd", ContentLanguage: "de, en", ContentDisposition: `attachment; filename="a b.txt"`, CacheControl: "no-cache", Expires: expires})
	info, err := m.StatObject(t.Context(), m.bucket, "attributes", minio.StatObjectOptions{})
	must(t, err)
	for name, want := range map[string]string{"Content-Type": "text/x-test; charset=utf-8", "Content-Encoding": "zstd", "Content-Language": "de, en",
		"Content-Disposition": `attachment; filename="a b.txt"`, "Cache-Control": "no-cache"} {
		if got := info.Metadata.Get(name); got != want && (name != "Content-Type" || info.ContentType != want) {
			t.Errorf("%s: %q instead of %q", name, got, want)
		}
	}
	if !info.Expires.Equal(expires) {
		t.Errorf("Expires: %s instead of %s", info.Expires, expires)
	}
	if !maps.Equal(info.UserMetadata, user) {
		t.Errorf("metadata %q instead of %q", info.UserMetadata, user)
	}
}

func (m *minioTest) keys(t *testing.T) {
	keys := slices.Concat(oddKeys, dotKeys)
	for _, key := range keys {
		_, err := m.Client.PutObject(t.Context(), m.bucket, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{})
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
	}
	for _, key := range keys {
		m.sameBytes(t, key, []byte(key), minio.GetObjectOptions{})
	}
	listed := m.list(t, "", true)
	for _, key := range keys {
		if !slices.Contains(listed, key) {
			t.Errorf("%q is not listed", key)
		}
		must(t, m.RemoveObject(t.Context(), m.bucket, key, minio.RemoveObjectOptions{}))
	}
	if left := m.list(t, "", true); len(left) != len(listed)-len(keys) {
		t.Errorf("after removal: %q", left)
	}
}

func (m *minioTest) list(t *testing.T, prefix string, recursive bool) (keys []string) {
	t.Helper()
	for o := range m.Client.ListObjects(t.Context(), m.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: recursive}) {
		must(t, o.Err)
		keys = append(keys, o.Key)
	}
	return keys
}

func (m *minioTest) listing(t *testing.T) {
	want := populate(t, m.g, m.bucket, "listing/folder-%[1]d/file", 1100)
	if got := m.list(t, "listing/", true); !slices.Equal(got, want) {
		t.Errorf("%d keys instead of %d", len(got), len(want))
	}
	for i := range want {
		want[i] = strings.TrimSuffix(want[i], "file")
	}
	slices.Sort(want)
	if got := m.list(t, "listing/", false); !slices.Equal(got, want) {
		t.Errorf("%d prefixes instead of %d", len(got), len(want))
	}
	if got := m.list(t, "listing/folder-1099/", false); len(got) != 1 {
		t.Errorf("%q", got)
	}
	var got []string
	for marker := ""; ; {
		page, err := m.Core.ListObjects(m.bucket, "listing/", marker, "/", 333)
		must(t, err)
		for _, p := range page.CommonPrefixes {
			got = append(got, p.Prefix)
		}
		if marker = page.NextMarker; !page.IsTruncated {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("version 1 with pages of 333: %d prefixes instead of %d", len(got), len(want))
	}
}

func (m *minioTest) copy(t *testing.T) {
	path := corpus(t, 17*mib)
	m.put(t, "copy/source a+b", path, minio.PutObjectOptions{UserMetadata: map[string]string{"Keep": "yes"}, ContentType: "image/x-test"})
	src := minio.CopySrcOptions{Bucket: m.bucket, Object: "copy/source a+b"}
	_, err := m.Client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: m.bucket, Object: "copy/whole"}, src)
	must(t, err)
	if info := m.same(t, "copy/whole", path, minio.GetObjectOptions{}); info.ContentType != "image/x-test" || info.UserMetadata["Keep"] != "yes" {
		t.Errorf("attributes of the copy: %+v", info)
	}
	_, err = m.Client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: m.bucket, Object: "copy/source a+b", ReplaceMetadata: true, UserMetadata: map[string]string{"New": "1"}}, src)
	must(t, err)
	if info := m.same(t, "copy/source a+b", path, minio.GetObjectOptions{}); info.UserMetadata["New"] != "1" || info.UserMetadata["Keep"] != "" {
		t.Errorf("attributes after a copy onto itself: %+v", info)
	}
	part := func(from, to int64) minio.CopySrcOptions {
		s := src
		s.MatchRange, s.Start, s.End = true, from, to-1
		return s
	}
	_, err = m.ComposeObject(t.Context(), minio.CopyDestOptions{Bucket: m.bucket, Object: "copy/composed"}, part(0, 6*mib+1), part(6*mib+1, 12*mib), part(12*mib, 17*mib))
	must(t, err)
	m.same(t, "copy/composed", path, minio.GetObjectOptions{})
	must(t, m.RemoveObject(t.Context(), m.bucket, "copy/source a+b", minio.RemoveObjectOptions{}))
	m.same(t, "copy/composed", path, minio.GetObjectOptions{})
}

func (m *minioTest) presigned(t *testing.T) {
	path := corpus(t, 65537)
	put, err := m.PresignedPutObject(t.Context(), m.bucket, "pre signed+/ü", time.Hour)
	must(t, err)
	body, err := os.ReadFile(path)
	must(t, err)
	fetch(t, http.MethodPut, put.String(), body, http.StatusOK)
	get, err := m.PresignedGetObject(t.Context(), m.bucket, "pre signed+/ü", time.Hour, map[string][]string{"response-content-type": {"application/x-asked"}})
	must(t, err)
	resp, got := fetch(t, http.MethodGet, get.String(), nil, http.StatusOK)
	if !bytes.Equal(got, body) || resp.Header.Get("Content-Type") != "application/x-asked" {
		t.Errorf("%d bytes as %s", len(got), resp.Header.Get("Content-Type"))
	}
	fetch(t, http.MethodGet, strings.Replace(get.String(), "X-Amz-Expires=3600", "X-Amz-Expires=7200", 1), nil, http.StatusForbidden)
}

// fetch makes one plain HTTP request.
func fetch(t *testing.T, method, url string, body []byte, status int) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != status {
		t.Fatalf("%s: status %d instead of %d\n%s", method, resp.StatusCode, status, last(string(got)))
	}
	return resp, got
}

func (m *minioTest) multipart(t *testing.T) {
	ctx := t.Context()
	id, err := m.NewMultipartUpload(ctx, m.bucket, "upload/aborted", minio.PutObjectOptions{})
	must(t, err)
	for n, size := range []int64{5 * mib, 65537} {
		_, err := m.PutObjectPart(ctx, m.bucket, "upload/aborted", id, n+1, bytes.NewReader(random(1, n, size)), size, minio.PutObjectPartOptions{})
		must(t, err)
	}
	parts, err := m.ListObjectParts(ctx, m.bucket, "upload/aborted", id, 0, 100)
	must(t, err)
	if len(parts.ObjectParts) != 2 || parts.ObjectParts[1].Size != 65537 {
		t.Errorf("parts %+v", parts.ObjectParts)
	}
	uploads, err := m.ListMultipartUploads(ctx, m.bucket, "upload/", "", "", "", 100)
	must(t, err)
	if len(uploads.Uploads) != 1 || uploads.Uploads[0].UploadID != id {
		t.Errorf("uploads %+v", uploads.Uploads)
	}
	must(t, m.AbortMultipartUpload(ctx, m.bucket, "upload/aborted", id))
	_, err = m.ListObjectParts(ctx, m.bucket, "upload/aborted", id, 0, 100)
	wantCode(t, err, "NoSuchUpload")
	_, err = m.StatObject(ctx, m.bucket, "upload/aborted", minio.StatObjectOptions{})
	wantCode(t, err, "NoSuchKey")
}

func (m *minioTest) checksums(t *testing.T) {
	for _, kind := range []minio.ChecksumType{minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumCRC64NVME, minio.ChecksumSHA1, minio.ChecksumSHA256} {
		for _, size := range []int64{65537, 17 * mib} {
			key, path := fmt.Sprintf("checksums/%s-%d", kind, size), corpus(t, size)
			m.put(t, key, path, minio.PutObjectOptions{Checksum: kind, PartSize: 5 * mib})
			info := m.same(t, key, path, minio.GetObjectOptions{Checksum: true})
			got := info.ChecksumCRC32 + info.ChecksumCRC32C + info.ChecksumCRC64NVME + info.ChecksumSHA1 + info.ChecksumSHA256
			if got == "" {
				t.Errorf("%s: no checksum comes back", key)
			}
			if kind == minio.ChecksumSHA256 && size == 65537 {
				sum := sha256.Sum256(random(uint64(size), 0, size))
				if want := base64.StdEncoding.EncodeToString(sum[:]); got != want {
					t.Errorf("%s: %s instead of %s", key, got, want)
				}
			}
		}
	}
	m.put(t, "checksums/md5", corpus(t, 65537), minio.PutObjectOptions{SendContentMd5: true})
	m.same(t, "checksums/md5", corpus(t, 65537), minio.GetObjectOptions{})
}

func (m *minioTest) conditions(t *testing.T) {
	put := func(prepare func(*minio.PutObjectOptions)) (minio.UploadInfo, error) {
		o := minio.PutObjectOptions{}
		prepare(&o)
		return m.FPutObject(t.Context(), m.bucket, "conditions", corpus(t, 1), o)
	}
	absent := func(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") }
	first, err := put(absent)
	must(t, err)
	_, err = put(absent)
	wantCode(t, err, "PreconditionFailed")
	_, err = put(func(o *minio.PutObjectOptions) { o.SetMatchETag(first.ETag) })
	must(t, err)
	_, err = put(func(o *minio.PutObjectOptions) { o.SetMatchETag(strings.Repeat("0", 32)) })
	wantCode(t, err, "PreconditionFailed")
	var o minio.GetObjectOptions
	must(t, o.SetMatchETagExcept(first.ETag))
	_, _, _, err = m.Core.GetObject(t.Context(), m.bucket, "conditions", o)
	if minio.ToErrorResponse(err).StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match with the ETag: %v", err)
	}
}

func (m *minioTest) removal(t *testing.T) {
	wantCode(t, m.RemoveBucket(t.Context(), m.bucket), "BucketNotEmpty")
	objects := m.Client.ListObjects(t.Context(), m.bucket, minio.ListObjectsOptions{Recursive: true})
	for failure := range m.RemoveObjects(t.Context(), m.bucket, objects, minio.RemoveObjectsOptions{}) {
		t.Errorf("%q: %v", failure.ObjectName, failure.Err)
	}
	must(t, m.RemoveBucket(t.Context(), m.bucket))
	if there, err := m.BucketExists(t.Context(), m.bucket); err != nil || there {
		t.Errorf("the bucket is there: %t, %v", there, err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := minio.ToErrorResponse(err).Code; err == nil || got != code {
		t.Errorf("code %q instead of %q: %v", got, code, err)
	}
}
