package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeyProviderSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := load(t, "", nil)
	if err != nil || len(c.KeyProviders) > 0 || c.KeysDefault != "" {
		t.Fatalf("without configuration: %v, %v", c, err)
	}
	const file = `
keyring: {path: main.key}
keys: {default: main, second: far-away}
key_providers:
  main: {type: keyring}
  far-away:
    type: keyring
    path: from-file
`
	env := []string{"SANCTUM_KEY_PROVIDERS_FAR_AWAY_PATH=from-environment", "SANCTUM_KEY_PROVIDERS_FAR_AWAY_PASSPHRASE=canary",
		"SANCTUM_KEYRING_PASSPHRASE=canary too", "SANCTUM_KEY_PROVIDERS_UNUSED_TYPE="}
	if c, err = load(t, file, env); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range c.KeyProviders {
		got = append(got, fmt.Sprintf("%s=%s:%s:%s:%t", k.Name, k.Type, k.Keyring.Path, k.Keyring.Passphrase, k.bare))
	}
	const want = "far-away=keyring:from-environment:canary:false main=keyring:main.key:canary too:true"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	if c.KeysDefault != "main" || c.KeysSecond != "far-away" || c.origins["key_providers.far-away.type"] != "gateway.yaml:7" {
		t.Errorf("default %q, second %q, %v", c.KeysDefault, c.KeysSecond, c.origins)
	}
	for _, s := range c.shown() {
		if strings.Contains(s.Value, "canary") {
			t.Errorf("shown: %+v", s)
		}
	}
	if c, err = load(t, "key_providers: {only: {type: keyring, path: a}}\n", nil); err != nil || c.KeysDefault != "only" || !c.KeyProviders[0].bare {
		t.Errorf("of one: %+v, %v", c, err)
	}
}

func TestKeyProviderSettingsErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	const two = "{a: {type: keyring, path: a}, b: {type: keyring, path: b}}"
	for name, c := range map[string]struct {
		file string
		env  []string
		want string
	}{
		"no mapping":          {file: "key_providers: [a]\n", want: "gateway.yaml:1: want names of key providers"},
		"bad name":            {file: "key_providers: {A: {type: keyring}}\n", want: `gateway.yaml:1: key provider name "A": want lower-case`},
		"unknown setting":     {file: "key_providers:\n  a:\n    kind: x\n", want: "gateway.yaml:3: unknown key key_providers.a.kind"},
		"unknown type":        {file: "key_providers: {a: {type: paper}}\n", want: `gateway.yaml:1: key_providers.a.type: "paper" is none of keyring, awskms, gcpkms, pkcs11, vault`},
		"no type":             {file: "key_providers: {a: {path: x}}\n", want: "key_providers.a.type is missing"},
		"passphrase alone":    {file: "key_providers: {a: {type: keyring, passphrase: canary}}\n", want: "key_providers.a.passphrase needs path"},
		"no key":              {file: "key_providers: {a: {type: gcpkms}}\n", want: "key_providers.a.key must name the key"},
		"key of a file":       {file: "key_providers: {a: {type: keyring, key: k}}\n", want: "key_providers.a.key does not belong to type keyring"},
		"path of a service":   {file: "key_providers: {a: {type: gcpkms, key: k, path: x}}\n", want: "key_providers.a.path does not belong to type gcpkms"},
		"pkcs11, no module":   {file: "key_providers: {a: {type: pkcs11}}\n", want: "key_providers.a.module must be the path of a PKCS#11 library"},
		"pkcs11, no PIN":      {file: "key_providers: {a: {type: pkcs11, module: /m, token_label: t, key: k}}\n", want: "key_providers.a.pin_path must name the file"},
		"vault, no address":   {file: "key_providers: {a: {type: vault, key: k, login: token}}\n", want: "key_providers.a.address must be the URL of OpenBao or Vault"},
		"vault, no key":       {file: "key_providers: {a: {type: vault, address: x}}\n", want: "key_providers.a.key must name a transit key"},
		"vault, no login":     {file: "key_providers: {a: {type: vault, address: x, key: k}}\n", want: "key_providers.a.login must be token, approle, kubernetes or certificate"},
		"vault, a key file":   {file: "key_providers: {a: {type: vault, path: p}}\n", want: "key_providers.a.path does not belong to type vault"},
		"vault, other login":  {file: "key_providers: {a: {type: vault, address: x, key: k, login: token, secret_id: canary}}\n", want: "key_providers.a.secret_id does not belong to type vault with login token"},
		"vault, a role":       {file: "key_providers: {a: {type: vault, address: x, key: k, login: token, token: canary, role: r}}\n", want: "key_providers.a.role does not belong to type vault with login token"},
		"keyring, a login":    {file: "key_providers: {a: {type: keyring, path: p, token: canary}}\n", want: "key_providers.a.token does not belong to type keyring"},
		"keyring, a timeout":  {file: "key_providers: {a: {type: keyring, path: p, timeout: 1s}}\n", want: "key_providers.a.timeout does not belong to type keyring"},
		"two of keyring.path": {file: "key_providers: {a: {type: keyring}, b: {type: keyring}}\nkeys: {default: a}\n", want: "key_providers.b.path: a has the key file of keyring.path already"},
		"no default":          {file: "key_providers: " + two + "\n", want: "keys.default must name one of the key providers: a, b"},
		"unknown default":     {file: "key_providers: " + two + "\nkeys: {default: c}\n", want: `keys.default: no key provider is named "c"; the key providers are a, b`},
		"unknown second":      {file: "key_providers: " + two + "\nkeys: {default: a, second: c}\n", want: `keys.second: no key provider is named "c"`},
		"its own second":      {file: "key_providers: " + two + "\nkeys: {default: a, second: a}\n", want: `keys.second names the default, "a"`},
		"keys without list":   {file: "keys: {default: a}\n", want: "keys.default and keys.second name key providers, and no key_providers"},
		"awskms, no key":      {file: "key_providers: {a: {type: awskms}}\n", want: "key_providers.a.key must name a key of AWS KMS"},
		"awskms, a path":      {file: "key_providers: {a: {type: awskms, key: x, path: p}}\n", want: "key_providers.a.path does not belong to type awskms"},
		"keyring, a key":      {file: "key_providers: {a: {type: keyring, key: x, secret_key: canary}}\n", want: "key_providers.a.key does not belong to type keyring"},
		"fips of a file":      {file: "key_providers: {a: {type: keyring, fips: true}}\n", want: "key_providers.a.fips does not belong to type keyring"},
		"unknown in variable": {env: []string{"SANCTUM_KEY_PROVIDERS_A_KIND=x"}, want: "environment SANCTUM_KEY_PROVIDERS_A_KIND: no setting has this name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.file, c.env)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}
