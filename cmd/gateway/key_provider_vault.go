package main

import (
	"context"
	"errors"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/vault"
)

// vaultType is the type of keys of the Transit engine.
var vaultType = keyProviderType{
	name: "vault", doc: "the transit engine of OpenBao or Vault",
	settings: vaultRows,
	check:    checkVault,
	open:     openVault,
}

// vaultSettings are the settings that the type vault alone has. Files whose setting ends in
// _path are read again at each login.
type vaultSettings struct {
	Address   string
	AllowHTTP bool
	Namespace string
	Mount     string
	Timeout   time.Duration

	Login              string
	LoginMount         string
	Role               string
	Token              string
	TokenPath          string
	SecretID           string
	SecretIDPath       string
	JWTPath            string
	CertificatePath    string
	CertificateKeyPath string
}

// vaultTimeout is the default of key_providers.NAME.timeout.
const vaultTimeout = 5 * time.Second

// vaultRows lists the settings.
func vaultRows(k *KeyProviderSettings) []setting {
	v := &k.Vault
	return []setting{
		textSetting("address", "URL of OpenBao or Vault, such as https://vault.example.com:8200", &v.Address),
		{key: "allow_http", def: "false", value: (*flag)(&v.AllowHTTP),
			doc: "whether address may be plain http on another machine, which shows seeds to the network"},
		textSetting("namespace", "namespace of the engine and of the login; empty: the root namespace", &v.Namespace),
		textSetting("mount", "path of the transit engine; empty: transit", &v.Mount),
		textSetting("key", "name of the transit key, which must be a derived one", &k.Key),
		textSetting("ca_file", "PEM file of certificates to trust in addition to the system's", &k.CAFile),
		{key: "timeout", def: vaultTimeout.String(), value: &span{&v.Timeout, minInterval, maxInterval},
			doc: "maximum wait for each answer"},
		{key: "login", value: &choice{&v.Login, []string{vault.LoginToken, vault.LoginAppRole, vault.LoginKubernetes, vault.LoginCertificate}},
			doc: "kind of login: token, approle, kubernetes or certificate"},
		textSetting("login_mount", "path of the auth method; empty: approle, kubernetes or cert", &v.LoginMount),
		textSetting("role", "role id of an approle; role of a kubernetes or certificate login", &v.Role),
		secretSetting("token", "token", &v.Token),
		textSetting("token_path", "file with the token, read again at each login", &v.TokenPath),
		secretSetting("secret_id", "secret id of an approle", &v.SecretID),
		textSetting("secret_id_path", "file with the secret id, read again at each login", &v.SecretIDPath),
		textSetting("jwt_path", "file with the service account's token; empty: where Kubernetes puts it", &v.JWTPath),
		textSetting("certificate_path", "PEM file of the client certificate", &v.CertificatePath),
		textSetting("certificate_key_path", "PEM file of its private key", &v.CertificateKeyPath),
	}
}

// checkVault refuses settings that are missing, or that belong to another login. The
// provider checks what they say.
func checkVault(k *KeyProviderSettings) error {
	v := &k.Vault
	switch {
	case v.Address == "":
		return errors.New("address must be the URL of OpenBao or Vault")
	case k.Key == "":
		return errors.New("key must name a transit key")
	case v.Login == "":
		return errors.New("login must be token, approle, kubernetes or certificate")
	}
	of := map[string]map[string]string{
		vault.LoginToken:       {"token": v.Token, "token_path": v.TokenPath},
		vault.LoginAppRole:     {"secret_id": v.SecretID, "secret_id_path": v.SecretIDPath},
		vault.LoginKubernetes:  {"jwt_path": v.JWTPath},
		vault.LoginCertificate: {"certificate_path": v.CertificatePath, "certificate_key_path": v.CertificateKeyPath},
	}
	delete(of, v.Login)
	if v.Login == vault.LoginToken {
		of[vault.LoginAppRole]["role"], of[vault.LoginAppRole]["login_mount"] = v.Role, v.LoginMount
	}
	return foreign("vault with login "+v.Login, of[vault.LoginToken], of[vault.LoginAppRole], of[vault.LoginKubernetes], of[vault.LoginCertificate])
}

// openVault opens a key of OpenBao or Vault. It calls no service.
func openVault(_ context.Context, k *KeyProviderSettings, o keyOpening) (encrypt.Provider, error) {
	v := &k.Vault
	p, err := vault.Open(vault.Options{
		Address: v.Address, AllowHTTP: v.AllowHTTP, Namespace: v.Namespace, Mount: v.Mount, Key: k.Key, CAFile: k.CAFile, Timeout: v.Timeout,
		Login: vault.Login{Method: v.Login, Mount: v.LoginMount, Role: v.Role, Token: v.Token, TokenFile: v.TokenPath,
			SecretID: v.SecretID, SecretIDFile: v.SecretIDPath, JWTFile: v.JWTPath,
			CertificateFile: v.CertificatePath, CertificateKeyFile: v.CertificateKeyPath},
		Observe: func(outcome vault.Outcome, err error) { o.login(string(outcome), err) },
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}
