package main

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/awskms"
	"github.com/sanctum-storage/gateway/sigv4"
)

// awskmsType is the type of keys of AWS KMS.
var awskmsType = keyProviderType{
	name: "awskms", doc: "AWS KMS",
	settings: awskmsRows,
	check:    checkAWSKMS,
	open:     openAWSKMS,
}

// awskmsSettings are the settings that AWS KMS alone has.
type awskmsSettings struct {
	Region       string
	FIPS         bool
	AccessKey    string
	SecretKey    string
	SessionToken string
	Profile      string
}

// awskmsRows lists the settings.
func awskmsRows(k *KeyProviderSettings) []setting {
	a := &k.AWSKMS
	return []setting{
		{key: "key", value: (*text)(&k.Key), doc: "id or ARN of a symmetric encryption key, alias/NAME, or ARN of an alias"},
		{key: "region", value: (*text)(&a.Region),
			doc: "region that is asked; empty: that of the ARN in key, else of AWS's environment variables or profile"},
		{key: "endpoint", value: (*text)(&k.Endpoint), doc: "URL of the service, https except on this machine; empty: AWS's for the region"},
		{key: "fips", def: "false", value: (*flag)(&a.FIPS), doc: "use AWS's endpoint with FIPS 140 validated cryptography"},
		{key: "access_key", value: (*text)(&a.AccessKey), secret: true,
			doc: "access key; empty: AWS's environment variables, web identity, profile, container or pod, instance"},
		{key: "secret_key", value: (*text)(&a.SecretKey), secret: true, doc: "secret key"},
		{key: "session_token", value: (*text)(&a.SessionToken), secret: true, doc: "session token"},
		{key: "profile", value: (*text)(&a.Profile), doc: "profile in AWS's shared files"},
	}
}

// checkAWSKMS refuses settings that are missing. The provider checks what they say.
func checkAWSKMS(k *KeyProviderSettings) error {
	switch secret := k.AWSKMS.SecretKey; {
	case k.Key == "":
		return errors.New("key must name a key of AWS KMS")
	case fips140.Enabled() && secret != "" && len(secret) < sigv4.MinApprovedSecret:
		return fmt.Errorf("secret_key must have at least %d characters in FIPS mode", sigv4.MinApprovedSecret)
	}
	return nil
}

// openAWSKMS makes the provider of a key in AWS KMS. It asks no service.
func openAWSKMS(ctx context.Context, k *KeyProviderSettings, o keyOpening) (encrypt.Provider, error) {
	a := &k.AWSKMS
	p, err := awskms.Open(ctx, awskms.Options{
		Key: k.Key, Region: a.Region, Endpoint: k.Endpoint, FIPS: a.FIPS,
		AccessKey: a.AccessKey, SecretKey: a.SecretKey, SessionToken: a.SessionToken, Profile: a.Profile,
		Observe: o.observe,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}
