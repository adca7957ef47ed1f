package access

import (
	"bytes"
	"encoding/base64"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/strict"
)

// operand is a value of a condition, compiled for its operator.
type operand struct {
	template template
	arn      arnPattern
	number   float64
	time     time.Time
	network  netip.Prefix
	truth    bool
	bytes    []byte
}

// verdict is what comparing a value of the request with one of the policy gives.
type verdict uint8

const (
	differs verdict = iota
	matches
	// unknown: a variable of the policy has no value, or the request's value is
	// not of the operator's type. It never helps to allow anything.
	unknown
)

func verdictOf(ok bool) verdict {
	if ok {
		return matches
	}
	return differs
}

// operator is a condition operator without its qualifier and IfExists.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type operator struct {
	name    string
	negated bool
	null    bool // asks only whether the key is there
	// parse compiles a value; false when it is not of the operator's type.
	parse func(s string, variables bool) (operand, bool)
	match func(o *operand, s string, e *env) verdict
}

var operators = func() map[string]*operator {
	m := make(map[string]*operator)
	add := func(o operator) { m[o.name] = &o }
	pair := func(name, negation string, o operator) {
		o.name = name
		add(o)
		o.name, o.negated = negation, true
		add(o)
	}
	pair("StringEquals", "StringNotEquals", operator{parse: parseExact, match: matchString})
	pair("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", operator{parse: parseExact, match: matchFolded})
	pair("StringLike", "StringNotLike", operator{parse: parsePattern, match: matchString})
	pair("ArnEquals", "ArnNotEquals", operator{parse: parseARNOperand, match: matchARN})
	pair("ArnLike", "ArnNotLike", operator{parse: parseARNOperand, match: matchARN})
	pair("IpAddress", "NotIpAddress", operator{parse: parseNetwork, match: matchNetwork})
	pair("NumericEquals", "NumericNotEquals", numeric(func(a, b float64) bool { return a == b }))
	pair("DateEquals", "DateNotEquals", dated(func(c int) bool { return c == 0 }))
	for suffix, holds := range map[string]func(c int) bool{
		"LessThan":          func(c int) bool { return c < 0 },
		"LessThanEquals":    func(c int) bool { return c <= 0 },
		"GreaterThan":       func(c int) bool { return c > 0 },
		"GreaterThanEquals": func(c int) bool { return c >= 0 },
	} {
		n := numeric(func(a, b float64) bool {
			switch {
			case a < b:
				return holds(-1)
			case a > b:
				return holds(1)
			}
			return holds(0)
		})
		n.name = "Numeric" + suffix
		add(n)
		d := dated(holds)
		d.name = "Date" + suffix
		add(d)
	}
	add(operator{name: "Bool", parse: parseTruth, match: matchTruth})
	add(operator{name: "Null", null: true, parse: parseTruth})
	add(operator{name: "BinaryEquals", parse: parseBinary, match: matchBinary})
	return m
}()

func parseExact(s string, variables bool) (o operand, ok bool) {
	o.template, ok = newTemplate(s, variables, false)
	return o, ok
}

func parsePattern(s string, variables bool) (o operand, ok bool) {
	o.template, ok = newTemplate(s, variables, true)
	return o, ok
}

func matchString(o *operand, s string, e *env) verdict {
	ok, resolved := o.template.match(s, e)
	if !resolved {
		return unknown
	}
	return verdictOf(ok)
}

func matchFolded(o *operand, s string, e *env) verdict {
	g, resolved := o.template.expand(e)
	if !resolved {
		return unknown
	}
	text, _ := g.literal()
	return verdictOf(strings.EqualFold(text, s))
}

// ArnEquals and ArnLike are the same.
func parseARNOperand(s string, variables bool) (o operand, ok bool) {
	// A variable may stand for the whole ARN.
	if variables && strings.HasPrefix(s, "${") && strings.HasSuffix(s, "}") {
		o.template, ok = newTemplate(s, true, true)
		return o, ok
	}
	o.arn, ok = newARNPattern(s, variables, true)
	return o, ok
}

func matchARN(o *operand, s string, e *env) verdict {
	if o.template.fixed != nil || o.template.pieces != nil {
		return matchString(o, s, e)
	}
	a, ok := parseARN(s)
	if !ok {
		if o.arn.any {
			return matches
		}
		return unknown
	}
	ok, resolved := o.arn.match(&a, e)
	if !resolved {
		return unknown
	}
	return verdictOf(ok)
}

func parseNetwork(s string, _ bool) (o operand, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		o.network = netip.PrefixFrom(a, a.BitLen())
		return o, true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return o, false
	}
	o.network = p.Masked()
	return o, true
}

func matchNetwork(o *operand, s string, _ *env) verdict {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return unknown
	}
	return verdictOf(o.network.Contains(a.Unmap().WithZone("")))
}

func numeric(holds func(a, b float64) bool) operator {
	return operator{
		parse: func(s string, _ bool) (o operand, ok bool) {
			o.number, ok = parseNumber(s)
			return o, ok
		},
		match: func(o *operand, s string, _ *env) verdict {
			n, ok := parseNumber(s)
			if !ok {
				return unknown
			}
			return verdictOf(holds(n, o.number))
		},
	}
}

// parseNumber reads a decimal number, and none of the other forms that Go knows.
func parseNumber(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "+-.eE0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

func dated(holds func(c int) bool) operator {
	return operator{
		parse: func(s string, _ bool) (o operand, ok bool) {
			o.time, ok = parseTime(s)
			return o, ok
		},
		match: func(o *operand, s string, _ *env) verdict {
			t, ok := parseTime(s)
			if !ok {
				return unknown
			}
			return verdictOf(holds(t.Compare(o.time)))
		},
	}
}

// yearDigits is the length up to which a number is a year; a longer one counts
// seconds since 1970.
const yearDigits = 4

// parseTime reads the W3C's forms of ISO 8601, and seconds since 1970.
func parseTime(s string) (time.Time, bool) {
	if len(s) > yearDigits && strings.Trim(s, "0123456789") == "" {
		n, ok := strict.Number(s, math.MaxInt64)
		return time.Unix(n, 0), ok
	}
	if t, ok := strict.DateTime(s); ok {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04Z", "2006-01-02T15:04-07:00", "2006-01-02", "2006-01", "2006"} {
		if t, ok := strict.Time(layout, s); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

func parseTruth(s string, _ bool) (o operand, ok bool) {
	o.truth = strings.EqualFold(s, "true")
	return o, o.truth || strings.EqualFold(s, "false")
}

func matchTruth(o *operand, s string, _ *env) verdict {
	if got, ok := parseTruth(s, false); ok {
		return verdictOf(got.truth == o.truth)
	}
	return unknown
}

func parseBinary(s string, _ bool) (o operand, ok bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	o.bytes = b
	return o, err == nil
}

func matchBinary(o *operand, s string, _ *env) verdict {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return unknown
	}
	return verdictOf(bytes.Equal(b, o.bytes))
}
