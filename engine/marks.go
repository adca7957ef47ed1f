package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/records"
)

// Marks are what may be changed of an object without making another version. The
// engine keeps them sealed and does not look into the ACL.
type Marks struct {
	Tags []Pair          `json:"tags,omitempty"`
	ACL  json.RawMessage `json:"acl,omitempty"` // nil: private
	// KMSKey is the name of the key that SSE-KMS asked for, and BucketKey whether it
	// was to be used through a bucket key, which is only ever shown again.
	KMSKey    string `json:"kms_key,omitempty"`
	BucketKey bool   `json:"bucket_key,omitempty"`
	// Lock is stored beside the marks, in the clear, so that the store itself
	// refuses what it forbids; and in them, so that an edited row is noticed.
	Lock meta.Lock `json:"lock,omitzero"`
	// HoldLifted: there was a legal hold, which S3 shows as one that is off.
	HoldLifted bool `json:"hold_lifted,omitempty"`
}

// empty reports marks that need not be stored.
// A version without marks has none sealed. The row's record vouches for their absence.
func (m *Marks) empty() bool {
	return len(m.Tags) == 0 && len(m.ACL) == 0 && m.KMSKey == "" && !m.BucketKey && m.Lock == (meta.Lock{}) && !m.HoldLifted
}

// CustomerKey is the key of an SSE-C request. It is never stored, and hidden from
// every fmt verb.
type CustomerKey = encrypt.CustomerKey

// errLock: the lock that the store shows of a version is not the one that was sealed.
var errLock = fmt.Errorf("%w: the lock in an object's row differs from its sealed marks", records.ErrEdited)

// storedLock is a lock as the store keeps it, in microseconds.
// Both stores keep times in microseconds. A lock is truncated before it is sealed, because
// otherwise the row that is read back would differ from what was sealed.
func storedLock(l meta.Lock) meta.Lock {
	if l.Until.IsZero() {
		return l
	}
	l.Until = l.Until.UTC().Truncate(time.Microsecond)
	return l
}

// sealMarks seals the marks of a version, with the lock that its row has.
// The marks are sealed under the bucket's keys and not under the object key, so that tags, ACL and
// locks of an SSE-C object can be read and changed without the customer.
func (s *sealer) sealMarks(keys *encrypt.BucketKeys, v *meta.Version, m Marks) ([]byte, error) {
	m.Lock = storedLock(m.Lock)
	if m.empty() {
		return nil, nil
	}
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return keys.SealMarks(s.name(v.Bucket, v.Key, v.ID), plain), nil
}

// OpenMarks opens the marks of a version, after its whole row was held against what
// was sealed: that there are none is vouched for, too. It needs no manifest, and so
// no customer's key. An error says nothing of the client: the row was damaged or
// edited, and the caller must take the lock for one that forbids.
func (s *sealer) OpenMarks(ctx context.Context, v meta.Version) (m Marks, err error) {
	defer func() { err = s.damage.Row(&v, err) }()
	if _, err := s.openRow(ctx, &v); err != nil {
		return m, err
	}
	if len(v.Marks) > 0 {
		generation, err := encrypt.MarksGeneration(v.Marks)
		if err != nil {
			return m, internal("read an object's marks", err)
		}
		keys, err := s.buckets.KeysOf(ctx, v.Bucket, generation)
		if err != nil {
			return m, err
		}
		plain, err := keys.OpenMarks(s.name(v.Bucket, v.Key, v.ID), v.Marks)
		if err != nil {
			return m, internal("open an object's marks", err)
		}
		if err := json.Unmarshal(plain, &m); err != nil {
			return m, internal("read an object's marks", err)
		}
	}
	// The whole record covers the lock as well. This comparison also protects rows of the
	// release before, whose records do not.
	if m.Lock.Mode != v.Lock.Mode || m.Lock.Hold != v.Lock.Hold || !m.Lock.Until.Equal(v.Lock.Until) {
		return Marks{}, errLock
	}
	return m, nil
}
