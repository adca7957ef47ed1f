//go:build clients

package clienttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

func TestAWSSDKGo(t *testing.T) { onEach(t, testAWSSDKGo) }

func testAWSSDKGo(t *testing.T, g *gateway) {
	t.Parallel()
	for _, path := range []string{"service/s3", "feature/s3/transfermanager"} {
		t.Logf("client: aws-sdk-go-v2/%s %s", path, module("github.com/aws/aws-sdk-go-v2/"+path))
	}
	c := &sdkTest{bucket: bucketName(t), g: g, Client: s3.New(s3.Options{
		BaseEndpoint: aws.String(g.s3), Region: region, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})}
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &c.bucket})
	must(t, err)
	must(t, s3.NewBucketExistsWaiter(c).Wait(t.Context(), &s3.HeadBucketInput{Bucket: &c.bucket}, 10*time.Second))
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"transfers", c.transfers}, {"folders", c.folders}, {"single", c.single}, {"checksums", c.checksums}, {"unsigned", c.unsigned}, {"attributes", c.attributes},
		{"keys", c.keys}, {"conditions", c.conditions}, {"copies", c.copies}, {"renames", c.renames}, {"uploads", c.uploads}, {"presigned", c.presigned}, {"listing", c.listing}, {"removal", c.removal},
	} {
		t.Run(part.name, part.test)
	}
}

type sdkTest struct {
	*s3.Client
	g      *gateway
	bucket string
}

func (c *sdkTest) put(t *testing.T, key string, body io.Reader, options ...func(*s3.PutObjectInput)) *s3.PutObjectOutput {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: &c.bucket, Key: &key, Body: body}
	for _, option := range options {
		option(in)
	}
	out, err := c.PutObject(t.Context(), in)
	must(t, err)
	return out
}

// same demands that the object is the file, its checksum verified by the SDK.
func (c *sdkTest) same(t *testing.T, key, path string) *s3.GetObjectOutput {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	must(t, err)
	defer out.Body.Close()
	sameContent(t, out.Body, path)
	return out
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// transfers go through the transfer manager, which uploads in parts of 8 MiB and
// downloads by part numbers or by ranges, many at a time. Its GetObject is left
// out: version 0.4.1's reader can wait for itself when it is read in small pieces.
func (c *sdkTest) transfers(t *testing.T) {
	m := transfermanager.New(c.Client)
	for _, size := range append(slices.Clone(allSizes), 64*mib, 200*mib) {
		key, path := fmt.Sprintf("transfers/%d", size), corpus(t, size)
		_, err := m.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: &c.bucket, Key: &key, Body: open(t, path)})
		must(t, err)
		for _, kind := range []tmtypes.GetObjectType{tmtypes.GetObjectParts, tmtypes.GetObjectRanges} {
			back := filepath.Join(t.TempDir(), "back")
			f, err := os.Create(back)
			must(t, err)
			_, err = m.DownloadObject(t.Context(), &transfermanager.DownloadObjectInput{Bucket: &c.bucket, Key: &key, WriterAt: f},
				func(o *transfermanager.Options) { o.GetObjectType = kind })
			if err != nil {
				t.Fatalf("%s by %s: %v", key, kind, err)
			}
			must(t, f.Close())
			sameFile(t, back, path)
			must(t, os.Remove(back))
		}
		c.same(t, key, path)
	}
	// A stream without a length.
	key := "transfers/stream"
	_, err := m.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: &c.bucket, Key: &key, Body: io.LimitReader(content(17*mib, 0), 17*mib)},
		func(o *transfermanager.Options) { o.PartSizeBytes = 5 * mib })
	must(t, err)
	c.same(t, key, corpus(t, 17*mib))
	noUploads(t, c.g, c.bucket)
}

