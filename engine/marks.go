package engine

import (
	"encoding/json"

	"github.com/sanctum-storage/gateway/meta"
)

// Marks are what may be changed of an object without making another version. The
// engine keeps them sealed and does not look into the ACL.
type Marks struct {
	Tags []Pair          `json:"tags,omitempty"`
	ACL  json.RawMessage `json:"acl,omitempty"` // nil: private
	// KMSKey is the name of the key that SSE-KMS asked for.
	KMSKey string `json:"kms_key,omitempty"`
	// Lock is stored beside the marks, in the clear, so that the store itself
	// refuses what it forbids; and in them, so that an edited row is noticed.
	Lock meta.Lock `json:"lock,omitzero"`
}

// empty reports marks that need not be stored.
func (m *Marks) empty() bool {
	return len(m.Tags) == 0 && len(m.ACL) == 0 && m.KMSKey == "" && m.Lock == (meta.Lock{})
}

// CustomerKey is the key of an SSE-C request. It is never stored.
type CustomerKey [32]byte
