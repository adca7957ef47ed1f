package iam

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	maxWebToken = 20_000 // bytes, as on AWS
	maxMembers  = 256    // of its header and of its claims
	// maxTokenAge is the age at which a token is refused.
	maxTokenAge = 24 * time.Hour
	// clockSkew is how far the provider's clock may be ahead.
	clockSkew = time.Minute
	// maxTime bounds numbers that are times: the year 9999.
	maxTime = 253402300799
)

// token is a parsed JSON Web Token of OpenID Connect. Nothing in it is verified
// yet.
// Source: RFC 7515, section 7.1; RFC 7519; OpenID Connect Core 1.0, section 2
type token struct {
	signed    string // the signed text
	signature []byte
	algorithm string
	key       string // its id
	issuer    string
	subject   string
	audience  audience
	party     string                     // azp
	expires   *float64                   // exp, Unix seconds
	notBefore *float64                   // nbf
	issued    *float64                   // iat
	claims    map[string]json.RawMessage // all, by name
}

// audience is a string or a list of strings; other claims may have this form
// too.
type audience []string

// UnmarshalJSON accepts either.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// object parses the JSON object of a part. Names in a token are case-sensitive,
// but neither struct fields in encoding/json nor condition keys are. A claim
// that users may choose must not pass for one that the provider vouches for.
// Source: RFC 7515, section 4; RFC 7519, section 10.1.1
func object(part string) (map[string]json.RawMessage, error) {
	// Strict refuses a second encoding of the same bytes.
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	all, seen := make(map[string]json.RawMessage), make(map[string]bool)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		// Two claims that differ in case only would be one condition key.
		folded := access.FoldCase(name.(string))
		switch {
		case seen[folded]:
			return nil, errors.New("two members have the same name or differ in case only")
		case len(all) == maxMembers:
			return nil, fmt.Errorf("more than %d members", maxMembers)
		}
		all[name.(string)], seen[folded] = value, true
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is data after the object")
	}
	return all, nil
}

// fill reads members of an object by their exact names. Absent ones stay
// unchanged.
func fill(all map[string]json.RawMessage, into map[string]any) error {
	for name, v := range into {
		if raw, ok := all[name]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// badToken refuses a token, in AWS's words where it has some.
func badToken(format string, args ...any) error {
	return s3err.New(s3err.InvalidIdentityToken, format, args...)
}

// parseToken parses a token without verifying it. A critical header is refused,
// because none is implemented.
func parseToken(text string) (*token, error) {
	malformed := badToken("The ID Token provided is not a valid JWT.")
	if len(text) > maxWebToken {
		return nil, badToken("The ID Token has more than %d bytes.", maxWebToken)
	}
	parts := strings.Split(text, ".")
	// Encrypted tokens have five parts and are not supported.
	if len(parts) != 3 {
		return nil, malformed
	}
	t := &token{signed: parts[0] + "." + parts[1]}
	var err error
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		return nil, malformed
	}
	header, err := object(parts[0])
	if err == nil {
		err = fill(header, map[string]any{"alg": &t.algorithm, "kid": &t.key})
	}
	if err != nil || header["crit"] != nil {
		return nil, malformed
	}
	if t.claims, err = object(parts[1]); err == nil {
		err = fill(t.claims, map[string]any{"iss": &t.issuer, "sub": &t.subject, "aud": &t.audience, "azp": &t.party,
			"exp": &t.expires, "nbf": &t.notBefore, "iat": &t.issued})
	}
	if err != nil || t.issuer == "" || t.subject == "" || len(t.audience) == 0 {
		return nil, malformed
	}
	return t, nil
}

// check compares the claims of a token with its provider and the time. The
// signature was verified before.
func (t *token) check(p *accounts.ProviderFacts, now time.Time) error {
	expires, ok := timeOf(t.expires)
	issued, also := timeOf(t.issued)
	switch {
	// A token without a time of issue or end would be valid forever.
	case !ok || !also:
		return badToken("The ID Token has no exp or iat.")
	case t.issuer != p.URL && t.issuer != p.URL+"/":
		return badToken("The ID Token has another issuer.")
	case !t.isFor(p):
		return badToken("Incorrect token audience")
	case !now.Before(expires):
		return s3err.New(s3err.ExpiredToken, "Token expired: current date/time must be before the expiration date/time")
	case issued.After(now.Add(clockSkew)):
		return badToken("The ID Token is not valid yet.")
	case now.Sub(issued) > maxTokenAge:
		return badToken("The ID Token was issued too long ago.")
	}
	if t.notBefore != nil {
		if from, ok := timeOf(t.notBefore); !ok || from.After(now.Add(clockSkew)) {
			return badToken("The ID Token is not valid yet.")
		}
	}
	return nil
}

// timeOf converts a claim; false when it is absent or out of range.
func timeOf(seconds *float64) (time.Time, bool) {
	// The comparison is written so that NaN is refused.
	if seconds == nil || !(*seconds >= 0 && *seconds <= maxTime) {
		return time.Time{}, false
	}
	return time.Unix(int64(*seconds), 0), true
}

// strings returns the claims that are strings or lists of strings, for
// condition keys.
func (t *token) strings() map[string][]string {
	all := make(map[string][]string)
	for name, raw := range t.claims {
		var v any
		if json.Unmarshal(raw, &v) != nil {
			continue
		}
		// Claims of other types cannot be compared with the text in a policy.
		switch v := v.(type) {
		case string:
			all[name] = []string{v}
		case []any:
			for _, one := range v {
				if s, ok := one.(string); ok {
					all[name] = append(all[name], s)
				}
			}
		}
	}
	if all["aud"] = t.audience; t.party != "" {
		all["aud"] = []string{t.party} // as on AWS
	}
	return all
}
