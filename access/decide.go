package access

import (
	"fmt"
	"strings"
)

// Decide allows the principal's request when every need is allowed. A request
// without needs is denied: authorization cannot be forgotten by leaving it out.
func Decide(p *Principal, request Context, needs ...Need) Decision {
	if len(needs) == 0 {
		return Decision{Reason: "no need was stated"}
	}
	var d Decision
	for i := range needs {
		if d = decide(p, request, &needs[i]); !d.Allow {
			return d
		}
	}
	return d
}

func decide(p *Principal, request Context, n *Need) Decision {
	switch {
	case n.Action == "":
		return Decision{Reason: "a need without an action"}
	case p.Kind == Nobody:
		return Decision{Reason: "anonymous"}
	case p.ID == ID{} || p.Tenant == ID{}:
		return Decision{Reason: "a principal without an id"}
	case p.Operator && p.Kind == Root:
		return Decision{Allow: true, Reason: "operator"}
	case !strings.HasPrefix(n.Action, "s3:"):
	case n.Action == CreateBucket || n.Action == ListAllMyBuckets:
		return Decision{Allow: p.Kind == Root, Reason: "root of the account"}
	case n.Bucket != nil && n.Bucket.Owner == p.Tenant:
		return Decision{Allow: p.Kind == Root, Reason: "root of the bucket's owner"}
	}
	return Decision{Reason: fmt.Sprintf("%s is not granted", n.Action)}
}