func (c *sdkTest) folders(t *testing.T) {
	m := transfermanager.New(c.Client)
	dir, back := mixedTree(t, allSizes...), t.TempDir()
	_, err := m.UploadDirectory(t.Context(), &transfermanager.UploadDirectoryInput{Bucket: &c.bucket, Source: &dir, Recursive: aws.Bool(true), KeyPrefix: aws.String("folder")})
	must(t, err)
	storedTree(t, c.g, c.bucket, "folder/", dir)
	_, err = m.DownloadDirectory(t.Context(), &transfermanager.DownloadDirectoryInput{Bucket: &c.bucket, Destination: &back, KeyPrefix: aws.String("folder/")})
	must(t, err)
	sameTree(t, back, dir)
}

func (c *sdkTest) single(t *testing.T) {
	for _, size := range allSizes {
		key := fmt.Sprintf("single/%d", size)
		c.put(t, key, open(t, corpus(t, size)))
		if out := c.same(t, key, corpus(t, size)); *out.ContentLength != size {
			t.Errorf("%s: length %d", key, *out.ContentLength)
		}
	}
	body := random(17*mib, 0, 17*mib)
	for asked, want := range map[string][]byte{
		"bytes=0-0": body[:1], "bytes=65535-65536": body[65535:65537], "bytes=-77": body[17*mib-77:], "bytes=17825000-": body[17825000:],
	} {
		out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: aws.String(fmt.Sprintf("single/%d", 17*mib)), Range: &asked})
		must(t, err)
		if at, err := differ(out.Body, bytes.NewReader(want)); err != nil || at >= 0 {
			t.Errorf("%s: differs at %d: %v", asked, at, err)
		}
		out.Body.Close()
	}
	_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: aws.String("single/1"), Range: aws.String("bytes=1-")})
	wantSDKCode(t, err, "InvalidRange")
}

func (c *sdkTest) checksums(t *testing.T) {
	for _, algorithm := range []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
		key := "checksums/" + string(algorithm)
		put := c.put(t, key, open(t, corpus(t, 65537)), func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = algorithm })
		get := c.same(t, key, corpus(t, 65537))
		sums := func(values ...*string) string {
			var b strings.Builder
			for _, v := range values {
				b.WriteString(aws.ToString(v))
			}
			return b.String()
		}
		sent := sums(put.ChecksumCRC32, put.ChecksumCRC32C, put.ChecksumCRC64NVME, put.ChecksumSHA1, put.ChecksumSHA256)
		if got := sums(get.ChecksumCRC32, get.ChecksumCRC32C, get.ChecksumCRC64NVME, get.ChecksumSHA1, get.ChecksumSHA256); got == "" || got != sent {
			t.Errorf("%s: %q was stored and %q comes back", key, sent, got)
		}
		// In parts, through the transfer manager.
		key += "-parts"
		_, err := transfermanager.New(c.Client).UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: &c.bucket, Key: &key,
			Body: open(t, corpus(t, 17*mib)), ChecksumAlgorithm: tmtypes.ChecksumAlgorithm(algorithm)})
		must(t, err)
		c.same(t, key, corpus(t, 17*mib))
		attributes, err := c.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{Bucket: &c.bucket, Key: &key,
			ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesChecksum, types.ObjectAttributesObjectParts, types.ObjectAttributesObjectSize}})
		must(t, err)
		if attributes.Checksum == nil || *attributes.ObjectSize != 17*mib || *attributes.ObjectParts.TotalPartsCount != 3 {
			t.Errorf("%s: attributes %+v", key, attributes)
		}
	}
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String("checksums/wrong"), Body: strings.NewReader("body"), ChecksumCRC32: aws.String("AAAAAA==")})
	wantSDKCode(t, err, "BadDigest")
}

// unsigned sends a stream whose digest nobody knows beforehand.
func (c *sdkTest) unsigned(t *testing.T) {
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String("unsigned"), Body: io.LimitReader(content(17*mib, 0), 17*mib), ContentLength: aws.Int64(17 * mib)},
		s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware), func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	must(t, err)
	c.same(t, "unsigned", corpus(t, 17*mib))
}

