package api

import (
	"slices"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/meta"
)

// readingActions decrypt an object.
var readingActions = []string{"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"}

// keyUse returns the use of an SSE-KMS key by a need, which the principal's
// policies may deny. Reading decrypts, and so does a comparison with what is
// there, because an entity tag is a digest of the bytes. Creating an object
// generates a data key; for an upload each part does, and its completion,
// because another than the sender may have begun it. A rename is asked when it
// reads the source.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
func (r *Request) keyUse(action string, o *object) (*access.KeyUse, error) {
	switch {
	case !r.Principal.DeniesKeys():
		return nil, nil
	case slices.Contains(readingActions, action):
		return r.useToRead(o)
	case action != "s3:PutObject" || o != &r.object:
		return nil, nil
	case slices.Contains(makings, r.Op.Name):
		e, err := r.encryption()
		if err != nil || e.kind != meta.EncryptionKMS {
			return nil, nil // the handler refuses malformed headers
		}
		return r.useKey(access.GenerateDataKey, o, e.kmsKey, e.bucketKey), nil
	case slices.Contains(fillings, r.Op.Name):
		return r.useToFill(o)
	}
	return nil, nil
}

// useToRead is the use of the key of what there is.
func (r *Request) useToRead(o *object) (*access.KeyUse, error) {
	if found, err := r.look(o); err != nil || !found.NeedsKMS() {
		return nil, err
	}
	was, err := r.marksOf(o)
	if isAbsent(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return r.useKey(access.DecryptKey, o, was.Marks.KMSKey, was.Marks.BucketKey), nil
}

// useToFill is the use of the key of the request's upload.
func (r *Request) useToFill(o *object) (*access.KeyUse, error) {
	u, err := r.underway()
	if err != nil || u == nil || u.Encryption != meta.EncryptionKMS {
		return nil, err
	}
	return r.useKey(access.GenerateDataKey, o, u.Marks.KMSKey, u.Marks.BucketKey), nil
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
