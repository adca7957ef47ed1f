package encrypt

import (
	"encoding/base64"
	"fmt"
)

// Bounds of manifests and part records. They are wider than S3's limits, and bound
// the cost of a record.
const (
	MaxObjectSize = 1 << 56 // bytes, of an object, blob or part
	MaxManifest   = 8 << 20 // bytes of an encoded manifest or part record
	MaxInline     = 1 << 20 // bytes of a body inside the manifest
	MaxExtents    = 10_000
	MaxPartNumber = 10_000 // https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	MaxPairs      = 4096   // metadata entries, and tags
	maxText       = 64 << 10
)

// Manifest describes one version: the places of its bytes, the keys that open them,
// and the client's metadata. With PurposeUpload it holds the initial settings of a
// multipart upload, and no body.
type Manifest struct {
	Size     int64
	ETag     string // without quotes
	Checksum *Checksum

	Attributes
	Tags []Pair

	// At most one of these holds the body; none if Size is 0.
	Inline  []byte
	Extents []Extent
	Parts   *Parts

	// Marks are those of the future object, in the caller's encoding. Only settings
	// of an upload have them.
	Marks []byte
}

// Format hides the manifest, which has keys and users' data, from every fmt verb.
func (Manifest) Format(f fmt.State, _ rune) { redact(f, "Manifest") }

// Attributes are the fields that a client sends with an object and gets back unchanged.
type Attributes struct {
	ContentType        string
	ContentEncoding    string // without aws-chunked
	ContentLanguage    string
	ContentDisposition string
	CacheControl       string
	Expires            string // as sent: S3 does not parse it
	WebsiteRedirect    string
	StorageClass       string // empty: STANDARD
	Metadata           []Pair // x-amz-meta-*, in the given order; names are lowercase and have no prefix
}

// Pair is a user metadata entry or a tag. Its name is not empty.
type Pair struct{ Name, Value string }

// Extent is a run of plaintext held in one blob, with the key to open it.
type Extent struct {
	Blob     [20]byte
	Key      DataKey
	Seal     BlobSeal
	BlobSize int64 // plaintext bytes of the whole blob, which determine its last segment
	Offset   int64 // the beginning of the run in the blob's plaintext
	Length   int64
}

// Checksum is a checksum of the plaintext that S3 clients can request.
type Checksum struct {
	Algorithm string // a key of checksumSize
	Type      string // FullObject, Composite, or empty if there is no choice
	Value     []byte // raw, not base64; empty in the settings of an upload
	Parts     int    // of a composite: its number of parts
}

// Checksum types: over the object's bytes, or over its parts' checksums.
const (
	FullObject = "FULL_OBJECT"
	Composite  = "COMPOSITE"
)

// String returns the value as headers show it: base64, followed by -N for a composite of N
// parts.
func (c *Checksum) String() string {
	s := base64.StdEncoding.EncodeToString(c.Value)
	if c.Type == Composite && c.Parts > 0 {
		s = fmt.Sprintf("%s-%d", s, c.Parts)
	}
	return s
}

// PartRecord describes one attempt at one part. It is sealed with the parts key and
// bound to a PartName.
type PartRecord struct {
	Size     int64
	MD5      [16]byte
	Checksum *Checksum
	Extents  []Extent
}

// Format hides the record from every fmt verb.
func (PartRecord) Format(f fmt.State, _ rune) { redact(f, "PartRecord") }

// PartName is the binding of a part record. Upload and Bucket are those of the
// original upload, even if a copied object refers to the part later.
type PartName struct {
	Deployment Deployment
	Bucket     [16]byte
	Upload     [16]byte
	Number     uint32
	Attempt    [16]byte // random for every attempt
}

// SealManifest seals a manifest, bound to a name and purpose. It returns an error
// for an invalid manifest, which could never be opened again.
//
// record, with AAD = bind("sanctum/1/manifest", deployment, bucket, key, version, purpose)
func SealManifest(k ObjectKey, purpose string, n Name, m *Manifest) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("encrypt: cannot seal manifest: %w", err)
	}
	plain := appendManifest(nil, m)
	if len(plain) > MaxManifest {
		return nil, fmt.Errorf("encrypt: manifest of %d bytes is too large", len(plain))
	}
	return newXAES((*[32]byte)(&k)).seal(plain, n.bind("sanctum/1/manifest", []byte(purpose))), nil
}

// OpenManifest opens a manifest of SealManifest. It returns ErrCorrupt if the
// manifest is damaged, belongs to another name, or contradicts itself.
func OpenManifest(k ObjectKey, purpose string, n Name, sealed []byte) (*Manifest, error) {
	plain, err := newXAES((*[32]byte)(&k)).open(sealed, n.bind("sanctum/1/manifest", []byte(purpose)))
	if err != nil {
		return nil, err
	}
	return decodeManifest(plain)
}

