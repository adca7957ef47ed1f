package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sanctum-storage/gateway/meta"
)

// A record is what a row says in its clear columns, sealed under the system keys for
// the row's id: a column that was edited, and a row that was put in another's place,
// disagree with it. System keys, so that no bucket's own are needed to list buckets.

// Kinds of records, as encrypt.SystemKeys seals them.
const (
	recordDeployment = "record/deployment"
	recordTenant     = "record/tenant"
	recordAccessKey  = "record/access-key"
	recordBucket     = "record/bucket"
)

// deploymentFacts are what a deployment's record says. Times are in microseconds
// since 1970, as in rows.
type deploymentFacts struct {
	Root    meta.ID      `json:"root"`
	Created int64        `json:"created"`
	Sealing meta.Sealing `json:"sealing"`
}

// tenantFacts are what a tenant's record says.
type tenantFacts struct {
	Name      string   `json:"name"`
	Created   int64    `json:"created"`
	Residency string   `json:"residency,omitempty"`
	Limits    [32]byte `json:"limits"` // SHA-256 of the sealed limits; of nothing: none
}

// accessKeyFacts are what an access key's record says, besides its secret.
type accessKeyFacts struct {
	User     meta.ID `json:"user"`
	Created  int64   `json:"created"`
	Inactive bool    `json:"inactive,omitempty"`
}

// errNoRecord: a row has none, and ought to.
var errNoRecord = errors.New("its record is missing")

// sealFacts seals what a row says.
func sealFacts[T any](e *Engine, kind string, id []byte, facts T) ([]byte, error) {
	text, err := json.Marshal(facts)
	if err != nil {
		return nil, err
	}
	return e.system.SealDocument(kind, id, text), nil
}

// openFacts opens a record. One that says what this release does not know is none
// of its own.
func openFacts[T any](e *Engine, kind string, id, record []byte) (facts T, err error) {
	text, err := e.system.OpenDocument(kind, id, record)
	if err != nil {
		return facts, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return facts, d.Decode(&facts)
}

// proveFacts holds a row's record against what the row says.
func proveFacts[T comparable](e *Engine, kind string, id, record []byte, row T) error {
	switch sealing := e.sealing(); {
	case sealing < meta.SealingRenewed: // the release before changes rows without their records
		return nil
	case len(record) == 0 && sealing < meta.SealingWhole:
		return nil
	case len(record) == 0:
		return errNoRecord
	}
	sealed, err := openFacts[T](e, kind, id, record)
	if err != nil {
		return fmt.Errorf("open its record: %w", err)
	}
	if sealed != row {
		return errors.New("it is not what its record says")
	}
	return nil
}

// edited says that a row does not stand the proof; nil for nil. A key provider is not
// asked for it, so that nothing passing is among the reasons.
func edited(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrEdited, what, err)
}

func deploymentFactsOf(d *meta.Deployment) deploymentFacts {
	return deploymentFacts{d.Root, d.Created.UnixMicro(), d.Sealing}
}

// sealDeployment gives the row its record.
func (e *Engine) sealDeployment(d *meta.Deployment) (err error) {
	d.Record = nil
	if d.Sealing >= meta.SealingRenewed {
		d.Record, err = sealFacts(e, recordDeployment, d.ID[:], deploymentFactsOf(d))
	}
	return err
}

// proveDeployment holds the deployment's row against its record. Whether it is to
// have one is the row's to say, and the backends' markers' to refute.
func (e *Engine) proveDeployment(d *meta.Deployment) error {
	if d.Sealing == 0 {
		d.Sealing = meta.SealingLegacy
	}
	if d.Sealing == meta.SealingLegacy && len(d.Record) == 0 {
		return nil
	}
	facts, err := openFacts[deploymentFacts](e, recordDeployment, d.ID[:], d.Record)
	if err == nil && facts != deploymentFactsOf(d) {
		err = errors.New("it is not what its record says")
	}
	return edited("the deployment's row", err)
}

func tenantFactsOf(t *meta.Tenant) tenantFacts {
	return tenantFacts{t.Name, t.Created.UnixMicro(), t.Residency, sha256.Sum256(t.Limits)}
}

