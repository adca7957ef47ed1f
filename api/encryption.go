package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/buckets"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// The headers that choose server-side encryption, and its kinds.
const (
	encryptionHeader = "X-Amz-Server-Side-Encryption"
	kmsKeyHeader     = encryptionHeader + "-Aws-Kms-Key-Id"
	kmsContextHeader = encryptionHeader + "-Context"
	bucketKeyHeader  = encryptionHeader + "-Bucket-Key-Enabled"

	encryptionAES = "AES256"
	encryptionKMS = "aws:kms"
)

// maxEncryptionContext bounds the decoded x-amz-server-side-encryption-context,
// in bytes.
const maxEncryptionContext = 8 << 10

// sealing is the encryption of an object, existing or about to be created.
type sealing struct {
	kind      meta.Encryption
	kmsKey    string // the id of the SSE-KMS key
	bucketKey bool
	customer  *engine.CustomerKey // of SSE-C
}

// encryption returns the encryption that the request wants for its new object.
// It is read once: the decision about the use of a key and the handler must not
// see two states of the bucket's settings, nor an error and then none.
func (r *Request) encryption() (sealing, error) {
	if !r.sealing.given {
		r.sealing = saying(r.readEncryption())
	}
	return r.sealing.get()
}

// readEncryption reads the header. The bucket's settings fill in the rest.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (r *Request) readEncryption() (e sealing, err error) {
	if e.customer, err = r.customerKey(); err != nil {
		return e, err
	}
	preset, err := r.server.engine.Buckets().Encryption(r.Context(), r.Bucket)
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
		return e, s3err.New(s3err.InvalidArgument,
			"Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms").
			With("ArgumentName", strings.ToLower(encryptionHeader)).With("ArgumentValue", asked)
	}
	return e, nil
}

// checkCustomer refuses SSE-C together with another encryption, and where the
// bucket blocks it.
func (r *Request) checkCustomer(preset buckets.Encryption) error {
	for _, name := range []string{encryptionHeader, kmsKeyHeader, kmsContextHeader} {
		if r.HasHeader(name) {
			return s3err.New(s3err.InvalidArgument,
				"Server Side Encryption with Customer provided key is incompatible with the encryption method specified").
				With("ArgumentName", strings.ToLower(name)).With("ArgumentValue", r.Header(name))
		}
	}
	if preset.NoCustomer {
		return s3err.New(s3err.AccessDenied, "Server Side Encryption with Customer provided keys is blocked for this bucket.")
	}
	return nil
}

// kms reads the SSE-KMS headers. The bucket's key applies unless the request
// names another one, for which it must ask for SSE-KMS itself.
func (r *Request) kms(asked string, preset buckets.Encryption) (e sealing, err error) {
	e.kind = meta.EncryptionKMS
	e.kmsKey, e.bucketKey = r.server.engine.Buckets().KeyName(), preset.BucketKey
	if preset.KMS && preset.KMSKey != "" {
		e.kmsKey = preset.KMSKey
	}
	if asked == "" && r.asked.kmsKey.given {
		return e, s3err.New(s3err.InvalidArgument,
			"Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms").
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

// parseSwitch parses true or false, in any case.
func parseSwitch(name, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, s3err.New(s3err.InvalidArgument, "").With("ArgumentName", strings.ToLower(name)).With("ArgumentValue", value)
}

// checkEncryptionContext checks the header's form: base64 of a JSON object of
// strings. Its value is not used, because every object is bound to its bucket,
// key and version by the gateway.
func (r *Request) checkEncryptionContext() error {
	if !r.HasHeader(kmsContextHeader) {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(r.Header(kmsContextHeader))
	var pairs map[string]string
	if err == nil && len(raw) <= maxEncryptionContext {
		err = json.Unmarshal(raw, &pairs)
	}
	if err != nil || len(raw) > maxEncryptionContext || pairs == nil { // JSON's null gives nil
		return s3err.New(s3err.InvalidArgument, "The header 'x-amz-server-side-encryption-context' shall be "+
			"Base64-encoded UTF-8 string holding JSON which represents a string-string map").
			With("ArgumentName", strings.ToLower(kmsContextHeader))
	}
	return nil
}

// kmsKeyARN is the ARN of a key, as it is shown for the target's bucket.
func (r *Request) kmsKeyARN(name string) string {
	return kmsKeyARN(r.server.region, accounts.Account(r.Bucket.Owner), name)
}

// kmsKey resolves the key that a client names: by ARN or id, by an alias equal
// to the id, or by AWS's alias of the S3 key. The key belongs to the bucket
// owner's account.
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
	switch name = r.server.engine.Buckets().KeyName(); id {
	case name, "alias/" + name, "alias/aws/s3":
		return name, nil
	}
	return "", s3err.New(s3err.KMSNotFound, "Key '%s' does not exist", asked)
}

// namedKey is the ARN of the key that a client names, for policies. An unknown
// name stays as it is; the operation refuses it.
func (r *Request) namedKey(asked string) string {
	name, err := r.kmsKey(asked)
	if err != nil {
		return asked
	}
	return r.kmsKeyARN(name)
}

// set shows the encryption in an answer's header.
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

// setEncryption shows an object's encryption.
func (r *Request) setEncryption(h http.Header, o *engine.Object) {
	sealing{kind: o.Encryption, kmsKey: o.Marks.KMSKey, bucketKey: o.Marks.BucketKey}.set(h, r)
}

// setPartEncryption shows a part's encryption, which is that of its upload.
func setPartEncryption(h http.Header, r *Request, p *engine.Part) {
	sealing{kind: p.Encryption, kmsKey: p.KMSKey, bucketKey: p.BucketKey}.set(h, r)
}

// refuseEncryption refuses headers that choose an encryption in a request that
// creates no object.
func (r *Request) refuseEncryption() error {
	for _, name := range []string{encryptionHeader, kmsKeyHeader, kmsContextHeader, bucketKeyHeader} {
		if r.HasHeader(name) {
			return s3err.New(s3err.InvalidArgument, "%s header is not supported for this operation.", strings.ToLower(name)).
				With("ArgumentName", strings.ToLower(name)).With("ArgumentValue", r.Header(name))
		}
	}
	return nil
}