// SealPart seals a part's record with the key of its upload.
//
//	record, with AAD = bind("sanctum/1/part", deployment, bucket, upload, u32be(number), attempt)
func SealPart(k ObjectKey, n PartName, r *PartRecord) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encrypt: cannot seal part: %w", err)
	}
	plain := appendPart(nil, r)
	if len(plain) > MaxManifest {
		return nil, fmt.Errorf("encrypt: part record of %d bytes is too large", len(plain))
	}
	return newXAES((*[32]byte)(&k)).seal(plain, n.bind()), nil
}

// OpenPart opens a record of SealPart. It returns ErrCorrupt if the record is
// damaged, belongs to another part or attempt, or contradicts itself.
func OpenPart(k ObjectKey, n PartName, sealed []byte) (*PartRecord, error) {
	plain, err := newXAES((*[32]byte)(&k)).open(sealed, n.bind())
	if err != nil {
		return nil, err
	}
	return decodePart(plain)
}

func (n *PartName) bind() []byte {
	return bind("sanctum/1/part", n.Deployment[:], n.Bucket[:], n.Upload[:], u32(n.Number), n.Attempt[:])
}

// check validates a manifest, before sealing and after opening.
func (m *Manifest) check() error {
	if m.Size < 0 || m.Size > MaxObjectSize {
		return fmt.Errorf("size %d is out of bounds", m.Size)
	}
	for _, s := range []string{m.ETag, m.ContentType, m.ContentEncoding, m.ContentLanguage, m.ContentDisposition,
		m.CacheControl, m.Expires, m.WebsiteRedirect, m.StorageClass} {
		if len(s) > maxText {
			return fmt.Errorf("a header of %d bytes is too long", len(s))
		}
	}
	if err := checkPairs(m.Metadata); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if err := checkPairs(m.Tags); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	if len(m.Marks) > maxText {
		return fmt.Errorf("marks of %d bytes are too long", len(m.Marks))
	}
	if err := m.Checksum.check(); err != nil {
		return err
	}
	return m.checkBody()
}

func (m *Manifest) checkBody() error {
	kinds, size := 0, int64(0)
	if len(m.Inline) > 0 {
		kinds, size = kinds+1, int64(len(m.Inline))
		if size > MaxInline {
			return fmt.Errorf("inline body of %d bytes is too large", size)
		}
	}
	if len(m.Extents) > 0 {
		var err error
		if size, err = checkExtents(m.Extents); err != nil {
			return err
		}
		kinds++
	}
	if m.Parts != nil {
		if err := m.Parts.check(); err != nil {
			return err
		}
		kinds, size = kinds+1, m.Parts.Size()
	}
	if kinds > 1 {
		return fmt.Errorf("more than one place for the body")
	}
	if size != m.Size {
		return fmt.Errorf("size is %d, the body has %d", m.Size, size)
	}
	return nil
}

func (r *PartRecord) check() error {
	if err := r.Checksum.check(); err != nil {
		return err
	}
	size, err := checkExtents(r.Extents)
	if err == nil && size != r.Size {
		err = fmt.Errorf("size is %d, the extents have %d", r.Size, size)
	}
	return err
}

func checkPairs(pairs []Pair) error {
	if len(pairs) > MaxPairs {
		return fmt.Errorf("%d entries are too many", len(pairs))
	}
	for _, p := range pairs {
		if p.Name == "" || len(p.Name) > maxText || len(p.Value) > maxText {
			return fmt.Errorf("an entry of %d and %d bytes is empty or too long", len(p.Name), len(p.Value))
		}
	}
	return nil
}

func checkExtents(extents []Extent) (total int64, err error) {
	if len(extents) > MaxExtents {
		return 0, fmt.Errorf("%d extents are too many", len(extents))
	}
	for i := range extents {
		e := &extents[i]
		if e.BlobSize < 0 || e.BlobSize > MaxBlobSize || e.Offset < 0 || e.Length < 0 ||
			e.Offset > e.BlobSize || e.Length > e.BlobSize-e.Offset {
			return 0, fmt.Errorf("extent %d is not within its blob", i)
		}
		if total += e.Length; total > MaxObjectSize {
			return 0, fmt.Errorf("extents are too long")
		}
	}
	return total, nil
}

// checksumSize has the length of each algorithm's value in bytes.
var checksumSize = map[string]int{
	"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32, "SHA512": 64,
	"MD5": 16, "XXHASH64": 8, "XXHASH3": 8, "XXHASH128": 16,
}

func (c *Checksum) check() error {
	if c == nil {
		return nil
	}
	size, ok := checksumSize[c.Algorithm]
	if !ok || len(c.Value) != 0 && len(c.Value) != size {
		return fmt.Errorf("checksum of algorithm %q has %d bytes", c.Algorithm, len(c.Value))
	}
	switch c.Type {
	case "", FullObject, Composite:
	default:
		return fmt.Errorf("checksum of type %q", c.Type)
	}
	if c.Parts < 0 || c.Parts > MaxPartNumber {
		return fmt.Errorf("checksum of %d parts", c.Parts)
	}
	return nil
}
