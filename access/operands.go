package access

import (
	"encoding/base64"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sanctum-storage/gateway/strict"
)

// operands are the values of a condition, all of one kind, compiled for its
// operator.
type operands interface {
	// compare compares a value of the request with each: matches if one
	// matches, or else unknown if a comparison was undecided.
	compare(op *operator, s string, e *env) verdict
	// has reports whether one of their variables has one of the keys.
	has(keys map[string]bool) bool
	// size is their memory, in bytes.
	size() int
}

// compiled parses all values. bad is the index of the first one that parse
// refuses, or -1.
func compiled[T any](values []string, parse func(s string) (T, bool)) (all []T, bad int) {
	all = make([]T, len(values))
	for i, s := range values {
		var ok bool
		if all[i], ok = parse(s); !ok {
			return nil, i
		}
	}
	return all, -1
}

// joined returns the same texts as parts of one string, which needs less memory
// than one string each.
func joined(values []string) []string {
	all := strings.Join(values, "")
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i], all = all[:len(v)], all[len(v):]
	}
	return parts
}

// anyOf is compare for operands for which hold is decisive.
func anyOf[T any](all []T, e *env, hold func(T) bool) verdict {
	e.meter().spend(stepsOperand * len(all))
	for _, o := range all {
		if hold(o) {
			return matches
		}
	}
	return differs
}

// constant is embedded in operands without variables.
type constant struct{}

func (constant) has(map[string]bool) bool { return false }

// templates are texts or patterns.
type templates []template

// compileExact compiles texts in which * and ? are literal.
func compileExact(values []string, variables bool) (operands, int) {
	all, bad := compiled(joined(values), func(s string) (template, bool) { return newTemplate(s, variables, false) })
	return templates(all), bad
}

// compilePatterns compiles texts in which * and ? are wildcards.
func compilePatterns(values []string, variables bool) (operands, int) {
	all, bad := compiled(joined(values), func(s string) (template, bool) { return newTemplate(s, variables, true) })
	return templates(all), bad
}

// compare stops at the first match. A text whose variables have no value leaves
// a doubt.
func (all templates) compare(op *operator, s string, e *env) verdict {
	doubt := differs
	for i := range all {
		if e.meter().over() {
			return unknown
		}
		match := all[i].match
		if op.folded {
			match = all[i].matchFolded
		}
		if ok, resolved := match(s, e); ok {
			return matches
		} else if !resolved {
			doubt = unknown
		}
	}
	return doubt
}

func (all templates) has(keys map[string]bool) bool {
	for i := range all {
		if all[i].has(keys) {
			return true
		}
	}
	return false
}

func (all templates) size() (n int) {
	for i := range all {
		n += all[i].size()
	}
	return n
}

// foldGrowth bounds how much longer a text may be than one that differs from it
// in case only.
const foldGrowth = utf8.UTFMax

// matchFolded is match for a text without wildcards, ignoring case.
func (t *template) matchFolded(s string, e *env) (matched, resolved bool) {
	e.meter().spend(stepsMatch + len(s))
	if !t.variables {
		return strings.EqualFold(t.text, s), true
	}
	if x := e.remembered(t, foldGrowth*len(s)); x != nil {
		return x.resolved && x.made && strings.EqualFold(x.glob.text, s), x.resolved
	}
	x := t.measure(e, s, false)
	if !x.resolved || x.least > foldGrowth*len(s) {
		return false, x.resolved
	}
	x.make(t, e)
	return strings.EqualFold(x.glob.text, s), true
}

// arnPatterns are ARNs. ArnEquals and ArnLike are the same.
type arnPatterns []arnPattern

// compileARNs compiles patterns of ARNs. A single variable may stand for a
// whole ARN.
func compileARNs(values []string, variables bool) (operands, int) {
	all, bad := compiled(values, func(s string) (a arnPattern, ok bool) {
		if !variables || !strings.HasPrefix(s, "${") || !strings.HasSuffix(s, "}") {
			return newARNPattern(s, variables, true)
		}
		a.whole = true
		a.resource, ok = newTemplate(s, true, true)
		return a, ok
	})
	return arnPatterns(all), bad
}

