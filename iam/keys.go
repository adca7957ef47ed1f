package iam

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

const (
	maxIssuers    = 256       // whose keys are remembered
	maxKeys       = 64        // of one issuer
	maxDocument   = 256 << 10 // bytes of a provider's answer
	keysTTL       = time.Hour
	keysRetry     = 10 * time.Second // between two readings of one issuer's keys
	keysTimeout   = 10 * time.Second
	leastRSA      = 2048
	mostRSA       = 8192
	discoveryPath = "/.well-known/openid-configuration"
)

// KeysOptions of NewKeys.
type KeysOptions struct {
	// AllowPrivate permits providers in private networks, and on this machine.
	AllowPrivate bool
	// Client asks the providers; nil: one that follows no redirects, uses no
	// proxy and connects to no private address unless AllowPrivate. For tests.
	Client *http.Client
}

// Keys are the public keys of identity providers, as their discovery documents
// say. They are remembered for an hour, and read again for a key that is not
// known, though not more often than every ten seconds. It is safe for concurrent
// use.
// Source: OpenID Connect Discovery 1.0; RFC 7517
type Keys struct {
	client *http.Client
	mu     sync.Mutex
	issuer map[string]*issuerKeys
}

type issuerKeys struct {
	mu   sync.Mutex // held while they are read
	read time.Time
	keys map[string]crypto.PublicKey // by kid
	err  error
}

// NewKeys returns keys of nobody yet.
func NewKeys(o KeysOptions) *Keys {
	k := &Keys{client: o.Client, issuer: make(map[string]*issuerKeys)}
	if k.client == nil {
		d := &net.Dialer{Timeout: keysTimeout}
		if !o.AllowPrivate {
			d.Control = refusePrivate
		}
		k.client = &http.Client{
			Timeout:   keysTimeout,
			Transport: &http.Transport{DialContext: d.DialContext, MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true},
		}
	}
	k.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return k
}

// verify checks the token's signature by a key of the issuer. The key says which
// algorithm it is for; the token's word only has to agree.
func (k *Keys) verify(ctx context.Context, issuer string, t *token) error {
	key, err := k.key(ctx, issuer, t.key)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(t.signed))
	ok := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		ok = t.algorithm == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature) == nil
	case *ecdsa.PublicKey:
		if t.algorithm == "ES256" && len(t.signature) == 64 {
			r, s := new(big.Int).SetBytes(t.signature[:32]), new(big.Int).SetBytes(t.signature[32:])
			ok = ecdsa.Verify(key, sum[:], r, s)
		}
	}
	if !ok {
		return badToken("The ID Token's signature could not be verified.")
	}
	return nil
}

// key finds a key by its id; an empty id is that of an issuer's only key.
func (k *Keys) key(ctx context.Context, issuer, id string) (crypto.PublicKey, error) {
	i := k.of(issuer)
	i.mu.Lock()
	defer i.mu.Unlock()
	key, ok := i.find(id)
	age := time.Since(i.read)
	if i.read.IsZero() || age > keysTTL || (!ok && age > keysRetry) {
		// Who gives up waiting must not make others wait for the next try.
		keys, err := k.fetch(context.WithoutCancel(ctx), issuer)
		i.read, i.err = time.Now(), err
		if err == nil {
			i.keys = keys
		} else if age > keysTTL {
			i.keys = nil
		}
		key, ok = i.find(id)
	}
	switch {
	case ok:
		return key, nil
	case i.err != nil:
		return nil, s3err.Wrap(s3err.IDPCommunicationError, i.err)
	}
	return nil, badToken("The ID Token is signed by a key that the provider does not show.")
}

func (i *issuerKeys) find(id string) (crypto.PublicKey, bool) {
	if id == "" && len(i.keys) == 1 {
		for _, key := range i.keys {
			return key, true
		}
	}
	key, ok := i.keys[id]
	return key, ok
}

func (k *Keys) of(issuer string) *issuerKeys {
	k.mu.Lock()
	defer k.mu.Unlock()
	i, ok := k.issuer[issuer]
	if !ok {
		if len(k.issuer) >= maxIssuers {
			for other := range k.issuer { // any: it is read again
				delete(k.issuer, other)
				break
			}
		}
		i = &issuerKeys{}
		k.issuer[issuer] = i
	}
	return i
}

// fetch reads an issuer's keys.
func (k *Keys) fetch(ctx context.Context, issuer string) (map[string]crypto.PublicKey, error) {
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := k.get(ctx, issuer+discoveryPath, &discovery); err != nil {
		return nil, err
	}
	if strings.TrimSuffix(discovery.Issuer, "/") != issuer {
		return nil, errors.New("the discovery document is of another issuer")
	}
	var set struct {
		Keys []webKey `json:"keys"`
	}
	if err := k.get(ctx, discovery.Keys, &set); err != nil {
		return nil, err
	}
	keys := make(map[string]crypto.PublicKey)
	for _, w := range set.Keys[:min(len(set.Keys), maxKeys)] {
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
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(b) > maxDocument {
		err = fmt.Errorf("%s answers more than %d bytes", u.Host, maxDocument)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
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

// public is the key, nil for one that is not for signatures by RS256 or ES256.
func (w *webKey) public() crypto.PublicKey {
	if w.Use != "" && w.Use != "sig" {
		return nil
	}
	decode := base64.RawURLEncoding.DecodeString
	switch {
	case w.Type == "RSA" && (w.Algorithm == "" || w.Algorithm == "RS256"):
		n, err := decode(w.N)
		e, also := decode(w.E)
		if err != nil || also != nil || len(e) == 0 || len(e) > 4 {
			return nil
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
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
