package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// postPolicy is the signed policy of a form.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
type postPolicy struct {
	expires    time.Time
	conditions []postCondition
	min, max   int64 // size of the file in bytes; max -1: unlimited
}

// postCondition tests one field.
type postCondition struct {
	field  string // in lower case, without the $
	value  string
	prefix bool   // starts-with; otherwise eq
	text   string // as errors show it
}

// Bounds of a policy's JSON. Conditions are lists in a list in an object; every
// field of a form may have several.
const (
	maxPolicyDepth  = 4
	maxPolicyValues = 8 * maxFormFields
)

// uncovered are fields that need no condition, besides x-ignore-*.
var uncovered = []string{"policy", "x-amz-signature", "awsaccesskeyid", "signature", "file"}

// badPolicy refuses a malformed policy, with S3's words.
func badPolicy(format string, args ...any) error {
	return s3err.New(s3err.InvalidPolicyDocument, "Invalid Policy: "+format, args...)
}

// denied refuses a form that its policy does not allow.
func denied(format string, args ...any) error {
	return s3err.New(s3err.AccessDenied, "Invalid according to Policy: "+format, args...)
}

// parsePostPolicy parses the policy of a form, in base64 as it was signed.
func parsePostPolicy(encoded string) (*postPolicy, error) {
	document, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, badPolicy("invalid Base64 encoding.")
	}
	if len(bytes.TrimSpace(document)) == 0 {
		return nil, badPolicy("Expecting '{' but found End-of-Input")
	}
	// Depth and number of values are bounded before the document is decoded,
	// because its text is not trusted yet.
	if strict.JSON(document, maxPolicyDepth, maxPolicyValues) != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	var members map[string]json.RawMessage
	if err := decodeJSON(document, &members); err != nil || members == nil {
		return nil, badPolicy("Invalid JSON.")
	}
	// An unknown member might be a restriction. Ignoring it would permit more
	// than the signer meant.
	for name := range members {
		if name != "expiration" && name != "conditions" {
			return nil, badPolicy("Unexpected: %q", name)
		}
	}
	p := &postPolicy{max: -1}
	if p.expires, err = parseExpiration(members["expiration"]); err != nil {
		return nil, err
	}
	raw, ok := members["conditions"]
	if !ok {
		return nil, badPolicy("Policy missing conditions.")
	}
	var conditions []json.RawMessage
	if decodeJSON(raw, &conditions) != nil || conditions == nil {
		return nil, badPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, c := range conditions {
		if err := p.addCondition(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// decodeJSON decodes one value and refuses data after it.
func decodeJSON(document []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(document))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return s3err.InvalidPolicyDocument
	}
	return nil
}

// parseExpiration parses the end of a policy's validity.
func parseExpiration(raw json.RawMessage) (time.Time, error) {
	if raw == nil {
		return time.Time{}, badPolicy("Policy missing expiration.")
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return time.Time{}, badPolicy("Invalid JSON.")
	}
	t, ok := strict.DateTime(text)
	if !ok {
		return t, badPolicy("Invalid 'expiration' value: '%s'", text)
	}
	return t, nil
}

// addCondition parses either form of a condition.
func (p *postPolicy) addCondition(raw json.RawMessage) error {
	// A value in JSON has at least one byte.
	switch raw[0] {
	case '{':
		return p.addSimple(raw)
	case '[':
		return p.addTest(raw)
	}
	return badPolicy("Invalid condition test: must be a List or Object.")
}

// addSimple parses {"field": "value"}.
func (p *postPolicy) addSimple(raw json.RawMessage) error {
	var members map[string]any
	if json.Unmarshal(raw, &members) != nil {
		return badPolicy("Invalid JSON.")
	}
	if len(members) != 1 {
		return badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	for name, v := range members {
		value, ok := v.(string)
		if !ok {
			return badPolicy("Invalid Simple-Condition: value must be a string.")
		}
		p.conditions = append(p.conditions, postCondition{
			field: strings.ToLower(name), value: value, text: `["eq", "$` + name + `", "` + value + `"]`,
		})
	}
	return nil
}

// addTest parses ["eq", "$field", "value"] and the other operations.
func (p *postPolicy) addTest(raw json.RawMessage) error {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return badPolicy("Invalid JSON.")
	}
	if len(elements) == 0 {
		return badPolicy("Invalid Condition: missing operation identifier.")
	}
	var operation string
	if json.Unmarshal(elements[0], &operation) != nil {
		return badPolicy("Invalid JSON.")
	}
	switch strings.ToLower(operation) {
	case "eq", "starts-with", "content-length-range":
	default:
		return badPolicy("Invalid Condition: unknown operation '%s'.", operation)
	}
	if len(elements) != 3 {
		return badPolicy("Invalid %s: wrong number of arguments.", operation)
	}
	if strings.EqualFold(operation, "content-length-range") {
		return p.addRange(elements[1], elements[2])
	}
	var field, value string
	if json.Unmarshal(elements[1], &field) != nil || json.Unmarshal(elements[2], &value) != nil {
		return badPolicy("Invalid JSON.")
	}
	c := postCondition{value: value, prefix: strings.EqualFold(operation, "starts-with"),
		text: fmt.Sprintf("[%s, %s, %s]", elements[0], elements[1], elements[2])}
	if name, ok := strings.CutPrefix(field, "$"); ok {
		c.field = strings.ToLower(name) // without the $ it names no field and fails
	}
	p.conditions = append(p.conditions, c)
	return nil
}

// addRange narrows the allowed size. Several ranges must all hold.
func (p *postPolicy) addRange(low, high json.RawMessage) error {
	from, okFrom := policyNumber(low)
	to, okTo := policyNumber(high)
	if !okFrom || !okTo || from > to {
		return badPolicy("Invalid JSON.")
	}
	p.min = max(p.min, from)
	if p.max < 0 || to < p.max {
		p.max = to
	}
	return nil
}

// maxPolicyNumber is the largest number in a policy; no form is that large.
const maxPolicyNumber = 1<<62 - 1

// policyNumber parses a whole number of 0 or more, bare or in quotes.
func policyNumber(raw json.RawMessage) (int64, bool) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		if json.Unmarshal(raw, &text) != nil {
			return 0, false
		}
	}
	return strict.Number(text, maxPolicyNumber)
}

