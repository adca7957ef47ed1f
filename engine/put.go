package engine

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
)

// rereadAfter is how long a body may take without the bucket's row being read
// again after it.
const rereadAfter = 2 * time.Second

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
	began := e.now()
	s, err := e.ingest(ctx, in.Bucket, &in.Body, intake{class: in.StorageClass, entry: meta.Usage{Versions: 1}})
	if err != nil {
		return Object{}, err
	}
	// The version gets the lock that the bucket gives to new ones now, and not the one of the
	// time at which its body began.
	if e.now().Sub(began) > rereadAfter {
		if in.Bucket, err = e.buckets.Reread(ctx, in.Bucket); err != nil {
			e.giveUp(ctx, s, err)
			return Object{}, err
		}
	}
	m := &encrypt.Manifest{
		Size: s.size, ETag: hex.EncodeToString(s.md5[:]), Checksum: s.checksum, Attributes: in.Attributes, Extents: s.extents(),
	}
	if in.Customer != nil {
		m.ETag = opaqueETag()
	}
	// After the body: a write that is under way keeps the sealing from being raised, and a body
	// may take hours.
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
		err = e.commitVersion(ctx, &in.Bucket, &v, in.Conditions, commitOptions{vacant: in.Vacant})
	}
	if err != nil {
		e.giveUp(ctx, s, err)
		return Object{}, meta.Coded(err)
	}
	return describe(in.Bucket, v, m, in.Marks), nil
}
