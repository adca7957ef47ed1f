package main

import (
	"context"
	"errors"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/gcpkms"
)

// gcpkmsType is the type of keys of Google Cloud KMS.
var gcpkmsType = keyProviderType{
	name: "gcpkms", doc: "Google Cloud KMS",
	settings: func(k *KeyProviderSettings) []setting {
		return []setting{
			{key: "key", value: (*text)(&k.Key),
				doc: "resource name of the key, projects/P/locations/L/keyRings/R/cryptoKeys/K, whose primary version wraps new seeds; or of one version"},
			{key: "endpoint", value: (*text)(&k.Endpoint), doc: "URL of the service; empty: Google's"},
			{key: "credentials_file", value: (*text)(&k.GCPKMS.CredentialsFile),
				doc: "service account, workload identity federation or other credentials in JSON; empty: application default credentials"},
			{key: "ca_file", value: (*text)(&k.CAFile), doc: "PEM file of certificates to trust in addition to the system's"},
		}
	},
	check: func(k *KeyProviderSettings) error {
		if k.Key == "" {
			return errors.New("key must name the key of Google Cloud KMS")
		}
		return nil
	},
	open: func(_ context.Context, k *KeyProviderSettings, o keyOpening) (encrypt.Provider, error) {
		p, err := gcpkms.Open(gcpkms.Options{Key: k.Key, Endpoint: k.Endpoint, CredentialsFile: k.GCPKMS.CredentialsFile, CAFile: k.CAFile, Observe: o.observe})
		if err != nil {
			return nil, err // and no provider, which a nil pointer would look like
		}
		return p, nil
	},
}

// gcpkmsSettings are the settings that Google Cloud KMS alone has.
type gcpkmsSettings struct {
	CredentialsFile string
}
