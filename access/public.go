package access

import (
	"net/netip"
	"slices"
	"strings"
)

// fixedKeys are condition keys that keep a policy from being public if they are
// held to fixed values. An anonymous caller cannot choose the value of any of
// them. So s3:x-amz-server-side-encryption-aws-kms-key-id, a header, is not
// among them, although AWS counts it.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
var fixedKeys = map[string]bool{
	"aws:principalarn": true, "aws:principalaccount": true, "aws:principalorgid": true,
	"aws:sourceip": true, "aws:sourcearn": true, "aws:sourcevpc": true, "aws:sourcevpce": true,
	"aws:sourceowner": true, "aws:sourceaccount": true, userIDKey: true,
	"s3:dataaccesspointarn": true, "s3:dataaccesspointaccount": true,
}

const (
	userIDKey = "aws:userid"
	// anonymousID is the aws:userid of unsigned requests.
	anonymousID = "anonymous"
)

// reach tells whom a statement for everybody reaches: everybody, or some
// networks. The zero value is nobody beyond fixed values.
type reach struct {
	everybody bool
	networks  []netip.Prefix
}

// reaches returns the reach of a statement; zero if it is not for everybody. It
// uses one condition that bounds it and ignores the others, which can only
// bound it further.
func (s *statement) reaches() reach {
	if s.deny || s.principals == nil || !(s.principals.all || s.principals.not) {
		return reach{}
	}
	r := reach{everybody: true}
	for i := range s.conditions {
		c := &s.conditions[i]
		if !c.fixes() {
			continue
		}
		n, ok := c.operands.(networks)
		if !ok {
			return reach{}
		}
		if r.everybody || len(n.all) < len(r.networks) {
			r = reach{networks: n.all}
		}
	}
	return r
}

// fixes reports whether the condition holds only for networks or for fixed
// values of one of fixedKeys that the request must have: values without a
// wildcard or a variable, and not those that every anonymous request has.
func (c *condition) fixes() bool {
	if !fixedKeys[c.key] || c.op.negated || c.ifExists || c.quantity == forAllValues {
		return false
	}
	switch all := c.operands.(type) {
	case templates:
		return c.key != "aws:sourceip" && !slices.ContainsFunc(all, func(t template) bool {
			return !t.isFixed() || c.key == userIDKey && strings.EqualFold(t.text, anonymousID)
		})
	case arnPatterns:
		return !slices.ContainsFunc(all, func(a arnPattern) bool { return !a.isFixed() })
	case networks:
		return c.key == "aws:sourceip"
	}
	return false
}

// Bounds of the networks that a policy may open without being public. The
// shortest prefixes are AWS's. AWS judges each network by itself. Here all
// networks of a policy together have a bound too, because 256 networks of one
// 256th each are everybody. The bound is one network of the shortest prefix for
// IPv4. For IPv6 it is a /29, the most that registries give to a provider
// without a justification.
const (
	broadIPv4 = 8
	broadIPv6 = 32
	// maxIPv4 is in addresses, maxIPv6 in networks of /64.
	maxIPv4 = 1 << (32 - broadIPv4)
	maxIPv6 = 1 << (64 - 29)
)

// privateNetworks are the networks of RFC 1918, which nobody has on the
// internet.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// broad reports whether networks together are so large that they amount to
// everybody.
func broad(all []netip.Prefix) bool {
	all = slices.Clone(all)
	// A network sorts before those that it contains, and only contained
	// networks come between.
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var last netip.Prefix
	var v4, v6 uint64
	for _, p := range all {
		private := func(n netip.Prefix) bool { return n.Bits() <= p.Bits() && n.Contains(p.Addr()) }
		switch {
		case last.IsValid() && last.Contains(p.Addr()), slices.ContainsFunc(privateNetworks, private):
			continue
		case p.Addr().Is4():
			if p.Bits() < broadIPv4 {
				return true
			}
			v4 += 1 << (32 - p.Bits())
		default:
			if p.Bits() < broadIPv6 {
				return true
			}
			v6 += 1 << max(0, 64-p.Bits())
		}
		last = p
	}
	return v4 > maxIPv4 || v6 > maxIPv6
}

// judge finds out whether the policy, and each statement of it, is public. A
// statement that is bounded by networks is public if the networks of all
// statements together are broad. As on AWS, statements that deny are ignored.
func (p *Policy) judge() {
	var all []netip.Prefix
	for i := range p.allows {
		all = append(all, p.allows[i].reaches().networks...)
	}
	open := broad(all)
	for i := range p.allows {
		r := p.allows[i].reaches()
		p.allows[i].public = r.everybody || open && len(r.networks) > 0
		p.public = p.public || p.allows[i].public
	}
}
