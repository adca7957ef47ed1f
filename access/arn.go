package access

import "strings"

// arn is a parsed Amazon Resource Name. Its partition does not matter.
type arn struct {
	service, region, account, resource string
}

// parseARN parses "arn:partition:service:region:account:resource".
func parseARN(s string) (arn, bool) {
	f, ok := cutARN(s)
	if !ok || !isPartition(f[1]) {
		return arn{}, false
	}
	return arn{f[2], f[3], f[4], f[5]}, true
}

// cutARN splits at the first five colons, except those within ${ }. A resource
// may have further colons.
func cutARN(s string) (fields [6]string, ok bool) {
	n, start, inside := 0, 0, false
	for i := 0; i < len(s) && n < 5; i++ {
		switch {
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			inside = true
		case s[i] == '}':
			inside = false
		case s[i] == ':' && !inside:
			fields[n] = s[start:i]
			n++
			start = i + 1
		}
	}
	fields[n] = s[start:]
	return fields, n == 5 && fields[0] == "arn"
}

// isPartition accepts aws, aws-cn, aws-us-gov and similar names.
func isPartition(s string) bool { return s == "aws" || strings.HasPrefix(s, "aws-") }

// arnPattern matches ARNs field by field, so that a wildcard never extends
// beyond one of the first five colons.
type arnPattern struct {
	any      bool // "*"
	whole    bool // one variable is the whole ARN, in resource
	fields   *[3]template
	resource template
}

// plainS3 are the fields of S3's resources: service s3, no region, no account.
// Nearly all patterns share this value.
var plainS3 = &[3]template{{text: "s3", first: uint32(len("s3"))}}

// newARNPattern compiles a pattern. It reports false if that is neither "*" nor
// an ARN.
func newARNPattern(s string, variables, wildcards bool) (a arnPattern, ok bool) {
	if s == "*" && wildcards {
		return arnPattern{any: true}, true
	}
	f, ok := cutARN(s)
	if !ok || !isPartition(f[1]) && !(wildcards && strings.ContainsAny(f[1], "*?")) {
		return arnPattern{}, false
	}
	if a.fields = plainS3; f[2] != "s3" || f[3] != "" || f[4] != "" {
		a.fields = new([3]template)
		for i := range a.fields {
			if a.fields[i], ok = newTemplate(f[2+i], variables, wildcards); !ok {
				return arnPattern{}, false
			}
		}
	}
	a.resource, ok = newTemplate(f[5], variables, wildcards)
	return a, ok
}

// match reports whether the ARN matches, and whether all variables had a value.
func (a *arnPattern) match(r *arn, e *env) (matched, resolved bool) {
	if a.any {
		return true, true
	}
	// The pointer alone tells that the fields are S3's, so they need no matching.
	if a.fields == plainS3 {
		if r.service != "s3" || r.region != "" || r.account != "" {
			return false, true
		}
		return a.resource.match(r.resource, e)
	}
	for i, text := range [...]string{r.service, r.region, r.account} {
		if matched, resolved = a.fields[i].match(text, e); !matched {
			return false, resolved
		}
	}
	return a.resource.match(r.resource, e)
}

// isFixed reports that the pattern has no wildcards and no variables.
func (a *arnPattern) isFixed() bool {
	if a.any || a.whole {
		return false
	}
	for i := range a.fields {
		if !a.fields[i].isFixed() {
			return false
		}
	}
	return a.resource.isFixed()
}

// has reports whether a variable of the pattern has one of the keys.
func (a *arnPattern) has(keys map[string]bool) bool {
	for i := range a.fields {
		if a.fields != nil && a.fields[i].has(keys) {
			return true
		}
	}
	return a.resource.has(keys)
}

var arnPatternSize = sizeOf[arnPattern]()

// size is the pattern's memory, in bytes.
func (a *arnPattern) size() int {
	n := arnPatternSize + stringSize(a.resource.text)
	if a.fields != nil && a.fields != plainS3 {
		for i := range a.fields {
			n += a.fields[i].size()
		}
	}
	return n
}
