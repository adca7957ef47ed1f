package api

import (
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// The uses of a key by SSE-KMS.
const (
	useDecrypt  = "kms:Decrypt"
	useGenerate = "kms:GenerateDataKey"
)

// readingActions decrypt an object.
var readingActions = []string{"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"}

// keyUse returns the use of an SSE-KMS key by a need, which the principal's
// policies may deny. Reading decrypts; creating an object generates a data key.
// For an upload it is asked when the upload starts, and for a rename when it
// reads the source.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
func (r *Request) keyUse(action string, o *object) (*access.KeyUse, error) {
	p := &r.Principal
	switch {
	case len(p.Identity) == 0 && len(p.Session) == 0 && p.Boundary == nil:
		return nil, nil // no policy that could deny
	case slices.Contains(readingActions, action):
		if o.found == nil || !o.found.NeedsKMS() {
			return nil, nil
		}
		was, err := r.marksOf(o)
		if isAbsent(err) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		return r.useKey(useDecrypt, o, was.Marks.KMSKey, was.Marks.BucketKey), nil
	case action == "s3:PutObject" && slices.Contains(makings, r.Op.Name) && o == &r.object:
		e, err := r.encryption()
		if err != nil || e.kind != meta.EncryptionKMS {
			return nil, nil // the handler refuses malformed headers
		}
		return r.useKey(useGenerate, o, e.kmsKey, e.bucketKey), nil
	}
	return nil, nil
}

// useKey describes the use of a key for an object as AWS KMS would see it.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
func (r *Request) useKey(action string, o *object, name string, bucketKey bool) *access.KeyUse {
	of := "arn:aws:s3:::" + o.bucket.Name
	if !bucketKey {
		of += "/" + o.key
	}
	c := access.Context{}
	c.Add("kms:ViaService", "s3."+r.server.region+".amazonaws.com")
	c.Add("kms:CallerAccount", r.Principal.Account)
	c.Add("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT")
	c.Add("kms:EncryptionContext:aws:s3:arn", of)
	c.Add("kms:EncryptionContextKeys", "aws:s3:arn")
	c.Add("kms:ResourceAliases", "alias/"+name, "alias/aws/s3")
	return &access.KeyUse{Action: action, ARN: kmsKeyARN(r.server.region, accounts.Account(o.bucket.Owner), name), Context: c}
}

// kmsKeyARN makes the ARN of a key. The gateway has one key, that of its key
// provider, whose name is the key's id.
func kmsKeyARN(region, account, name string) string {
	return "arn:aws:kms:" + region + ":" + account + ":key/" + name
}
