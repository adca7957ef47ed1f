package buckets

import (
	"context"
	"encoding/json"

	"github.com/sanctum-storage/gateway/meta"
)

// EncryptionSetting is the name of a bucket's setting.
const EncryptionSetting = "encryption"

// Encryption is what a bucket says of how its new objects are encrypted.
// Everything is sealed alike whatever it says: it decides what is shown, which
// key is named, and whether clients may bring their own.
type Encryption struct {
	KMS       bool   `json:"kms,omitempty"`     // SSE-KMS unless a request says otherwise
	KMSKey    string `json:"kms_key,omitempty"` // the name of its key; empty: the default one
	BucketKey bool   `json:"bucket_key,omitempty"`
	// NoCustomer: SSE-C is refused.
	NoCustomer bool `json:"no_customer,omitempty"`
}

// Encryption reads that of a bucket; the zero value where nothing was set.
// An error is one of the settings, and the caller must not take it for no encryption setting.
func (bs *Buckets) Encryption(ctx context.Context, b meta.Bucket) (Encryption, error) {
	s, err := bs.Settings(ctx, b)
	if err != nil {
		return Encryption{}, err
	}
	d, _, err := Parsed(s, EncryptionSetting, func(doc []byte) (d Encryption, err error) {
		err = json.Unmarshal(doc, &d)
		return d, err
	})
	return d, err
}

// SetEncryption sets it; the zero value is what a bucket begins with.
func (bs *Buckets) SetEncryption(ctx context.Context, b meta.Bucket, d Encryption) error {
	if d == (Encryption{}) {
		return bs.SetSetting(ctx, b, EncryptionSetting, nil)
	}
	document, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return bs.SetSetting(ctx, b, EncryptionSetting, document)
}
