package access

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// forAll is a bucket policy whose statements allow everybody to read, each
// under a condition.
func forAll(t testing.TB, conditions ...any) *Policy {
	t.Helper()
	var statements []any
	for _, c := range conditions {
		s := map[string]any{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
		if c != nil {
			s["Condition"] = c
		}
		statements = append(statements, s)
	}
	doc, err := json.Marshal(map[string]any{"Version": version2012, "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseBucketPolicy("p", "b", doc)
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return p
}

type object = map[string]any

func from(networks ...string) object { return object{"IpAddress": object{"aws:SourceIp": networks}} }

// blocks are n networks of some length, starting with the first.
func blocks(first string, n int) (all []string) {
	p := netip.MustParsePrefix(first)
	a := p.Addr().AsSlice()
	for range n {
		addr, _ := netip.AddrFromSlice(a)
		all = append(all, netip.PrefixFrom(addr, p.Bits()).String())
		for i := (p.Bits() - 1) / 8; i >= 0; i-- { // the next network
			step := 1
			if i == (p.Bits()-1)/8 {
				step = 1 << (7 - (p.Bits()-1)%8)
			}
			sum := int(a[i]) + step
			if a[i] = byte(sum); sum < 256 {
				break
			}
		}
	}
	return all
}

// TestPublicByMeaning: a policy is public by its effect on anonymous requests
// from anywhere, whatever its wording.
func TestPublicByMeaning(t *testing.T) {
	org := object{"StringEquals": object{"aws:PrincipalOrgID": "o-1"}}
	for _, c := range []struct {
		name       string
		conditions []any
		public     bool
	}{
		{"no condition", []any{nil}, true},
		{"userid", []any{object{"StringEquals": object{"aws:userid": "anonymous"}}}, true},
		{"userid in another case", []any{object{"StringEqualsIgnoreCase": object{"AWS:UserID": "ANONYMOUS"}}}, true},
		{"userid like", []any{object{"StringLike": object{"aws:userid": "anonymous"}}}, true},
		{"userid among others", []any{object{"StringEquals": object{"aws:userid": []string{"AIDAX", "anonymous"}}}}, true},
		{"any userid", []any{object{"ForAnyValue:StringEquals": object{"aws:userid": []string{"anonymous"}}}}, true},
		{"another's userid", []any{object{"StringEquals": object{"aws:userid": "AIDAX"}}}, false},
		{"principal type", []any{object{"StringEquals": object{"aws:PrincipalType": "Anonymous"}}}, true},
		{"no service", []any{object{"Bool": object{"aws:PrincipalIsAWSService": "false"}}}, true},
		{"transport", []any{object{"Bool": object{"aws:SecureTransport": []string{"true", "false"}}}}, true},
		{"TLS", []any{object{"NumericGreaterThanEquals": object{"s3:TlsVersion": "1.2"}}}, true},
		{"a date", []any{object{"DateGreaterThan": object{"aws:CurrentTime": "2020-01-01T00:00:00Z"}}}, true},
		{"seconds", []any{object{"NumericGreaterThan": object{"aws:EpochTime": "1"}}}, true},
		{"user agent", []any{object{"StringEquals": object{"aws:UserAgent": "secret"}}}, true},
		{"referer", []any{object{"StringLike": object{"aws:Referer": "https://example.com/*"}}}, true},
		{"a header", []any{object{"StringEquals": object{"s3:x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:us-east-1:111111111111:key/k"}}}, true},
		{"resource account", []any{object{"StringEquals": object{"s3:ResourceAccount": "111111111111"}}}, true},
		{"not there", []any{object{"Null": object{"aws:PrincipalOrgID": "true"}}}, true},
		{"there", []any{object{"Null": object{"aws:PrincipalOrgID": "false"}}}, true},
		{"unlike", []any{object{"StringNotEquals": object{"aws:PrincipalAccount": "111111111111"}}}, true},
		{"ARN unlike", []any{object{"ArnNotLike": object{"aws:PrincipalArn": "arn:aws:iam::111111111111:role/x"}}}, true},
		{"if there", []any{object{"StringEqualsIfExists": object{"aws:PrincipalOrgID": "o-1"}}}, true},
		{"all values", []any{object{"ForAllValues:StringEquals": object{"aws:SourceVpc": "vpc-1"}}}, true},
		{"a variable", []any{object{"StringEquals": object{"aws:PrincipalOrgID": "${aws:PrincipalOrgID}"}}}, true},
		{"a variable's default", []any{object{"StringEquals": object{"aws:userid": "${aws:username, 'anonymous'}"}}}, true},
		{"its own variable", []any{object{"StringEquals": object{"aws:userid": "${aws:userid}"}}}, true},
		{"a wildcard", []any{object{"StringLike": object{"aws:userid": "a*"}}}, true},
		{"question marks", []any{object{"StringLike": object{"aws:userid": "?????????"}}}, true},
		{"all ARNs", []any{object{"ArnLike": object{"aws:SourceArn": "*"}}}, true},
		{"an organization", []any{org}, false},
		{"an organization, and everybody", []any{org, nil}, true},
		{"two bounds in one", []any{object{"StringEquals": object{"aws:PrincipalOrgID": "o-1", "aws:userid": "anonymous"}}}, false},

		{"a network", []any{from("203.0.113.0/24")}, false},
		{"a network of a text", []any{object{"StringEquals": object{"aws:SourceIp": "203.0.113.1"}}}, true},
		{"one /8", []any{from("17.0.0.0/8")}, false},
		{"one /7", []any{from("16.0.0.0/7")}, true},
		{"256 of /8", []any{from(blocks("0.0.0.0/8", 256)...)}, true},
		{"2 of /8", []any{from("17.0.0.0/8", "19.0.0.0/8")}, true},
		{"two halves", []any{from("0.0.0.0/1", "128.0.0.0/1")}, true},
		{"two halves in two statements", []any{from("0.0.0.0/1"), from("128.0.0.0/1")}, true},
		{"256 of /8 in as many statements", func() (all []any) {
			for _, n := range blocks("0.0.0.0/8", 100) {
				all = append(all, from(n))
			}
			return all
		}(), true},
		{"256 of /16", []any{from(blocks("17.0.0.0/16", 256)...)}, false},
		{"257 of /16", []any{from(blocks("17.0.0.0/16", 257)...)}, true},
		{"the same again", []any{from("17.0.0.0/8", "17.0.0.0/8", "17.1.0.0/16"), from("17.0.0.0/8")}, false},
		{"half of it, and half", []any{from("17.0.0.0/9"), from("17.128.0.0/9")}, false},
		{"half of it, half, and one more", []any{from("17.0.0.0/9"), from("17.128.0.0/9", "18.0.0.1")}, true},
		{"private networks", []any{from("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "17.0.0.0/8")}, false},
		{"more than private", []any{from("172.0.0.0/8", "17.0.0.0/8")}, true},
		{"every address but some", []any{object{"NotIpAddress": object{"aws:SourceIp": "203.0.113.0/24"}}}, true},
		{"if there is an address", []any{object{"IpAddressIfExists": object{"aws:SourceIp": "203.0.113.0/24"}}}, true},
		{"a network, or an organization", []any{from("17.0.0.0/8"), org}, false},
		{"a large network of an organization",
			[]any{object{"IpAddress": object{"aws:SourceIp": "0.0.0.0/0"}, "StringEquals": object{"aws:PrincipalOrgID": "o-1"}}}, false},
		{"a network and a header", []any{object{"IpAddress": object{"aws:SourceIp": "17.0.0.0/8"}, "StringEquals": object{"aws:Referer": "x"}}}, false},
		{"IPv6: one /32", []any{from("2001:db8::/32")}, false},
		{"IPv6: one /31", []any{from("2001:db8::/31")}, true},
		{"IPv6: a provider's /32s", []any{from(blocks("2a00::/32", 8)...)}, false},
		{"IPv6: one more", []any{from(append(blocks("2a00::/32", 8), "2b00::1")...)}, true},
		{"IPv6: many of /32", []any{from(blocks("2a00::/32", 300)...)}, true},
		{"IPv6: all", []any{from("::/0")}, true},
		{"both", []any{from("17.0.0.0/8", "2a00::/32")}, false},
	} {
		p := forAll(t, c.conditions...)
		if p.Public() != c.public {
			t.Errorf("%s: public is %v", c.name, p.Public())
		}
		grants := Decide(&Principal{}, Context{"aws:sourceip": {"203.0.113.7"}}, Need{Action: "s3:GetObject", Key: "k", Bucket: &Bucket{
			Name: "b", Owner: ID{1}, Account: "111111111111", Policy: p, Block: PublicAccessBlock{RestrictPublicBuckets: true}}})
		if c.public && grants.Allow {
			t.Errorf("%s: the block lets it through: %+v", c.name, grants)
		}
	}
}

// drawnConditions are conditions from a grammar with everything that bounds
// everybody, or seems to.
func drawnConditions(rng *rand.Rand) object {
	pick := func(all ...string) string { return all[rng.IntN(len(all))] }
	c := object{}
	for range 1 + rng.IntN(3) {
		quantity := pick("", "", "", "ForAllValues:", "ForAnyValue:")
		exists := pick("", "", "", "IfExists")
		switch rng.IntN(6) {
		case 0, 1:
			key := pick("aws:userid", "aws:PrincipalType", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:SourceVpc", "aws:username", "aws:Referer",
				"aws:UserAgent", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:ResourceAccount", "s3:x-amz-acl", "s3:DataAccessPointAccount", "aws:PrincipalTag/a", "aws:SourceAccount")
			value := pick("anonymous", "ANONYMOUS", "Anonymous", "a*", "*", "?????????", "111111111111", "o-1", "vpc-1",
				"${aws:userid}", "${aws:username, 'anonymous'}", "${*}", "")
			op := pick("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike")
			c[quantity+op+exists] = object{key: []string{value, pick(value, "AIDAX", "anonymous")}}
		case 2:
			c[quantity+pick("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike")+exists] = object{pick("aws:PrincipalArn",
				"aws:SourceArn"): pick("*", "arn:aws:iam::111111111111:role/x", "arn:aws:iam::*:role/x", "arn:aws:iam::111111111111:root")}
		case 3:
			var networks []string
			for range 1 + rng.IntN(3) {
				a := netip.AddrFrom4([4]byte{byte(rng.UintN(256)), byte(rng.UintN(256)), byte(rng.UintN(256)), 0})
				networks = append(networks, netip.PrefixFrom(a, max(rng.IntN(33), rng.IntN(33))).Masked().String())
			}
			c[quantity+pick("IpAddress", "IpAddress", "IpAddress", "NotIpAddress")+exists] = object{"aws:SourceIp": networks}
		case 4:
			c["Null"] = object{pick("aws:userid", "aws:PrincipalOrgID", "aws:PrincipalArn", "aws:TokenIssueTime"): pick("true", "false")}
		case 5:
			c["Bool"] = object{pick("aws:SecureTransport", "aws:PrincipalIsAWSService"): pick("true", "false")}
		}
	}
	return c
}

// leaks looks for anonymous requests from public addresses that the policy
// allows although it is judged not public: from more of the drawn addresses
// than the bound lets any policy have.
func leaks(rng *rand.Rand, p *Policy) (through int, last string) {
	bucket := &Bucket{Name: "b", Owner: ID{1}, Account: "111111111111", Policy: p}
	values := func() []string {
		return []string{[]string{"anonymous", "111111111111", "o-1", "vpc-1", "a*", "x", "ANONYMOUS"}[rng.IntN(7)]}
	}
	for range drawnAddresses {
		a := netip.AddrFrom4([4]byte{byte(11 + rng.UintN(116)), byte(rng.UintN(256)), byte(rng.UintN(256)), byte(rng.UintN(256))}).String()
		request := Context{"aws:sourceip": {a}, "aws:securetransport": {[]string{"true", "false"}[rng.IntN(2)]}, "aws:referer": values(), "aws:useragent": values(),
			"s3:x-amz-server-side-encryption-aws-kms-key-id": values(), "s3:x-amz-acl": values()}
		if d := Decide(&Principal{}, request, Need{Action: "s3:GetObject", Key: "k", Bucket: bucket}); d.Allow {
			through, last = through+1, fmt.Sprint(request)
		}
	}
	return through, last
}

// drawnAddresses are from 116 of the 256 networks of /8. At most one such
// network may be open, so that more than leastLeaks of them are never open by
// chance.
const (
	drawnAddresses = 100
	leastLeaks     = 15
)

// TestNotPublicIsNotPublic generates policies. None that is judged not public
// allows anonymous requests from everywhere, whatever their headers.
func TestNotPublicIsNotPublic(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 5))
	public, closed, open := 0, 0, 0
	for range 6_000 {
		var conditions []any
		for range 1 + max(0, rng.IntN(5)-2) {
			conditions = append(conditions, drawnConditions(rng))
		}
		text, _ := json.Marshal(conditions)
		p := forAll(t, conditions...)
		if p.Public() {
			public++
			continue
		}
		closed++
		if n, request := leaks(rng, p); n > leastLeaks {
			open++
			t.Errorf("%s lets %d of %d through, %s (seed %d)", text, n, drawnAddresses, request, seed)
			if open > 5 {
				t.FailNow()
			}
		}
	}
	if public < 200 || closed < 200 {
		t.Errorf("%d public, %d not: the grammar draws too few of a kind", public, closed)
	}
}

// TestUnionOfNetworks generates networks and counts their union independently,
// in networks of /16.
func TestUnionOfNetworks(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 6))
	seen := map[bool]int{}
	for range 3000 {
		var all []netip.Prefix
		held := make(map[uint16]bool)
		for range 1 + rng.IntN(40) {
			bits := 8 + rng.IntN(9)
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + rng.UintN(3)), byte(rng.UintN(256)), 0, 0}), bits).Masked()
			all = append(all, p)
			a := p.Addr().As4()
			for i := range 1 << (16 - bits) {
				held[uint16(a[0])<<8|uint16(int(a[1])+i)] = true
			}
		}
		want := len(held) > 256
		seen[want]++
		if got := broad(all); got != want {
			t.Fatalf("%v: broad is %v, with %d of /16 (seed %d)", all, got, len(held), seed)
		}
		slices.Reverse(all)
		if broad(all) != want {
			t.Fatalf("%v: another order, another answer (seed %d)", all, seed)
		}
	}
	if seen[true] < 100 || seen[false] < 100 {
		t.Errorf("drawn %v", seen)
	}
	if n := strings.Count(fmt.Sprint(blocks("0.0.0.0/8", 256)), "/8"); n != 256 {
		t.Errorf("%d blocks", n)
	}
}
