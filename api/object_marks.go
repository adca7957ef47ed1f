package api

import (
	"net/http"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
)

// newObject holds the settings in a request's header for the object that it
// creates, besides the attributes: ACL, tags, lock and encryption.
type newObject struct {
	engine.Marks
	sealing
}

// newObject reads them.
func (r *Request) newObject() (n newObject, err error) {
	if n.Marks.ACL, err = r.objectACL(); err != nil {
		return n, err
	}
	if n.Marks.Tags, err = r.asked.tags.get(); err != nil {
		return n, err
	}
	if n.Marks.Lock, n.Marks.HoldLifted, err = r.newLock(); err != nil {
		return n, err
	}
	if n.sealing, err = r.encryption(); err != nil {
		return n, err
	}
	n.Marks.KMSKey, n.Marks.BucketKey = n.kmsKey, n.bucketKey
	return n, nil
}

// markNeeds returns the rights that these settings need, besides the right to
// write.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func markNeeds(r *Request) []access.Need {
	var needs []access.Need
	if len(r.asked.tags.value) > 0 {
		needs = append(needs, r.need("s3:PutObjectTagging"))
	}
	if r.asked.lockMode.given || r.asked.lockUntil.given {
		needs = append(needs, r.need("s3:PutObjectRetention"))
	}
	if r.asked.hold.given {
		needs = append(needs, r.need("s3:PutObjectLegalHold"))
	}
	return needs
}

// setMarks shows the object's marks in the answer to a GET or HEAD, as far as
// the sender may see them.
func (r *Request) setMarks(h http.Header, o *engine.Object) {
	r.setEncryption(h, o)
	if n := len(o.Marks.Tags); n > 0 && r.decide(r.needVersion("s3:GetObjectTagging", "s3:GetObjectVersionTagging", &r.object)).Allow {
		h.Set("X-Amz-Tagging-Count", decimal(n))
	}
	r.setLock(h, &o.Marks)
}
