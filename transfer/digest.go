package transfer

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"

	"github.com/sanctum-storage/gateway/weakhash"
)

// algorithms are the checksums of S3 that both sides of a gateway support.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
var algorithms = map[string]func() hash.Hash{
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"CRC64NVME": func() hash.Hash { return crc64nvme.New() },
	"SHA1":      weakhash.NewSHA1,
	"SHA256":    sha256.New,
	"SHA512":    sha512.New,
	"MD5":       weakhash.NewMD5,
	"XXHASH64":  func() hash.Hash { return xxhash.New() },
	"XXHASH3":   func() hash.Hash { return xxh3.New() },
	"XXHASH128": func() hash.Hash { return xxh3.New128() },
}

// ownAlgorithm is used if the source has no checksum.
const ownAlgorithm = "CRC64NVME"

// Types of a multipart object's checksum.
const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// checksumHeader is the header with a checksum of the algorithm.
func checksumHeader(algorithm string) string { return "x-amz-checksum-" + strings.ToLower(algorithm) }

// encodedZero has the length of a checksum of the algorithm. It reserves the
// place of a trailer whose value is not known yet.
func encodedZero(algorithm string) string {
	return base64.StdEncoding.EncodeToString(make([]byte, algorithms[algorithm]().Size()))
}

// checksum is a server's statement about bytes. The zero value is none.
type checksum struct {
	algorithm string
	value     string // base64; with -N at the end, a checksum of the parts' checksums
	kind      string // FULL_OBJECT, COMPOSITE, or empty if the server does not say
}

// whole reports whether the checksum covers the bytes themselves, not the
// parts' checksums.
func (c checksum) whole() bool {
	return c.algorithm != "" && c.kind != composite && !strings.Contains(c.value, "-")
}

// shownChecksum returns the first known checksum in a header.
func shownChecksum(h http.Header) checksum {
	for _, a := range []string{"CRC64NVME", "SHA256", "CRC32C", "CRC32", "SHA1", "SHA512", "XXHASH128", "XXHASH3", "XXHASH64", "MD5"} {
		if v := h.Get(checksumHeader(a)); v != "" {
			return checksum{a, v, strings.ToUpper(h.Get("X-Amz-Checksum-Type"))}
		}
	}
	return checksum{}
}

// digests are computed while bytes pass.
type digests struct {
	md5       hash.Hash
	sha       hash.Hash // for reading back; nil: none
	sum       hash.Hash // nil: none
	algorithm string
}

// newDigests returns digests with a checksum, unless algorithm is empty, and
// with a SHA-256 if the bytes will be read back.
func newDigests(algorithm string, readBack bool) *digests {
	d := &digests{md5: weakhash.NewMD5(), algorithm: algorithm}
	if readBack {
		d.sha = sha256.New()
	}
	if algorithm != "" {
		d.sum = algorithms[algorithm]()
	}
	return d
}

// Write never fails.
func (d *digests) Write(p []byte) (int, error) {
	d.md5.Write(p)
	if d.sha != nil {
		d.sha.Write(p)
	}
	if d.sum != nil {
		d.sum.Write(p)
	}
	return len(p), nil
}

// etag is the entity tag that S3 gives to the bytes of one PUT.
func (d *digests) etag() string { return hex.EncodeToString(d.md5.Sum(nil)) }

// value is the checksum in base64; empty if there is none.
func (d *digests) value() string {
	if d.sum == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(d.sum.Sum(nil))
}

// etagOfParts is the entity tag that S3 gives to an upload, from the MD5s of
// its parts.
func etagOfParts(sums [][]byte) string {
	h := weakhash.NewMD5()
	for _, s := range sums {
		h.Write(s)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(sums))
}

var (
	md5ETag   = regexp.MustCompile(`^[0-9a-f]{32}$`)
	partsETag = regexp.MustCompile(`^[0-9a-f]{32}-([1-9][0-9]{0,4})$`)
)

// partsOf is the number of parts in an entity tag; 0 if it is not that of an
// upload.
func partsOf(etag string) int {
	m := partsETag.FindStringSubmatch(etag)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}

// foreignKey reports whether the object has an encryption whose entity tags are
// no MD5.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
func foreignKey(h http.Header) bool {
	sse := h.Get("X-Amz-Server-Side-Encryption")
	return strings.HasPrefix(sse, "aws:kms") || h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != ""
}

// held passes on exactly size bytes of r and digests them. It holds back the
// last byte until check has approved all of them: a server cannot keep an
// object whose last byte it never got.
type held struct {
	r     io.Reader
	to    io.Writer
	left  int64 // bytes not yet passed on
	check func() error
	last  [1]byte
	err   error
}

// Read implements io.Reader.
func (h *held) Read(p []byte) (int, error) {
	switch {
	case h.err != nil:
		return 0, h.err
	case len(p) == 0:
		return 0, nil
	case h.left > 1:
		n, err := h.r.Read(p[:min(int64(len(p)), h.left-1)])
		h.to.Write(p[:n])
		h.left -= int64(n)
		if err != nil {
			h.err = short(err)
		}
		if n > 0 {
			return n, nil
		}
		return 0, h.err
	}
	if h.err = h.finish(); h.err != nil {
		return 0, h.err
	}
	h.err = io.EOF
	if h.left == 0 {
		return 0, io.EOF
	}
	h.left, p[0] = 0, h.last[0]
	return 1, nil
}

// finish reads the last byte and checks everything.
func (h *held) finish() error {
	if h.left == 1 {
		if _, err := io.ReadFull(h.r, h.last[:]); err != nil {
			return short(err)
		}
		h.to.Write(h.last[:])
	}
	return h.check()
}

// short turns the early end of a body into an error.
func short(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