func (c *sdkTest) attributes(t *testing.T) {
	expires := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	user := map[string]string{"colour": "blue", "spaced": "a b", "quoted": `"x"; y=z, ok`}
	c.put(t, "attributes", open(t, corpus(t, 65537)), func(in *s3.PutObjectInput) {
		in.Metadata, in.ContentType, in.ContentEncoding, in.ContentLanguage = user, aws.String("text/x-test; charset=utf-8"), aws.String("zstd"), aws.String("de, en")
		in.ContentDisposition, in.CacheControl, in.Expires = aws.String(`attachment; filename="a b.txt"`), aws.String("no-cache"), &expires
	})
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &c.bucket, Key: aws.String("attributes")})
	must(t, err)
	got := []string{*head.ContentType, *head.ContentEncoding, *head.ContentLanguage, *head.ContentDisposition, *head.CacheControl, aws.ToString(head.ExpiresString)}
	want := []string{"text/x-test; charset=utf-8", "zstd", "de, en", `attachment; filename="a b.txt"`, "no-cache", expires.Format(http.TimeFormat)}
	if !slices.Equal(got, want) || !maps.Equal(head.Metadata, user) || *head.ContentLength != 65537 || time.Since(*head.LastModified).Abs() > time.Hour {
		t.Errorf("%q, %q, %d bytes of %s", got, head.Metadata, *head.ContentLength, head.LastModified)
	}
	get, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: aws.String("attributes"), ResponseContentType: aws.String("x/y"), ResponseCacheControl: aws.String("private")})
	must(t, err)
	must(t, get.Body.Close())
	if *get.ContentType != "x/y" || *get.CacheControl != "private" {
		t.Errorf("asked for others: %s, %s", *get.ContentType, *get.CacheControl)
	}
}

func (c *sdkTest) keys(t *testing.T) {
	keys := slices.Concat(oddKeys, dotKeys)
	for _, key := range keys {
		path := writeFile(t, filepath.Join(t.TempDir(), "key"), key)
		c.put(t, key, strings.NewReader(key))
		c.same(t, key, path)
		stored(t, c.g, c.bucket, key, path)
	}
	listed := c.list(t, &s3.ListObjectsV2Input{Bucket: &c.bucket, MaxKeys: aws.Int32(7)})
	for _, key := range keys {
		if !slices.Contains(listed, key) {
			t.Errorf("%q is not listed", key)
		}
		_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &c.bucket, Key: &key})
		must(t, err)
	}
}

// list is all pages of a listing, prefixes first in each.
func (c *sdkTest) list(t *testing.T, in *s3.ListObjectsV2Input) (names []string) {
	t.Helper()
	for pages := s3.NewListObjectsV2Paginator(c, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, p := range page.CommonPrefixes {
			names = append(names, *p.Prefix)
		}
		for _, o := range page.Contents {
			names = append(names, *o.Key)
		}
	}
	return names
}

