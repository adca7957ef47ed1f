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
	// MaxProviderWaits bounds the tokens at once that wait for a provider, of all
	// tenants; see fair.New for what one tenant's may take of it.
	MaxProviderWaits = 256
	// MaxIssuerWaits bounds those that wait for one provider of one tenant.
	MaxIssuerWaits = 64

	maxIssuers       = 256 // whose keys are remembered
	maxTenantIssuers = 32  // of one tenant
	keysTTL          = time.Hour
	keysRetry        = 10 * time.Second // between two readings of one issuer's keys
	// keysTimeout is for one reading: the discovery document and the keys.
	keysTimeout = 5 * time.Second
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
// known, though not more often than every ten seconds, whether that went well or not.
// Each tenant's providers are remembered and asked for themselves: a provider that
// answers slowly holds up tokens of its own tenant, and of those only such as name a
// key that is not known yet. It is safe for concurrent use.
// Source: OpenID Connect Discovery 1.0; RFC 7517
type Keys struct {
	client *http.Client
	waits  *fair.Pool[meta.ID]

	mu    sync.Mutex
	of    map[issuer]*issuerKeys
	count map[meta.ID]int // of a tenant's issuers in of
}

// issuer is a provider of a tenant, by its URL.
type issuer struct {
	tenant meta.ID
	url    string
}

// issuerKeys are all under Keys.mu.
type issuerKeys struct {
	read    time.Time // when it was asked the last time; zero: never
	used    time.Time
	keys    map[string]crypto.PublicKey // by kid
	err     error                       // of the last reading
	reading chan struct{}               // closed when the reading ends; nil: there is none
	waiting int                         // for it, the one that reads included
}

// NewKeys returns keys of nobody yet.
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
	k.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return k
}

// verify checks the token's signature by a key of the issuer. Errors are those of key
// and InvalidIdentityToken. The key says which
// algorithm it is for; the token's word only has to agree.
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

// key finds a key by its id; an empty id is that of an issuer's only key. The first who
// needs the issuer's answer asks for it, for at most keysTimeout and even when its own
// request has ended meanwhile, so that hanging up makes nobody ask again; others wait
// for that answer, until their context ends. Errors: Throttling when too many wait;
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
	case ok && i.reading != nil: // until it is known better
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
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return i.answer(id)
	}
	k.read(ctx, of, i)
	return i.answer(id)
}

// read asks the issuer. Keys.mu is held, but not meanwhile.
func (k *Keys) read(ctx context.Context, of issuer, i *issuerKeys) {
	i.reading = make(chan struct{})
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	keys, err := k.fetch(ctx, of.url)
	k.mu.Lock()
	if err == nil {
		i.keys = keys
	} else if time.Since(i.read) > keysTTL {
		i.keys = nil
	}
	i.read, i.err = time.Now(), err
	close(i.reading)
	i.reading = nil
}

// answer is what is known of a key.
func (i *issuerKeys) answer(id string) (crypto.PublicKey, error) {
	key, ok := i.find(id)
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

// remembered is what is known of an issuer, under Keys.mu. Where there is no room for
// a new one another is forgotten that its tenant has, or the tenant that has most; nil
// when each of those is being asked.
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

// forget forgets the issuer of a tenant that was not used for the longest time.
func (k *Keys) forget(tenant meta.ID) bool {
	var oldest issuer
	for of, i := range k.of {
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

func (k *Keys) mostIssuers() (tenant meta.ID) {
	most := 0
	for t, n := range k.count {
		if n > most {
			tenant, most = t, n
		}
	}
	return tenant
}
