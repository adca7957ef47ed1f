package engine

import (
	"context"
	"encoding/hex"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// PutObject stores a body and makes it the key's object. On any error the key
// holds what it held before, except that an error of the store whose outcome
// is unknown leaves either.
func (e *Engine) PutObject(ctx context.Context, in PutObject) (Object, error) {
	if err := meta.CheckKey(in.Key); err != nil {
		return Object{}, err
	}
	if err := e.CheckClass(in.Bucket, in.StorageClass); err != nil {
		return Object{}, err
	}
	// A condition that fails already must not cost the client the upload.
	if err := e.precheck(ctx, in.Bucket, in.Key, in.Conditions); err != nil {
		return Object{}, err
	}
	in.Body.class = in.StorageClass
	s, err := e.ingest(ctx, in.Bucket, &in.Body, meta.Usage{Versions: 1})
	if err != nil {
		return Object{}, err
	}
	m := newManifest(&in.Attributes)
	m.Size, m.ETag = s.size, hex.EncodeToString(s.md5[:])
	if in.Customer != nil {
		m.ETag = opaqueETag()
	}
	m.Checksum = sealedChecksum(s.checksum)
	m.Extents = s.extents()
	ctx, how, sealed, err := e.sealing.As(ctx)
	if err != nil {
		e.giveUp(ctx, s, err)
		return Object{}, err
	}
	defer sealed()
	v, err := e.sealVersion(ctx, draft{
		how: how, bucket: in.Bucket, key: in.Key, owner: in.Owner, manifest: m, body: s.body(), marks: in.Marks, encryption: in.Encryption, customer: in.Customer,
	})
	if err == nil {
		err = e.commitAs(ctx, &in.Bucket, &v, in.Conditions, meta.Commit{Vacant: in.Vacant})
	}
	if err != nil {
		e.giveUp(ctx, s, err)
		return Object{}, meta.Coded(err)
	}
	return describe(in.Bucket, v, m, in.Marks), nil
}

// newManifest fills in what the client said of the object.
func newManifest(a *Attributes) *encrypt.Manifest {
	m := &encrypt.Manifest{
		ContentType: a.ContentType, ContentEncoding: a.ContentEncoding,
		ContentLanguage: a.ContentLanguage, ContentDisposition: a.ContentDisposition,
		CacheControl: a.CacheControl, Expires: a.Expires,
		WebsiteRedirect: a.WebsiteRedirect, StorageClass: a.StorageClass,
	}
	for _, p := range a.Metadata {
		m.Metadata = append(m.Metadata, encrypt.Pair(p))
	}
	return m
}

func attributesOf(m *encrypt.Manifest) Attributes {
	a := Attributes{
		ContentType: m.ContentType, ContentEncoding: m.ContentEncoding,
		ContentLanguage: m.ContentLanguage, ContentDisposition: m.ContentDisposition,
		CacheControl: m.CacheControl, Expires: m.Expires,
		WebsiteRedirect: m.WebsiteRedirect, StorageClass: m.StorageClass,
	}
	for _, p := range m.Metadata {
		a.Metadata = append(a.Metadata, Pair(p))
	}
	return a
}

func sealedChecksum(c *Checksum) *encrypt.Checksum {
	if c == nil {
		return nil
	}
	return &encrypt.Checksum{Algorithm: c.Algorithm, Type: c.Type, Value: c.Value, Parts: c.Parts}
}

func openedChecksum(c *encrypt.Checksum) *Checksum {
	if c == nil {
		return nil
	}
	return &Checksum{Algorithm: c.Algorithm, Type: c.Type, Value: c.Value, Parts: c.Parts}
}
