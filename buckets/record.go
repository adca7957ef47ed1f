package buckets

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// recordBucket is the kind of a bucket's record.
const recordBucket = "record/bucket"

// bucketFacts are what a bucket's record says, but for its settings.
type bucketFacts struct {
	Name       string          `json:"name"`
	Owner      meta.ID         `json:"owner"`
	Region     string          `json:"region,omitempty"`
	Residency  string          `json:"residency,omitempty"` // entries with a line feed between them
	Created    int64           `json:"created"`
	Versioning meta.Versioning `json:"versioning,omitempty"`
	Lock       bool            `json:"lock,omitempty"`
	Revision   int64           `json:"revision,omitempty"`
}

// It is sealed under the system's keys, so that a bucket is proven without its own keys.
type bucketRecord struct {
	bucketFacts
	Settings []byte `json:"settings,omitempty"` // as settingSums.encode
}

func bucketFactsOf(b *meta.Bucket) bucketFacts {
	return bucketFacts{b.Name, b.Owner, b.Region, joinDemands(b.Residency), b.Created.UnixMicro(), b.Versioning, b.Lock, b.Revision}
}

// It gives a comparable string, which bucketFacts needs for the comparison with ==.
func joinDemands(residency []string) string {
	var joined []byte
	for i, demand := range residency {
		if i > 0 {
			joined = append(joined, '\n')
		}
		joined = append(joined, demand...)
	}
	return string(joined)
}

// settingSums are what a bucket's record says of its settings: which there are, and
// which document each has. Sums are the first 8 bytes of SHA-256: nobody who lacks
// the keys can make a document that opens, but only choose among those there were.
type settingSums map[settingName]settingSum

type (
	settingName [8]byte // of its name
	settingSum  [8]byte // of its sealed document
)

func nameSum(name string) settingName {
	sum := sha256.Sum256([]byte(name))
	return settingName(sum[:8])
}

func documentSum(document []byte) settingSum {
	sum := sha256.Sum256(document)
	return settingSum(sum[:8])
}

// sumSettings are the sums of rows.
func sumSettings(rows []meta.Setting) settingSums {
	sums := make(settingSums, len(rows))
	for _, row := range rows {
		sums[nameSum(row.Name)] = documentSum(row.Document)
	}
	return sums
}

// with are the sums after a setting was stored, or removed when its document is empty.
// s itself is not changed, because Settings share it.
func (s settingSums) with(row meta.Setting) settingSums {
	next := make(settingSums, len(s)+1)
	for name, sum := range s {
		next[name] = sum
	}
	if len(row.Document) == 0 {
		delete(next, nameSum(row.Name))
	} else {
		next[nameSum(row.Name)] = documentSum(row.Document)
	}
	return next
}

// encode is name and document sum of each setting, in the order of the former.
// The order makes the record of the same settings the same bytes.
func (s settingSums) encode() []byte {
	names := make([]settingName, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b settingName) int { return bytes.Compare(a[:], b[:]) })
	out := make([]byte, 0, len(names)*16)
	for _, name := range names {
		sum := s[name]
		out = append(append(out, name[:]...), sum[:]...)
	}
	return out
}

func decodeSums(b []byte) (settingSums, error) {
	if len(b)%16 != 0 {
		return nil, fmt.Errorf("sums of settings of %d bytes", len(b))
	}
	sums := make(settingSums, len(b)/16)
	for ; len(b) > 0; b = b[16:] {
		sums[settingName(b[:8])] = settingSum(b[8:16])
	}
	return sums, nil
}

// seal gives a bucket's row its record, or none by an early sealing.
func (bs *Buckets) seal(s meta.Sealing, b *meta.Bucket, sums settingSums) (err error) {
	b.Record = nil
	if s >= meta.SealingRenewed {
		b.Record, err = records.Seal(bs.Records, recordBucket, b.ID[:], bucketRecord{bucketFactsOf(b), sums.encode()})
	}
	return err
}

// provenBucket is a bucket's row that stood the proof, and what its record says of
// its settings.
type provenBucket struct {
	row  meta.Bucket
	sums []byte
}

// size is how many bytes it takes.
func (p *provenBucket) size() int {
	n := provenBucketBytes + len(p.sums) + len(p.row.Record) + len(p.row.Name) + len(p.row.Region)
	for _, demand := range p.row.Residency {
		n += provenDemandBytes + len(demand)
	}
	return n
}

// Bytes that a provenBucket takes beside its texts, and a demand of its residency.
const (
	provenBucketBytes = 256
	provenDemandBytes = 16
)

// same reports whether a row is the one that was proven.
// All fields that the record covers are compared, and the record itself.
func (p *provenBucket) same(b *meta.Bucket) bool {
	r := &p.row
	return r.ID == b.ID && r.Revision == b.Revision && r.Name == b.Name && r.Owner == b.Owner && r.Region == b.Region &&
		r.Created.Equal(b.Created) && r.Versioning == b.Versioning && r.Lock == b.Lock &&
		slices.Equal(r.Residency, b.Residency) && bytes.Equal(r.Record, b.Record)
}

// Prove holds a bucket's row against its record, which costs next to nothing
// when the same row was proven a while ago. Backend is not in it: a draining changes
// it for many at once, and what a bucket demands of the place of its bytes is held
// against the backend itself.
func (bs *Buckets) Prove(b *meta.Bucket) error {
	_, err := bs.provenSums(b)
	return err
}

// provenSums is Prove, and returns the encoded sums of the record; nil for a
// row that has none, which is told from one without settings by the record.
func (bs *Buckets) provenSums(b *meta.Bucket) ([]byte, error) {
	// A row that was proven with the system's keys is trusted no longer than they are.
	if _, err := bs.Records.Keys(); err != nil {
		return nil, err
	}
	sealing := bs.Records.Sealing()
	if sealing < meta.SealingRenewed || len(b.Record) == 0 && sealing < meta.SealingWhole {
		return nil, nil
	}
	if p, ok := bs.proven.Get(b.ID); ok && p.same(b) {
		return p.sums, nil
	}
	what := "the row of bucket " + b.ID.String()
	if len(b.Record) == 0 {
		return nil, records.Edited(what, records.ErrNone)
	}
	sealed, err := records.Open[bucketRecord](bs.Records, recordBucket, b.ID[:], b.Record)
	if err != nil {
		return nil, records.Edited(what, fmt.Errorf("open its record: %w", err))
	}
	if sealed.bucketFacts != bucketFactsOf(b) {
		return nil, records.Edited(what, errors.New("it is not what its record says"))
	}
	bs.proven.Put(b.ID, &provenBucket{*b, sealed.Settings})
	return sealed.Settings, nil
}
