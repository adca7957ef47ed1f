package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// The headers that name a kind of server-side encryption, and its kinds.
const (
	encryptionHeader = "X-Amz-Server-Side-Encryption"
	kmsKeyHeader     = encryptionHeader + "-Aws-Kms-Key-Id"
	kmsContextHeader = encryptionHeader + "-Context"
	bucketKeyHeader  = encryptionHeader + "-Bucket-Key-Enabled"

	encryptionAES = "AES256"
	encryptionKMS = "aws:kms"
)

// maxEncryptionContext bounds what x-amz-server-side-encryption-context decodes to.
const maxEncryptionContext = 8 << 10

// sealing is how an object is, or is to be, encrypted.
type sealing struct {
	kind      meta.Encryption
	kmsKey    string // the name of the key of SSE-KMS
	bucketKey bool
	customer  *engine.CustomerKey // of SSE-C
}

// encryption reads how the request wants its new object encrypted; what it leaves
// open is as the bucket has it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (r *Request) encryption() (e sealing, err error) {
	if e.customer, err = r.customerKey(); err != nil {
		return e, err
	}
	preset, err := r.server.engine.BucketEncryption(r.Context(), r.Bucket)
	if err != nil {
		return e, err
	}
	if e.customer != nil {
		e.kind = meta.EncryptionCustomer
		return e, r.checkCustomer(preset)
	}
	asked := r.asked.encryption.value
	switch {
	case asked == encryptionKMS || asked == "" && preset.KMS:
		return r.kms(asked, preset)
	case r.asked.kmsKey.given || r.HasHeader(kmsContextHeader):
		return e, s3err.New(s3err.InvalidArgument, "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms").
			With("ArgumentName", strings.ToLower(encryptionHeader)).With("ArgumentValue", asked)
	}
	return e, nil
}

// checkCustomer refuses SSE-C where the request or the bucket rules it out.
func (r *Request) checkCustomer(preset engine.BucketEncryption) error {
	for _, name := range []string{encryptionHeader, kmsKeyHeader, kmsContextHeader} {
		if r.HasHeader(name) {
			return s3err.New(s3err.InvalidArgument, "Server Side Encryption with Customer provided key is incompatible with the encryption method specified").
				With("ArgumentName", strings.ToLower(name)).With("ArgumentValue", r.Header(name))
		}
	}
	if preset.NoCustomer {
		return s3err.New(s3err.AccessDenied, "Server Side Encryption with Customer provided keys is blocked for this bucket.")
	}
	return nil
}

// kms reads what a request says of SSE-KMS. The bucket's key is meant only where
// the request does not ask for SSE-KMS itself, or names no other key.
func (r *Request) kms(asked string, preset engine.BucketEncryption) (e sealing, err error) {
	e.kind = meta.EncryptionKMS
	e.kmsKey, e.bucketKey = r.server.engine.KeyName(), preset.BucketKey
	if preset.KMS && preset.KMSKey != "" {
		e.kmsKey = preset.KMSKey
	}
	if asked == "" && r.asked.kmsKey.given {
		return e, s3err.New(s3err.InvalidArgument, "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms").
			With("ArgumentName", strings.ToLower(encryptionHeader)).With("ArgumentValue", "")
	}
	if r.asked.kmsKey.given {
		if e.kmsKey, err = r.kmsKey(r.asked.kmsKey.value); err != nil {
			return e, err
		}
	}
	if r.HasHeader(bucketKeyHeader) {
		if e.bucketKey, err = parseSwitch(bucketKeyHeader, r.Header(bucketKeyHeader)); err != nil {
			return e, err
		}
	}
	return e, r.checkEncryptionContext()
}

// parseSwitch reads a header that says true or false.
func parseSwitch(name, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, s3err.New(s3err.InvalidArgument, "").With("ArgumentName", strings.ToLower(name)).With("ArgumentValue", value)
}

