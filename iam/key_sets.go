package iam

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
)

// Limits of a provider's answers.
const (
	maxKeys       = 64        // of one issuer
	maxDocument   = 256 << 10 // bytes
	leastRSA      = 2048
	mostRSA       = 8192
	discoveryPath = "/.well-known/openid-configuration"
)

// fetch reads an issuer's keys. Keys of unsupported types are left out.
func (k *Keys) fetch(ctx context.Context, issuer string) (map[string]crypto.PublicKey, error) {
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := k.get(ctx, issuer+discoveryPath, &discovery); err != nil {
		return nil, err
	}
	// Another issuer's document would bring its keys. Some providers end their
	// name with a slash in one place only.
	if strings.TrimSuffix(discovery.Issuer, "/") != issuer {
		return nil, errors.New("the discovery document belongs to another issuer")
	}
	var set struct {
		Keys keySet `json:"keys"`
	}
	if err := k.get(ctx, discovery.Keys, &set); err != nil {
		return nil, err
	}
	keys := make(map[string]crypto.PublicKey)
	for _, w := range set.Keys {
		// A key that cannot be used is no error: providers have keys of other
		// types for other uses.
		if key := w.public(); key != nil {
			keys[w.ID] = key
		}
	}
	return keys, nil
}

// get reads a JSON document over https.
func (k *Keys) get(ctx context.Context, from string, into any) error {
	u, err := url.Parse(from)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("an address of the provider is not https")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", u.Host, resp.Status)
	}
	// One byte more than allowed shows that the answer is too long.
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(b) > maxDocument {
		err = fmt.Errorf("%s answers more than %d bytes", u.Host, maxDocument)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

var errRepeatedKeys = errors.New("the set has two lists of keys")

// keySet holds the first maxKeys of a set. Further ones are not read.
type keySet []webKey

// UnmarshalJSON reads a list of keys.
func (s *keySet) UnmarshalJSON(b []byte) error {
	// The field is set twice if the document has two lists, of which one could
	// hide the other.
	if *s != nil {
		return errRepeatedKeys
	}
	*s = keySet{}
	d := json.NewDecoder(bytes.NewReader(b))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return errors.New("the keys are not a list")
	}
	// A longer list is cut and not refused, so that a provider with many keys
	// still works in part.
	for d.More() && len(*s) < maxKeys {
		var w webKey
		if err := d.Decode(&w); err != nil {
			return err
		}
		*s = append(*s, w)
	}
	return nil
}

// webKey is a JSON Web Key.
// Source: RFC 7517; RFC 7518, section 6
type webKey struct {
	Type      string `json:"kty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	N         string `json:"n"`
	E         string `json:"e"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// public returns the key; nil unless it is for signatures by RS256 or ES256.
// The bounds of RSA keys keep out weak ones and those that are slow to use.
func (w *webKey) public() crypto.PublicKey {
	// A key for encryption must not verify signatures.
	if w.Use != "" && w.Use != "sig" {
		return nil
	}
	decode := base64.RawURLEncoding.DecodeString
	switch {
	case w.Type == "RSA" && (w.Algorithm == "" || w.Algorithm == "RS256"):
		n, err := decode(w.N)
		e, also := decode(w.E)
		// Exponents of more than 4 bytes would overflow, and are not in use.
		if err != nil || also != nil || len(e) == 0 || len(e) > 4 {
			return nil
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		// Even exponents, and those below 3, are no valid RSA.
		if bits := key.N.BitLen(); bits < leastRSA || bits > mostRSA || key.E < 3 || key.E%2 == 0 {
			return nil
		}
		return key
	case w.Type == "EC" && w.Curve == "P-256" && (w.Algorithm == "" || w.Algorithm == "ES256"):
		x, err := decode(w.X)
		y, also := decode(w.Y)
		if err != nil || also != nil || len(x) != 32 || len(y) != 32 {
			return nil
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil
		}
		return key
	}
	return nil
}
