package iam

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
)

// providers are answers by host. Those of hosts that begin with "slow" arrive
// when open is closed.
type providers struct {
	open  chan struct{}
	asked atomic.Int64 // reads begun
	key   string       // a JSON Web Key with the id "k"
}

func (p *providers) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Host, "slow") {
		select {
		case <-p.open:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	body := fmt.Sprintf(`{"keys":[%s]}`, p.key)
	if r.URL.Path == discoveryPath {
		p.asked.Add(1)
		body = fmt.Sprintf(`{"issuer":"https://%[1]s","jwks_uri":"https://%[1]s/keys"}`, r.URL.Host)
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func newProviders(t *testing.T) (*providers, *Keys) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := secret.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	p := &providers{open: make(chan struct{}), key: fmt.Sprintf(`{"kty":"EC","kid":"k","crv":"P-256","x":"%s","y":"%s"}`, b64(point[1:33]), b64(point[33:]))}
	return p, NewKeys(KeysOptions{Client: &http.Client{Transport: p}})
}

// waiting waits until n requests wait for a provider.
func waiting(k *Keys, of issuer, n int) {
	for {
		k.mu.Lock()
		now := 0
		if i := k.of[of]; i != nil {
			now = i.waiting
		}
		k.mu.Unlock()
		if now == n {
			return
		}
		runtime.Gosched()
	}
}

// Slow providers of one tenant use up that tenant's share of the places. They
// delay neither its other providers nor another tenant's, even those with the
// same address.
func TestSlowProviders(t *testing.T) {
	p, k := newProviders(t)
	bad, good := meta.ID{1}, meta.ID{2}
	var all sync.WaitGroup
	var throttled atomic.Int64
	for i := range 6 {
		slow := issuer{bad, fmt.Sprintf("https://slow%d", i)}
		for range MaxIssuerWaits + 10 {
			all.Go(func() {
				if _, err := k.key(t.Context(), slow, "k"); errors.Is(err, s3err.Throttling) {
					throttled.Add(1)
				} else if err != nil {
					t.Errorf("%s: %v", slow.url, err)
				}
			})
		}
		want := MaxIssuerWaits
		if left := MaxProviderWaits*3/4 - i*MaxIssuerWaits; left < want {
			want = max(left, 0)
		}
		if want > 0 {
			waiting(k, slow, want)
		}
	}
	for n := range 100 {
		if _, err := k.key(t.Context(), issuer{good, fmt.Sprintf("https://fast%d", n%5)}, "k"); err != nil {
			t.Fatalf("another tenant's provider: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := k.key(ctx, issuer{good, "https://slow0"}, "k"); gone <- err }()
	waiting(k, issuer{good, "https://slow0"}, 1)
	go func() { _, err := k.key(ctx, issuer{good, "https://slow0"}, "k"); gone <- err }()
	waiting(k, issuer{good, "https://slow0"}, 2)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("a request whose client has left waits for the provider: %v", err)
	}
	want := int64(6*(MaxIssuerWaits+10) - MaxProviderWaits*3/4)
	for throttled.Load() < want { // the others wait
		runtime.Gosched()
	}
	close(p.open)
	if err := <-gone; err != nil {
		t.Errorf("the request that asks: %v", err)
	}
	all.Wait()
	if got := throttled.Load(); got != want {
		t.Errorf("%d tokens were throttled, want %d", got, want)
	}
	// Three slow ones of the first tenant, five fast ones and a slow one of the
	// other.
	if got := p.asked.Load(); got != 9 {
		t.Errorf("providers were asked %d times, want 9: once each", got)
	}
	for range MaxProviderWaits * 3 / 4 {
		if !k.waits.Take(bad) {
			t.Fatal("places were not given back")
		}
	}
}

// A known key waits for nothing, even while the provider is asked for another
// one. A failed request is not repeated at once.
func TestKnownKeysDoNotWait(t *testing.T) {
	p, k := newProviders(t)
	of := issuer{meta.ID{1}, "https://slow"}
	i := k.remembered(of)
	i.reading = make(chan struct{})
	other, err := k.key(t.Context(), issuer{meta.ID{1}, "https://fast"}, "k")
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	i.keys = k.of[issuer{meta.ID{1}, "https://fast"}].keys // old keys, which are read again
	k.mu.Unlock()
	if key, err := k.key(t.Context(), of, "k"); err != nil || key != other {
		t.Errorf("a known key: %v", err)
	}
	close(p.open)
	asked := p.asked.Load()
	for range 5 {
		if _, err := k.key(t.Context(), issuer{meta.ID{1}, "https://fast"}, "unknown"); !errors.Is(err, s3err.InvalidIdentityToken) {
			t.Errorf("an unknown key: %v", err)
		}
	}
	p.key = "nothing that is JSON"
	for range 5 {
		if _, err := k.key(t.Context(), issuer{meta.ID{1}, "https://broken"}, "k"); !errors.Is(err, s3err.IDPCommunicationError) {
			t.Errorf("a provider that fails: %v", err)
		}
	}
	if got := p.asked.Load() - asked; got != 1 {
		t.Errorf("asked %d times again, want once", got)
	}
}

// One tenant's many providers drive out its own, not another's.
func TestIssuersAreForgotten(t *testing.T) {
	_, k := newProviders(t)
	read := func(tenant byte, n int) {
		t.Helper()
		if _, err := k.key(t.Context(), issuer{meta.ID{tenant}, fmt.Sprintf("https://fast%d", n)}, "k"); err != nil {
			t.Fatal(err)
		}
	}
	read(1, 0)
	for n := range 100 {
		read(2, n)
	}
	if k.count[meta.ID{2}] != maxTenantIssuers || k.count[meta.ID{1}] != 1 {
		t.Errorf("%v", k.count)
	}
	for tenant := byte(3); tenant < 15; tenant++ {
		for n := range maxTenantIssuers {
			read(tenant, n)
		}
	}
	total := 0
	for _, n := range k.count {
		total += n
	}
	if len(k.of) != maxIssuers || total != maxIssuers || k.of[issuer{meta.ID{1}, "https://fast0"}] == nil {
		t.Errorf("%d are remembered, %d counted, of the first tenant %d", len(k.of), total, k.count[meta.ID{1}])
	}
}

// A provider's answer and a token's content cost no more than their length.
func TestProviderAnswersAreBounded(t *testing.T) {
	const factor, allowed = 8, 256 << 10
	cost := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	p, _ := newProviders(t)
	fill := func(before, unit, after string, size int) string {
		return before + strings.Repeat(unit, (size-len(before)-len(after))/len(unit)) + after
	}
	for name, c := range map[string]struct {
		answer string
		keys   int // -1: an error
	}{
		"empty keys":       {fill(`{"keys":[`+p.key, ",{}", "]}", maxDocument), 1},
		"the key last":     {fill(`{"keys":[`, "{},", p.key+"]}", maxDocument), 0},
		"nested":           {fill(`{"keys":[`, "[", "", maxDocument), -1},
		"unknown members":  {fill(`{"keys":[`+p.key+`],"a":0`, `,"a":0`, "}", maxDocument), 1},
		"long list beside": {fill(`{"keys":[`+p.key+`],"a":[0`, ",0", "]}", maxDocument), 1},
		"many key lists":   {fill(`{"keys":[`+p.key+`]`, `,"keys":[{}]`, "}", maxDocument), -1},
		"too long":         {fill(`{"keys":[`+p.key, ",{}", "]}", maxDocument+9), -1},
		"a list of text":   {`{"keys":["a"]}`, -1},
		"no list":          {`{"keys":{}}`, -1},
	} {
		answer := func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == discoveryPath {
				return p.RoundTrip(r)
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(c.answer)), Request: r}, nil
		}
		k := NewKeys(KeysOptions{Client: &http.Client{Transport: roundTrip(answer)}})
		got := -1
		used := cost(func() {
			if keys, err := k.fetch(t.Context(), "https://fast"); err == nil {
				got = len(keys)
			}
		})
		if got != c.keys {
			t.Errorf("%s: %d keys, want %d", name, got, c.keys)
		}
		if most := uint64(factor*len(c.answer) + allowed); used > most {
			t.Errorf("%s: %d bytes allocated %d, more than %d", name, len(c.answer), used, most)
		}
	}
	const room = maxWebToken * 3 / 4
	for name, claims := range map[string]string{
		"nested":           fill("", "[", "", room-100),
		"members":          `{"a":0` + numbered(room-200, `,"%x":0`) + "}",
		"repeated members": fill(`{"a":0`, `,"a":0`, "}", room-100),
		"audiences":        fill(`{"aud":[""`, `,""`, "]}", room-100),
		"trailing":         `{"iss":"a","sub":"b","aud":"c"}x`,
	} {
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".AAAA"
		var err error
		used := cost(func() { _, err = parseToken(text) })
		if !errors.Is(err, s3err.InvalidIdentityToken) || used > factor*maxWebToken+allowed {
			t.Errorf("%s: %v, %d bytes of %d", name, err, used, len(text))
		}
	}
}

// The number of a token's claims is bounded.
func TestTokenMembers(t *testing.T) {
	for more, taken := range map[int]bool{maxMembers - 3: true, maxMembers - 2: false} {
		claims := `{"iss":"a","sub":"b","aud":"c"`
		for i := range more {
			claims += fmt.Sprintf(`,"%x":0`, i)
		}
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims+"}")) + ".AAAA"
		if _, err := parseToken(text); (err == nil) != taken {
			t.Errorf("%d claims: %v", more+3, err)
		}
	}
}

// numbered returns units with a number each.
func numbered(size int, unit string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, unit, i)
	}
	return b.String()
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// No claim passes for another whose name differs from it in case alone, in any script:
// to a condition key whose issuer has a path the long s is an s.
func TestClaimsThatDifferInCase(t *testing.T) {
	for _, name := range []string{"sub", "SUB", "\u017fub", "group\u017f", "ema\u0131l", "\u212aey"} {
		claims := `{"iss":"a","sub":"b","aud":"c","groups":"d","email":"e","key":"f","` + name + `":"x"}`
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".AAAA"
		if _, err := parseToken(text); !errors.Is(err, s3err.InvalidIdentityToken) {
			t.Errorf("a claim %q beside: %v", name, err)
		}
	}
}
