package iam

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	maxWebToken = 20_000 // bytes, as in AWS
	// maxTokenAge is how long ago a token may have been issued.
	maxTokenAge = 24 * time.Hour
	// clockSkew is what the provider's clock may be ahead.
	clockSkew = time.Minute
	// maxTime bounds the numbers that are times: the year 9999.
	maxTime = 253402300799
)

// token is a JSON Web Token of OpenID Connect, taken apart and not yet believed.
// Source: RFC 7515, section 7.1; RFC 7519; OpenID Connect Core 1.0, section 2
type token struct {
	signed    string // what the signature is over
	signature []byte
	header    struct {
		Algorithm string          `json:"alg"`
		Key       string          `json:"kid"`
		Critical  json.RawMessage `json:"crit"`
	}
	claims struct {
		Issuer    string   `json:"iss"`
		Subject   string   `json:"sub"`
		Audience  audience `json:"aud"`
		Party     string   `json:"azp"`
		Expires   *float64 `json:"exp"`
		NotBefore *float64 `json:"nbf"`
		Issued    *float64 `json:"iat"`
	}
	all map[string]any
}

// audience is a string or a list of strings.
type audience []string

// UnmarshalJSON reads either.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

func badToken(format string, args ...any) error {
	return s3err.New(s3err.InvalidIdentityToken, format, args...)
}

func parseToken(text string) (*token, error) {
	malformed := badToken("The ID Token provided is not a valid JWT.")
	if len(text) > maxWebToken {
		return nil, badToken("The ID Token has more than %d bytes.", maxWebToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, malformed
	}
	t := &token{signed: parts[0] + "." + parts[1]}
	var err error
	if t.signature, err = base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		return nil, malformed
	}
	for i, into := range [][]any{{&t.header}, {&t.claims, &t.all}} {
		b, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil {
			return nil, malformed
		}
		for _, v := range into {
			d := json.NewDecoder(bytes.NewReader(b))
			if d.Decode(v) != nil || d.More() {
				return nil, malformed
			}
		}
	}
	if t.header.Critical != nil || t.claims.Issuer == "" || t.claims.Subject == "" || len(t.claims.Audience) == 0 {
		return nil, malformed
	}
	return t, nil
}

// check holds the claims of a token whose signature was verified against its
// provider and the time.
func (t *token) check(p *engine.ProviderFacts, now time.Time) error {
	expires, ok := timeOf(t.claims.Expires)
	issued, also := timeOf(t.claims.Issued)
	switch {
	case !ok || !also:
		return badToken("The ID Token has no exp or iat.")
	case t.claims.Issuer != p.URL && t.claims.Issuer != p.URL+"/":
		return badToken("The ID Token has another issuer.")
	case !t.audience(p):
		return badToken("Incorrect token audience")
	case !now.Before(expires):
		return s3err.New(s3err.ExpiredToken, "Token expired: current date/time must be before the expiration date/time")
	case issued.After(now.Add(clockSkew)):
		return badToken("The ID Token is not valid yet.")
	case now.Sub(issued) > maxTokenAge:
		return badToken("The ID Token was issued too long ago.")
	}
	if t.claims.NotBefore != nil {
		if from, ok := timeOf(t.claims.NotBefore); !ok || from.After(now.Add(clockSkew)) {
			return badToken("The ID Token is not valid yet.")
		}
	}
	return nil
}

func timeOf(seconds *float64) (time.Time, bool) {
	if seconds == nil || !(*seconds >= 0 && *seconds <= maxTime) {
		return time.Time{}, false
	}
	return time.Unix(int64(*seconds), 0), true
}

// strings are the claims that are strings or lists of them: condition keys.
func (t *token) strings() map[string][]string {
	all := make(map[string][]string)
	for name, v := range t.all {
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
	if all["aud"] = t.claims.Audience; t.claims.Party != "" {
		all["aud"] = []string{t.claims.Party} // as AWS has it
	}
	return all
}
