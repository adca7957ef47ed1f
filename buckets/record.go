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
	Generation uint32          `json:"generation,omitempty"` // absent: the first
}

// It is sealed under the system's keys, so that a bucket is proven without its own keys.
type bucketRecord struct {
	bucketFacts
	Settings []byte      `json:"settings,omitempty"` // as settingSums.encode
	Seeds    []seedFacts `json:"seeds,omitempty"`    // absent: that of the first generation alone
}

// seedFacts are what a bucket's record says of one generation of its seed. The wrap is
// not among them: it is bound to bucket and generation, and changes by itself.
type seedFacts struct {
	Generation uint32 `json:"generation"`
	Key        string `json:"key,omitempty"`
	Created    int64  `json:"created,omitempty"`
	Former     bool   `json:"former,omitempty"`
}

// FirstGeneration is the generation of its keys that a bucket begins with.
const FirstGeneration = 1

// recorded are what a bucket's record says beside its row. The slices are shared and
// never changed.
type recorded struct {
	sums  []byte // of settings, as settingSums.encode
	seeds []seedFacts
}

func bucketFactsOf(b *meta.Bucket) bucketFacts {
	f := bucketFacts{b.Name, b.Owner, b.Region, joinDemands(b.Residency), b.Created.UnixMicro(), b.Versioning, b.Lock, b.Revision, b.Generation}
	// A bucket with one generation has the record that releases before there were several
	// wrote and read.
	if f.Generation == FirstGeneration {
		f.Generation = 0
	}
	return f
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
func (bs *Buckets) seal(s meta.Sealing, b *meta.Bucket, sums settingSums, seeds []seedFacts) (err error) {
	b.Record = nil
	if s >= meta.SealingRenewed {
		b.Record, err = records.Seal(bs.Records, recordBucket, b.ID[:], bucketRecord{bucketFactsOf(b), sums.encode(), seeds})
	}
	return err
}

// provenBucket is a bucket's row that stood the proof, and what its record says
// beside it.
type provenBucket struct {
	row meta.Bucket
	recorded
}

// size is how many bytes it takes.
func (p *provenBucket) size() int {
	n := provenBucketBytes + len(p.sums) + len(p.seeds)*provenSeedBytes + len(p.row.Record) + len(p.row.Name) + len(p.row.Region)
	for _, demand := range p.row.Residency {
		n += provenDemandBytes + len(demand)
	}
	for _, s := range p.seeds {
		n += len(s.Key)
	}
	return n
}

// Bytes that a provenBucket takes beside its texts, a demand of its residency, and one
// generation.
const (
	provenBucketBytes = 256
	provenDemandBytes = 16
	provenSeedBytes   = 48
)

// same reports whether a row is the one that was proven.
// All fields that the record covers are compared, and the record itself.
func (p *provenBucket) same(b *meta.Bucket) bool {
	r := &p.row
	return r.ID == b.ID && r.Revision == b.Revision && r.Name == b.Name && r.Owner == b.Owner && r.Region == b.Region &&
		r.Created.Equal(b.Created) && r.Versioning == b.Versioning && r.Lock == b.Lock && r.Generation == b.Generation &&
		slices.Equal(r.Residency, b.Residency) && bytes.Equal(r.Record, b.Record)
}

// Prove holds a bucket's row against its record, which costs next to nothing
// when the same row was proven a while ago. Backend is not in it: a draining changes
// it for many at once, and what a bucket demands of the place of its bytes is held
// against the backend itself.
func (bs *Buckets) Prove(b *meta.Bucket) error {
	_, err := bs.proof(b)
	return err
}

// proof is Prove, and returns what the record says beside the row; nothing for a row that
// has no record, which is told from one without settings by the record.
func (bs *Buckets) proof(b *meta.Bucket) (r recorded, err error) {
	// A row that was proven with the system's keys is trusted no longer than they are.
	if _, err := bs.Records.Keys(); err != nil {
		return r, err
	}
	sealing := bs.Records.Sealing()
	if sealing < meta.SealingRenewed || len(b.Record) == 0 && sealing < meta.SealingWhole {
		return r, nil
	}
	if p, ok := bs.proven.Get(b.ID); ok && p.same(b) {
		return p.recorded, nil
	}
	what := "the row of bucket " + b.ID.String()
	if len(b.Record) == 0 {
		return r, records.Edited(what, records.ErrNone)
	}
	sealed, err := records.Open[bucketRecord](bs.Records, recordBucket, b.ID[:], b.Record)
	if err != nil {
		return r, records.Edited(what, fmt.Errorf("open its record: %w", err))
	}
	if sealed.bucketFacts != bucketFactsOf(b) {
		return r, records.Edited(what, errors.New("it is not what its record says"))
	}
	r = recorded{sealed.Settings, sealed.Seeds}
	bs.proven.Put(b.ID, &provenBucket{*b, r})
	return r, nil
}
