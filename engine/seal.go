package engine

import (
	"context"
	"fmt"

	"github.com/sanctum-storage/gateway/damage"
	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// draft is a version that is to be sealed.
type draft struct {
	bucket     meta.Bucket
	key        string
	owner      meta.ID
	manifest   *encrypt.Manifest
	body       meta.Body
	marks      Marks
	encryption meta.Encryption
	customer   *CustomerKey // of EncryptionCustomer
	locked     *openUpload  // instead: the upload that is completed without that key
	how        meta.Sealing // of Sealing.As
}

// sealVersion makes a version's row of a draft, under a new object key. Whether it is
// the null version is for the commit to settle, which seals the list record anew if it
// is not as the bucket was taken for.
// Nothing is stored by it: a draft that fails later leaves nothing behind. Errors:
// InvalidRequest for a lock in a bucket without locks, and faults of keys.
func (e *Engine) sealVersion(ctx context.Context, d draft) (meta.Version, error) {
	keys, err := e.buckets.Keys(ctx, d.bucket)
	if err != nil {
		return meta.Version{}, err
	}
	now := e.now().UTC()
	// The retention counts from the version's own time, which is taken after the body has
	// arrived.
	if d.marks.Lock, err = e.lockNew(ctx, d.bucket, d.marks.Lock, now); err != nil {
		return meta.Version{}, err
	}
	v := meta.Version{
		Bucket: d.bucket.ID, Key: d.key, ID: meta.NewID(), Owner: d.owner, Size: d.manifest.Size,
		Null: d.bucket.Versioning != meta.VersioningEnabled, Modified: now,
		Body: d.body, Encryption: d.encryption, Class: d.manifest.StorageClass, Lock: storedLock(d.marks.Lock),
	}
	return v, e.sealFor(keys, &v, &d)
}

// sealFor seals for a version's name what is bound to it, under a new object key: the
// manifest and the marks of a draft, and last the record that vouches for the row.
func (s *sealer) sealFor(keys *encrypt.BucketKeys, v *meta.Version, d *draft) (err error) {
	m, name := d.manifest, s.name(v.Bucket, v.Key, v.ID)
	objectKey := encrypt.NewObjectKey()
	v.Generation = keys.Generation()
	if v.WrappedKey, err = wrapObjectKey(keys, objectKey, v.ID, d); err != nil {
		return err
	}
	if v.Manifest, err = encrypt.SealManifest(objectKey, encrypt.PurposeVersion, name, m); err != nil {
		return err
	}
	if v.Marks, err = s.sealMarks(keys, v, d.marks); err != nil {
		return err
	}
	record := encrypt.WholeRecord{ETag: m.ETag}
	if m.Checksum != nil {
		record.ChecksumAlgorithm, record.ChecksumType = m.Checksum.Algorithm, m.Checksum.Type
	}
	// Last, because it covers the marks and the generation that were set above.
	s.sealRow(keys, v, record, d.how)
	return nil
}

func (s *sealer) name(bucket meta.ID, key string, version meta.ID) encrypt.Name {
	return encrypt.Name{Deployment: s.deployment, Bucket: bucket, Key: []byte(key), Version: version}
}

// openVersion opens a version's manifest and holds it against the row. It takes the
// customer's key where the version was sealed with one, and no other.
// Errors: those of unwrapObjectKey, and for stored data that is not what was sealed a damage that
// was reported.
func (s *sealer) openVersion(ctx context.Context, v meta.Version, customer *CustomerKey) (m *encrypt.Manifest, err error) {
	defer func() { err = s.damage.Row(&v, err) }()
	keys, err := s.buckets.KeysOf(ctx, v.Bucket, v.Generation)
	if err != nil {
		return nil, err
	}
	objectKey, err := unwrapObjectKey(keys, &v, customer)
	if err != nil {
		return nil, err
	}
	m, err = encrypt.OpenManifest(objectKey, encrypt.PurposeVersion, s.name(v.Bucket, v.Key, v.ID), v.Manifest)
	if err != nil {
		return nil, internal("open a manifest", err)
	}
	// The size in the row serves listings, quotas and ranges. The manifest's decides what is
	// read.
	if m.Size != v.Size {
		return nil, fmt.Errorf("%w: the size in an object's row differs from its sealed manifest", damage.ErrUnlike)
	}
	if err := openParts(keys, &v, m, customer); err != nil {
		return nil, err
	}
	return m, nil
}

// describe puts together what a version's row, manifest and marks say. The
// version is named as requests of the bucket as it is now are answered.
func describe(b meta.Bucket, v meta.Version, m *encrypt.Manifest, marks Marks) Object {
	o := Object{
		Key: v.Key, ID: v.ID, Version: shown(b, v), Latest: v.Latest, Size: m.Size, ETag: m.ETag, Modified: v.Modified,
		Owner: v.Owner, Attributes: m.Attributes, Marks: marks, Encryption: v.Encryption,
		Checksum: m.Checksum,
	}
	o.StorageClass, o.Marks.Lock = class(v.Class, m.StorageClass), v.Lock
	if m.Parts != nil {
		o.Parts = m.Parts.Count()
	}
	return o
}

// StandardClass is the storage class of an object that has no other. A version that never
// had another has the empty string; an amendment writes this over another class.
const StandardClass = "STANDARD"

// class is a version's storage class: that of its row, where lifecycles change
// it. Rows of the first release have none, and there the manifest's holds.
// An amendment cannot write the empty string for STANDARD, because that means that the manifest's
// class holds.
func class(row, manifest string) string {
	switch row {
	case "":
		return manifest
	case StandardClass:
		return ""
	}
	return row
}

// describeMarker describes a delete marker.
func describeMarker(b meta.Bucket, v meta.Version) Object {
	return Object{Key: v.Key, ID: v.ID, Version: shown(b, v), Marker: true, Latest: v.Latest, Modified: v.Modified, Owner: v.Owner}
}
