package iam

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/fair"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

const (
	// MaxProviderWaits bounds the tokens of all tenants that wait for a
	// provider at once. fair.New has the share of one tenant.
	MaxProviderWaits = 256
	// MaxIssuerWaits bounds the tokens that wait for one provider of one
	// tenant.
	MaxIssuerWaits = 64

	maxIssuers       = 256 // remembered issuers
	maxTenantIssuers = 32  // of one tenant
	keysTTL          = time.Hour
	keysRetry        = 10 * time.Second // between two reads of one issuer's keys
	// keysTimeout bounds one read: the discovery document and the keys.
	keysTimeout = 5 * time.Second
)

// KeysOptions configure NewKeys.
type KeysOptions struct {
	// AllowPrivate permits providers in private networks and on this machine.
	AllowPrivate bool
	// Client sends the requests to providers, for tests. nil: a client that
	// follows no redirects, uses no proxy and connects to no private address
	// unless AllowPrivate.
	Client *http.Client
}

// Keys are the public keys of identity providers, from their discovery
// documents. They are remembered for an hour. For an unknown key they are read
// again, but not more often than every ten seconds, whatever the result. Each
// tenant's providers are remembered and read separately: a slow provider delays
// only tokens of its own tenant, and of those only tokens with an unknown key.
// Keys are safe for concurrent use.
// Source: OpenID Connect Discovery 1.0; RFC 7517
type Keys struct {
	client *http.Client
	waits  *fair.Pool[meta.ID]

	mu    sync.Mutex
	of    map[issuer]*issuerKeys
	count map[meta.ID]int // of issuers in of, by tenant
}

// issuer is a provider of a tenant, by its URL.
type issuer struct {
	tenant meta.ID
	url    string
}

// issuerKeys are guarded by Keys.mu.
type issuerKeys struct {
	read    time.Time // time of the last read; zero: never
	used    time.Time
	keys    map[string]crypto.PublicKey // by kid
	err     error                       // of the last read
	reading chan struct{}               // closed when the current read ends; nil: none
	waiting int                         // requests that wait for it, including the one that reads
}

// NewKeys returns Keys that know no issuer yet.
func NewKeys(o KeysOptions) *Keys {
	k := &Keys{
		client: o.Client, waits: fair.New[meta.ID](MaxProviderWaits),
		of: make(map[issuer]*issuerKeys), count: make(map[meta.ID]int),
	}
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
	// A redirect could lead to a private address or away from https, so its answer
	// is one that get refuses.
	k.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return k
}

// verify checks the token's signature with a key of the issuer. The key
// determines the algorithm; the token's must only agree, so that a token cannot
// choose a weaker one. Errors are those of key, and InvalidIdentityToken.
func (k *Keys) verify(ctx context.Context, of issuer, t *token) error {
	key, err := k.key(ctx, of, t.key)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(t.signed))
	ok := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		ok = t.algorithm == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature) == nil
	case *ecdsa.PublicKey:
		// A signature of ES256 is r and s, 32 bytes each. Source: RFC 7518, section
		// 3.4.
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

// key returns a key by its id. An empty id means an issuer's only key. The
// first request that needs the issuer's answer asks for it, for at most
// keysTimeout. It continues after the request has ended, so that hanging up
// does not make others ask again. Other requests wait for that answer until
// their context ends. Errors: Throttling when too many wait;
// IDPCommunicationError; InvalidIdentityToken when there is no such key.
func (k *Keys) key(ctx context.Context, of issuer, id string) (crypto.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.remembered(of)
	if i == nil {
		return nil, s3err.Throttling
	}
	key, ok := i.find(id)
	age := time.Since(i.read)
	switch {
	case !i.read.IsZero() && (ok && age <= keysTTL || !ok && age <= keysRetry):
		return i.answer(id)
	case ok && i.reading != nil: // the old key is valid until the read ends
		return key, nil
	case i.waiting >= MaxIssuerWaits || !k.waits.Take(of.tenant):
		return nil, s3err.Throttling
	}
	i.waiting++
	defer func() {
		i.waiting--
		k.waits.Give(of.tenant)
	}()
	if done := i.reading; done != nil {
		k.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
		}
		k.mu.Lock()
		// Not before: i must be read under the lock.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return i.answer(id)
	}
	k.read(ctx, of, i)
	return i.answer(id)
}

// read asks the issuer. The caller holds Keys.mu, which is released during the
// request.
func (k *Keys) read(ctx context.Context, of issuer, i *issuerKeys) {
	i.reading = make(chan struct{})
	k.mu.Unlock()
	// The client may hang up, but others wait for this answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	keys, err := k.fetch(ctx, of.url)
	k.mu.Lock()
	if err == nil {
		i.keys = keys
		// After a failed read the old keys serve until they are older than keysTTL.
	} else if time.Since(i.read) > keysTTL {
		i.keys = nil
	}
	i.read, i.err = time.Now(), err
	close(i.reading)
	i.reading = nil
}

// answer returns the known state of a key.
func (i *issuerKeys) answer(id string) (crypto.PublicKey, error) {
	key, ok := i.find(id)
	switch {
	case ok:
		return key, nil
	case i.err != nil:
		return nil, s3err.Wrap(s3err.IDPCommunicationError, i.err)
	}
	return nil, badToken("The ID Token is signed by a key that the provider does not publish.")
}

// find returns a key by its id.
func (i *issuerKeys) find(id string) (crypto.PublicKey, bool) {
	if id == "" && len(i.keys) == 1 {
		for _, key := range i.keys {
			return key, true
		}
	}
	key, ok := i.keys[id]
	return key, ok
}

// remembered returns the entry of an issuer, and creates it if necessary.
// Without room it drops an issuer of the same tenant, or of the tenant that has
// most. nil: all of those are being read. The caller holds Keys.mu.
func (k *Keys) remembered(of issuer) *issuerKeys {
	i, ok := k.of[of]
	if !ok {
		if k.count[of.tenant] >= maxTenantIssuers && !k.forget(of.tenant) || len(k.of) >= maxIssuers && !k.forget(k.mostIssuers()) {
			return nil
		}
		i = &issuerKeys{}
		k.of[of] = i
		k.count[of.tenant]++
	}
	i.used = time.Now()
	return i
}

// forget drops the tenant's issuer that was unused for the longest time.
func (k *Keys) forget(tenant meta.ID) bool {
	var oldest issuer
	for of, i := range k.of {
		// An entry that somebody waits for must stay.
		if of.tenant == tenant && i.waiting == 0 && (oldest.url == "" || i.used.Before(k.of[oldest].used)) {
			oldest = of
		}
	}
	if oldest.url == "" {
		return false
	}
	delete(k.of, oldest)
	if k.count[tenant]--; k.count[tenant] == 0 {
		delete(k.count, tenant)
	}
	return true
}

// mostIssuers returns the tenant with the most issuers.
func (k *Keys) mostIssuers() (tenant meta.ID) {
	most := 0
	for t, n := range k.count {
		if n > most {
			tenant, most = t, n
		}
	}
	return tenant
}