func (c *sdkTest) conditions(t *testing.T) {
	put := func(condition func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
		in := &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String("conditions"), Body: strings.NewReader("x")}
		condition(in)
		return c.PutObject(t.Context(), in)
	}
	absent := func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
	first, err := put(absent)
	must(t, err)
	_, err = put(absent)
	wantSDKCode(t, err, "PreconditionFailed")
	_, err = put(func(in *s3.PutObjectInput) { in.IfMatch = first.ETag })
	must(t, err)
	_, err = put(func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"00000000000000000000000000000000"`) })
	wantSDKCode(t, err, "PreconditionFailed")
	_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: aws.String("conditions"), IfNoneMatch: first.ETag})
	wantSDKCode(t, err, "NotModified")
	_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &c.bucket, Key: aws.String("conditions"), IfMatch: aws.String(`"0"`)})
	wantSDKCode(t, err, "PreconditionFailed")
}

func (c *sdkTest) copies(t *testing.T) {
	source, large := c.bucket+"/attributes", fmt.Sprintf("%s/single/%d", c.bucket, 17*mib)
	_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &c.bucket, Key: aws.String("copy/small"), CopySource: &source})
	must(t, err)
	if out := c.same(t, "copy/small", corpus(t, 65537)); out.Metadata["colour"] != "blue" {
		t.Errorf("metadata of the copy: %q", out.Metadata)
	}
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &c.bucket, Key: aws.String("copy/small"), CopySource: aws.String(c.bucket + "/copy/small"),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"new": "1"}})
	must(t, err)
	if out := c.same(t, "copy/small", corpus(t, 65537)); out.Metadata["new"] != "1" || len(out.Metadata) != 1 {
		t.Errorf("metadata after a copy onto itself: %q", out.Metadata)
	}
	key := aws.String("copy/parts")
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &c.bucket, Key: key})
	must(t, err)
	var parts []types.CompletedPart
	for i, asked := range []string{"bytes=0-6291456", "bytes=6291457-17825791"} {
		out, err := c.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: &c.bucket, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(int32(i + 1)), CopySource: &large, CopySourceRange: &asked})
		must(t, err)
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.CopyPartResult.ETag})
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &c.bucket, Key: key, UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	must(t, err)
	c.same(t, "copy/parts", corpus(t, 17*mib))
}

// renames carry a token that the SDK makes, unless it is given one.
func (c *sdkTest) renames(t *testing.T) {
	source := "rename/ünïcode + 50%"
	in := &s3.RenameObjectInput{Bucket: &c.bucket, Key: aws.String("rename/to"), RenameSource: aws.String(c.bucket + "/" + url.PathEscape(source)),
		ClientToken: aws.String(c.bucket), DestinationIfNoneMatch: aws.String("*")}
	tag := c.put(t, source, open(t, corpus(t, 17*mib)), func(p *s3.PutObjectInput) { p.Metadata = map[string]string{"colour": "blue"} }).ETag
	was, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &c.bucket, Key: &source})
	must(t, err)
	for range 2 { // the second is the first, sent again
		_, err := c.RenameObject(t.Context(), in)
		must(t, err)
	}
	if is := c.same(t, "rename/to", corpus(t, 17*mib)); is.Metadata["colour"] != "blue" || *is.ETag != *tag || !is.LastModified.Equal(*was.LastModified) {
		t.Errorf("renamed: %+v", is)
	}
	_, err = c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &c.bucket, Key: &source})
	wantSDKCode(t, err, "NotFound")
	c.put(t, source, strings.NewReader("other"))
	in.DestinationIfNoneMatch = nil
	_, err = c.RenameObject(t.Context(), in)
	var mismatch *types.IdempotencyParameterMismatch
	if !errors.As(err, &mismatch) {
		t.Errorf("another request with the same token: %v", err)
	}
	in.ClientToken, in.DestinationIfNoneMatch = nil, aws.String("*")
	_, err = c.RenameObject(t.Context(), in)
	wantSDKCode(t, err, "PreconditionFailed")
	in.DestinationIfNoneMatch, in.DestinationIfMatch, in.SourceIfUnmodifiedSince = nil, tag, aws.Time(time.Now().Add(time.Hour))
	_, err = c.RenameObject(t.Context(), in)
	must(t, err)
	if out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: in.Key}); err != nil || *out.ContentLength != 5 {
		t.Errorf("renamed over it: %v", err)
	}
}

func (c *sdkTest) uploads(t *testing.T) {
	key := aws.String("upload")
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &c.bucket, Key: key})
	must(t, err)
	part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &c.bucket, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(3), Body: strings.NewReader("short")})
	must(t, err)
	list, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &c.bucket, Key: key, UploadId: upload.UploadId})
	must(t, err)
	if len(list.Parts) != 1 || *list.Parts[0].Size != 5 || *list.Parts[0].ETag != *part.ETag {
		t.Errorf("parts %+v", list.Parts)
	}
	uploads, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &c.bucket})
	must(t, err)
	if len(uploads.Uploads) != 1 || *uploads.Uploads[0].UploadId != *upload.UploadId {
		t.Errorf("uploads %+v", uploads.Uploads)
	}
	_, err = c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: key, UploadId: upload.UploadId})
	must(t, err)
	_, err = c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &c.bucket, Key: key, UploadId: upload.UploadId})
	wantSDKCode(t, err, "NoSuchUpload")
}

func (c *sdkTest) presigned(t *testing.T) {
	signer := s3.NewPresignClient(c.Client)
	key := aws.String("pre signed+/ü")
	body := random(65537, 0, 65537)
	put, err := signer.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &c.bucket, Key: key})
	must(t, err)
	fetch(t, put.Method, put.URL, body, http.StatusOK)
	get, err := signer.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: key}, s3.WithPresignExpires(time.Minute))
	must(t, err)
	if _, got := fetch(t, get.Method, get.URL, nil, http.StatusOK); !bytes.Equal(got, body) {
		t.Errorf("%d other bytes", len(got))
	}
	fetch(t, get.Method, strings.Replace(get.URL, "X-Amz-Expires=60", "X-Amz-Expires=61", 1), nil, http.StatusForbidden)
}

func (c *sdkTest) listing(t *testing.T) {
	want := populate(t, c.g, c.bucket, "many/%04d/x", 1050)
	if got := c.list(t, &s3.ListObjectsV2Input{Bucket: &c.bucket, Prefix: aws.String("many/")}); !slices.Equal(got, want) {
		t.Errorf("%d keys instead of %d", len(got), len(want))
	}
	if got := c.list(t, &s3.ListObjectsV2Input{Bucket: &c.bucket, Prefix: aws.String("many/"), StartAfter: &want[700]}); !slices.Equal(got, want[701:]) {
		t.Errorf("%d keys after one", len(got))
	}
	for i := range want {
		want[i] = strings.TrimSuffix(want[i], "x")
	}
	if got := c.list(t, &s3.ListObjectsV2Input{Bucket: &c.bucket, Prefix: aws.String("many/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(100)}); !slices.Equal(got, want) {
		t.Errorf("%d prefixes instead of %d", len(got), len(want))
	}
	buckets, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{Prefix: &c.bucket})
	must(t, err)
	if len(buckets.Buckets) != 1 || *buckets.Buckets[0].Name != c.bucket {
		t.Errorf("buckets %+v", buckets.Buckets)
	}
}

func (c *sdkTest) removal(t *testing.T) {
	ctx := t.Context()
	_, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &c.bucket})
	wantSDKCode(t, err, "BucketNotEmpty")
	for keys := range slices.Chunk(c.list(t, &s3.ListObjectsV2Input{Bucket: &c.bucket}), 1000) {
		var ids []types.ObjectIdentifier
		for _, key := range keys {
			ids = append(ids, types.ObjectIdentifier{Key: &key})
		}
		out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &c.bucket, Delete: &types.Delete{Objects: ids}})
		must(t, err)
		if len(out.Deleted) != len(keys) || len(out.Errors) > 0 {
			t.Errorf("%d of %d deleted, %d errors", len(out.Deleted), len(keys), len(out.Errors))
		}
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: aws.String("attributes")})
	if missing := (*types.NoSuchKey)(nil); !errors.As(err, &missing) {
		t.Errorf("no NoSuchKey: %v", err)
	}
	_, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &c.bucket})
	must(t, err)
	_, err = c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &c.bucket})
	wantSDKCode(t, err, "NoSuchBucket")
}

func wantSDKCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("no %s: %v", code, err)
	}
}
