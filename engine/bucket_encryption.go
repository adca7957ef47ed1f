package engine

import (
	"context"
	"encoding/json"

	"github.com/sanctum-storage/gateway/meta"
)

// EncryptionSetting is the name of a bucket's setting.
const EncryptionSetting = "encryption"

// BucketEncryption is what a bucket says of how its new objects are encrypted.
// Everything is sealed alike whatever it says: it decides what is shown, which
// key is named, and whether clients may bring their own.
type BucketEncryption struct {
	KMS       bool   `json:"kms,omitempty"`     // SSE-KMS unless a request says otherwise
	KMSKey    string `json:"kms_key,omitempty"` // the name of its key; empty: the default one
	BucketKey bool   `json:"bucket_key,omitempty"`
	// NoCustomer: SSE-C is refused.
	NoCustomer bool `json:"no_customer,omitempty"`
}

// BucketEncryption reads that of a bucket; the zero value where nothing was set.
func (e *Engine) BucketEncryption(ctx context.Context, b meta.Bucket) (BucketEncryption, error) {
	s, err := e.Settings(ctx, b)
	if err != nil {
		return BucketEncryption{}, err
	}
	d, _, err := Parsed(s, EncryptionSetting, func(doc []byte) (d BucketEncryption, err error) {
		err = json.Unmarshal(doc, &d)
		return d, err
	})
	return d, err
}

// SetBucketEncryption sets it; the zero value is what a bucket begins with.
func (e *Engine) SetBucketEncryption(ctx context.Context, b meta.Bucket, d BucketEncryption) error {
	if d == (BucketEncryption{}) {
		return e.SetSetting(ctx, b, EncryptionSetting, nil)
	}
	document, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return e.SetSetting(ctx, b, EncryptionSetting, document)
}

// KeyName is the name of the key-encryption key that SSE-KMS may ask for: that of
// the key provider.
func (e *Engine) KeyName() string { return e.provider.Name() }