// checkEncryptionContext holds the header to its form: base64 of a JSON object of
// strings. It is bound to nothing here: an object is sealed for its own place.
func (r *Request) checkEncryptionContext() error {
	if !r.HasHeader(kmsContextHeader) {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(r.Header(kmsContextHeader))
	var pairs map[string]string
	if err == nil && len(raw) <= maxEncryptionContext {
		err = json.Unmarshal(raw, &pairs)
	}
	if err != nil || len(raw) > maxEncryptionContext || pairs == nil { // of JSON's null
		return s3err.New(s3err.InvalidArgument, "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map").
			With("ArgumentName", strings.ToLower(kmsContextHeader))
	}
	return nil
}

// kmsKeyARN is how the key of a name is shown for the target's bucket.
func (r *Request) kmsKeyARN(name string) string {
	return kmsKeyARN(r.server.region, accounts.Account(r.Bucket.Owner), name)
}

// kmsKey finds the key that a client names: by its ARN or id, by an alias that is
// the id again, or by the alias that AWS has for the key of S3. The bucket owner's
// account is the key's.
func (r *Request) kmsKey(asked string) (name string, err error) {
	id := asked
	if rest, ok := strings.CutPrefix(asked, "arn:aws:kms:"+r.server.region+":"+accounts.Account(r.Bucket.Owner)+":"); ok {
		id = rest
		if key, ok := strings.CutPrefix(rest, "key/"); ok {
			id = key
		} else if !strings.HasPrefix(rest, "alias/") {
			id = ""
		}
	}
	switch name = r.server.engine.KeyName(); id {
	case name, "alias/" + name, "alias/aws/s3":
		return name, nil
	}
	return "", s3err.New(s3err.KMSNotFound, "Key '%s' does not exist", asked)
}

// namedKey is the key that a client names as a policy has it: by its ARN. What names no
// key stays as it is, and is refused by the operation.
func (r *Request) namedKey(asked string) string {
	name, err := r.kmsKey(asked)
	if err != nil {
		return asked
	}
	return r.kmsKeyARN(name)
}

// set shows in an answer how the object is encrypted.
func (e sealing) set(h http.Header, r *Request) {
	switch e.kind {
	case meta.EncryptionCustomer:
		h.Set(customerPrefix+"Algorithm", encryptionAES)
		if sum := r.Header(customerPrefix + "Key-Md5"); sum != "" {
			h.Set(customerPrefix+"Key-Md5", sum)
		}
	case meta.EncryptionKMS:
		h.Set(encryptionHeader, encryptionKMS)
		h.Set(kmsKeyHeader, r.kmsKeyARN(e.kmsKey))
		if e.bucketKey {
			h.Set(bucketKeyHeader, "true")
		}
	default:
		h.Set(encryptionHeader, encryptionAES)
	}
}

// setEncryption shows how an object is encrypted.
func (r *Request) setEncryption(h http.Header, o *engine.Object) {
	sealing{kind: o.Encryption, kmsKey: o.Marks.KMSKey, bucketKey: o.Marks.BucketKey}.set(h, r)
}

// setPartEncryption shows how a part is, which is as its upload was begun.
func setPartEncryption(h http.Header, r *Request, p *engine.Part) {
	sealing{kind: p.Encryption, kmsKey: p.KMSKey, bucketKey: p.BucketKey}.set(h, r)
}

// refuseEncryption refuses headers that choose an encryption in requests that
// create no object.
func (r *Request) refuseEncryption() error {
	for _, name := range []string{encryptionHeader, kmsKeyHeader, kmsContextHeader, bucketKeyHeader} {
		if r.HasHeader(name) {
			return s3err.New(s3err.InvalidArgument, "%s header is not supported for this operation.", strings.ToLower(name)).
				With("ArgumentName", strings.ToLower(name)).With("ArgumentValue", r.Header(name))
		}
	}
	return nil
}
