package encrypt_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/encrypt/providers"
)

// envelopeVector is a secret that named keyrings wrapped.
type envelopeVector struct {
	Providers  map[string]int `json:"providers"` // the keyrings, by the names of the slots
	Purpose    string         `json:"purpose"`
	ID         hexBytes       `json:"id"`
	Generation uint32         `json:"generation"`
	Secret     hexBytes       `json:"secret"`
	Wrapped    hexBytes       `json:"wrapped"`
}

// openEnvelopes opens each with all of its providers and with each alone.
func openEnvelopes(t *testing.T, v *vectors, rings []*keyring.Keyring) {
	for i, e := range v.Envelopes {
		c := encrypt.Context{Deployment: encrypt.Deployment(v.Deployment), Purpose: e.Purpose, ID: [16]byte(e.ID), Generation: e.Generation}
		named := map[string]encrypt.Provider{}
		for name, at := range e.Providers {
			if rings[at] != nil { // FIPS mode opens no file with a passphrase
				named[name] = rings[at]
			}
		}
		some := []map[string]encrypt.Provider{named}
		for name, p := range named {
			some = append(some, map[string]encrypt.Provider{name: p})
		}
		for _, each := range some {
			set, err := providers.New(providers.Options{Providers: each, Default: slices.Sorted(maps.Keys(each))[0]})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := set.Unwrap(t.Context(), c, e.Wrapped); err != nil || !bytes.Equal(got, e.Secret) {
				t.Errorf("envelope %d by %d providers: %v", i, len(each), err)
			}
			other := c
			other.Generation++
			if _, err := set.Unwrap(t.Context(), other, e.Wrapped); !errors.Is(err, encrypt.ErrWrongKey) {
				t.Errorf("envelope %d under another context: %v", i, err)
			}
		}
	}
}

func makeEnvelopes(t *testing.T, v *vectors, rings []*keyring.Keyring) {
	named := map[string]encrypt.Provider{"file": rings[0], "second-2": rings[1]}
	for second, at := range map[string]map[string]int{"": {"file": 0}, "second-2": {"file": 0, "second-2": 1}} {
		set, err := providers.New(providers.Options{Providers: named, Default: "file", Second: second})
		if err != nil {
			t.Fatal(err)
		}
		e := envelopeVector{Providers: at, Purpose: "bucket", ID: random(16), Generation: 2, Secret: random(32)}
		c := encrypt.Context{Deployment: encrypt.Deployment(v.Deployment), Purpose: e.Purpose, ID: [16]byte(e.ID), Generation: e.Generation}
		if e.Wrapped, err = set.Wrap(t.Context(), c, e.Secret); err != nil {
			t.Fatal(err)
		}
		v.Envelopes = append(v.Envelopes, e)
	}
}