// check compares a form with its policy in both directions: every condition
// must be met, and every field must have a condition.
func (p *postPolicy) check(fields map[string]string, names []string, bucket string, now time.Time) error {
	// A policy is valid before its expiration, not at it.
	if !now.Before(p.expires) {
		return denied("Policy expired.")
	}
	for _, c := range p.conditions {
		value, ok := fields[c.field]
		if c.field == "bucket" {
			value, ok = bucket, true // the bucket written to, whatever a field says
		}
		if !ok || !c.met(value) {
			return denied("Policy Condition failed: %s", c.text)
		}
	}
	// A form names its bucket in the URL. A policy without a condition on it
	// would be valid for every bucket of the signer.
	for _, name := range append([]string{"bucket"}, names...) {
		if slices.Contains(uncovered, name) || strings.HasPrefix(name, "x-ignore-") {
			continue
		}
		if !slices.ContainsFunc(p.conditions, func(c postCondition) bool { return c.field == name }) {
			return denied("Extra input fields: %s", name)
		}
	}
	return nil
}

// met reports whether the field's value satisfies the condition.
func (c *postCondition) met(value string) bool {
	switch {
	case !c.prefix:
		return value == c.value
	case c.field == "content-type": // a list; each entry must have the prefix
		for part := range strings.SplitSeq(value, ",") {
			if !strings.HasPrefix(strings.TrimSpace(part), c.value) {
				return false
			}
		}
		return true
	}
	return strings.HasPrefix(value, c.value)
}