// compare treats a value that is not an ARN as different from every pattern
// except * and variables for a whole ARN.
func (all arnPatterns) compare(_ *operator, s string, e *env) verdict {
	parsed, isARN := parseARN(s)
	doubt := differs
	for i := range all {
		a := &all[i]
		if e.meter().over() {
			return unknown
		}
		var ok, resolved bool
		switch {
		case a.whole:
			ok, resolved = a.resource.match(s, e)
		case isARN:
			ok, resolved = a.match(&parsed, e)
		default:
			ok = a.any
		}
		if ok {
			return matches
		} else if !resolved {
			doubt = unknown
		}
	}
	return doubt
}

func (all arnPatterns) has(keys map[string]bool) bool {
	for i := range all {
		if all[i].has(keys) {
			return true
		}
	}
	return false
}

func (all arnPatterns) size() (n int) {
	for i := range all {
		n += all[i].size()
	}
	return n
}

// networks are networks. A single address is a network of one.
type networks struct {
	constant
	all []netip.Prefix
}

// compileNetworks compiles addresses and prefixes.
func compileNetworks(values []string, _ bool) (operands, int) {
	all, bad := compiled(values, parseNetwork)
	return networks{all: all}, bad
}

// parseNetwork parses an address or a prefix.
func parseNetwork(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, false
	}
	return p.Masked(), true
}

// compare ignores the zone of an address and how an IPv4 address is written.
func (n networks) compare(_ *operator, s string, e *env) verdict {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return unknown
	}
	a = a.Unmap().WithZone("")
	return anyOf(n.all, e, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (n networks) size() int { return sizeOf[netip.Prefix]() * len(n.all) }

// numbers are decimal numbers.
type numbers struct {
	constant
	all []float64
}

// compileNumbers compiles decimal numbers.
func compileNumbers(values []string, _ bool) (operands, int) {
	all, bad := compiled(values, parseNumber)
	return numbers{all: all}, bad
}

func (n numbers) compare(op *operator, s string, e *env) verdict {
	f, ok := parseNumber(s)
	if !ok {
		return unknown
	}
	return anyOf(n.all, e, func(o float64) bool { return op.number(f, o) })
}

func (n numbers) size() int { return 8 * len(n.all) }

// parseNumber parses a decimal number, in none of Go's other forms. Infinities,
// NaN and hexadecimal are among those.
func parseNumber(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "+-.eE0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// times are points in time.
type times struct {
	constant
	all []time.Time
}

// compileTimes compiles points in time.
func compileTimes(values []string, _ bool) (operands, int) {
	all, bad := compiled(values, parseTime)
	return times{all: all}, bad
}

func (n times) compare(op *operator, s string, e *env) verdict {
	t, ok := parseTime(s)
	if !ok {
		return unknown
	}
	return anyOf(n.all, e, func(o time.Time) bool { return op.time(t.Compare(o)) })
}

func (n times) size() int { return sizeOf[time.Time]() * len(n.all) }

// yearDigits is the length up to which a number is a year. A longer number
// counts seconds since 1970.
const yearDigits = 4

// parseTime parses the W3C's forms of ISO 8601, and seconds since 1970.
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

// truths tell which of the two values are listed.
type truths struct {
	constant
	no, yes bool
}

// compileTruths compiles true and false, in any case.
func compileTruths(values []string, _ bool) (operands, int) {
	all, bad := compiled(values, parseTruth)
	return truths{no: slices.Contains(all, false), yes: slices.Contains(all, true)}, bad
}

func parseTruth(s string) (truth, ok bool) {
	truth = strings.EqualFold(s, "true")
	return truth, truth || strings.EqualFold(s, "false")
}

func (n truths) holds(truth bool) bool { return truth && n.yes || !truth && n.no }

func (n truths) compare(_ *operator, s string, _ *env) verdict {
	if truth, ok := parseTruth(s); ok {
		return verdictOf(n.holds(truth))
	}
	return unknown
}

func (truths) size() int { return sizeOf[truths]() }

// binaries are bytes, written in base64.
type binaries struct {
	constant
	all []string
}

// compileBinaries compiles standard base64 with padding.
func compileBinaries(values []string, _ bool) (operands, int) {
	all, bad := compiled(values, func(s string) (string, bool) {
		b, err := base64.StdEncoding.DecodeString(s)
		return string(b), err == nil
	})
	return binaries{all: all}, bad
}

func (n binaries) compare(_ *operator, s string, e *env) verdict {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return unknown
	}
	return anyOf(n.all, e, func(o string) bool { return o == string(b) })
}

func (n binaries) size() (size int) {
	for _, b := range n.all {
		size += sizeOf[string]() + stringSize(b)
	}
	return size
}