// sealTenant gives a tenant's row its record, or none by an early sealing.
func (e *Engine) sealTenant(s meta.Sealing, t *meta.Tenant) (err error) {
	t.Record = nil
	if s >= meta.SealingRenewed {
		t.Record, err = sealFacts(e, recordTenant, t.ID[:], tenantFactsOf(t))
	}
	return err
}

func (e *Engine) proveTenant(t *meta.Tenant) error {
	return edited("the row of tenant "+t.ID.String(), proveFacts(e, recordTenant, t.ID[:], t.Record, tenantFactsOf(t)))
}

func accessKeyFactsOf(k *meta.AccessKey) accessKeyFacts {
	return accessKeyFacts{k.User, k.Created.UnixMicro(), k.Inactive}
}

// sealAccessKey is sealTenant of an access key.
func (e *Engine) sealAccessKey(s meta.Sealing, k *meta.AccessKey) (err error) {
	k.Record = nil
	if s >= meta.SealingRenewed {
		k.Record, err = sealFacts(e, recordAccessKey, []byte(k.ID), accessKeyFactsOf(k))
	}
	return err
}

func (e *Engine) proveAccessKey(k *meta.AccessKey) error {
	return edited("the row of access key "+k.ID, proveFacts(e, recordAccessKey, []byte(k.ID), k.Record, accessKeyFactsOf(k)))
}

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

type bucketRecord struct {
	bucketFacts
	Settings []byte `json:"settings,omitempty"` // as settingSums.encode
}

func bucketFactsOf(b *meta.Bucket) bucketFacts {
	return bucketFacts{b.Name, b.Owner, b.Region, joinDemands(b.Residency), b.Created.UnixMicro(), b.Versioning, b.Lock, b.Revision}
}

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

// sealBucket gives a bucket's row its record, or none by an early sealing.
func (e *Engine) sealBucket(s meta.Sealing, b *meta.Bucket, sums settingSums) (err error) {
	b.Record = nil
	if s >= meta.SealingRenewed {
		b.Record, err = sealFacts(e, recordBucket, b.ID[:], bucketRecord{bucketFactsOf(b), sums.encode()})
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
func (p *provenBucket) same(b *meta.Bucket) bool {
	r := &p.row
	return r.ID == b.ID && r.Revision == b.Revision && r.Name == b.Name && r.Owner == b.Owner && r.Region == b.Region &&
		r.Created.Equal(b.Created) && r.Versioning == b.Versioning && r.Lock == b.Lock &&
		slices.Equal(r.Residency, b.Residency) && bytes.Equal(r.Record, b.Record)
}

// proveBucket holds a bucket's row against its record, which costs next to nothing
// when the same row was proven a while ago. Backend is not in it: a draining changes
// it for many at once, and what a bucket demands of the place of its bytes is held
// against the backend itself.
func (e *Engine) proveBucket(b *meta.Bucket) error {
	_, err := e.provenSums(b)
	return err
}

// provenSums is proveBucket, and returns the encoded sums of the record; nil for a
// row that has none, which is told from one without settings by the record.
func (e *Engine) provenSums(b *meta.Bucket) ([]byte, error) {
	sealing := e.sealing()
	if sealing < meta.SealingRenewed || len(b.Record) == 0 && sealing < meta.SealingWhole {
		return nil, nil
	}
	if p, ok := e.proven.Get(b.ID); ok && p.same(b) {
		return p.sums, nil
	}
	what := "the row of bucket " + b.ID.String()
	if len(b.Record) == 0 {
		return nil, edited(what, errNoRecord)
	}
	sealed, err := openFacts[bucketRecord](e, recordBucket, b.ID[:], b.Record)
	if err != nil {
		return nil, edited(what, fmt.Errorf("open its record: %w", err))
	}
	if sealed.bucketFacts != bucketFactsOf(b) {
		return nil, edited(what, errors.New("it is not what its record says"))
	}
	e.proven.Put(b.ID, &provenBucket{*b, sealed.Settings})
	return sealed.Settings, nil
}
