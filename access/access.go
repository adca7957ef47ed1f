// Package access decides who may do what, and says why. It knows principals,
// needs and decisions; it never reads a request, a store or a clock, and it
// never answers a client.
package access

import "fmt"

// ID names a user, as the store does. The zero value names nobody.
type ID [16]byte

// Principal is who a request comes from, as its signature proved.
type Principal struct {
	ID        ID
	Name      string // for logs and listings; decides nothing
	Root      bool   // the deployment's own user
	Anonymous bool   // nobody: no signature was given
}

// Need is one thing that a request asks to be allowed.
type Need struct {
	Action string // an S3 action, such as "s3:GetObject"
	Bucket string // empty: not about one bucket
	Key    string // empty: not about one object
	// BucketOwner is the owner of Bucket; zero when Action is not about an
	// existing bucket.
	BucketOwner ID
}

// Actions that need no bucket to exist.
const (
	CreateBucket     = "s3:CreateBucket"
	ListAllMyBuckets = "s3:ListAllMyBuckets"
)

// Decision is the answer, with the reason for the log. The reason is never
// shown to the client: it would tell of what the client may not see.
type Decision struct {
	Allow  bool
	Reason string
}

// Decide allows the principal's request when every need is allowed. A request
// without needs is denied: authorization cannot be forgotten by leaving it out.
func Decide(p Principal, needs ...Need) Decision {
	if len(needs) == 0 {
		return Decision{Reason: "no need was stated"}
	}
	var d Decision
	for _, n := range needs {
		if d = decide(p, n); !d.Allow {
			return d
		}
	}
	return d
}

func decide(p Principal, n Need) Decision {
	switch {
	case n.Action == "":
		return Decision{Reason: "a need without an action"}
	case p.Anonymous:
		return Decision{Reason: "anonymous"}
	case p.ID == ID{}:
		return Decision{Reason: "a principal without an id"}
	case p.Root:
		return Decision{Allow: true, Reason: "root"}
	case n.Action == CreateBucket || n.Action == ListAllMyBuckets:
		return Decision{Allow: true, Reason: "every user may " + n.Action}
	case n.Bucket != "" && n.BucketOwner == p.ID:
		return Decision{Allow: true, Reason: "owner of the bucket"}
	}
	return Decision{Reason: fmt.Sprintf("%s is not granted", n.Action)}
}
