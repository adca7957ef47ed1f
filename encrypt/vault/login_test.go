package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
)

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLogins(t *testing.T) {
	for name, login := range map[string]Login{
		"token":          {Method: LoginToken, Token: "hvs.static"},
		"token file":     {Method: LoginToken, TokenFile: write(t, "token", "hvs.static\n")},
		"approle":        {Method: LoginAppRole, Role: "role", SecretID: "s3cr3t"},
		"approle file":   {Method: LoginAppRole, Role: "role", SecretIDFile: write(t, "secret", "s3cr3t\n")},
		"approle mount":  {Method: LoginAppRole, Role: "role", SecretID: "s3cr3t", Mount: "team/approle"},
		"kubernetes":     {Method: LoginKubernetes, Role: "gateway", JWTFile: write(t, "jwt", "eyJhbGciOi.e30.sig")},
		"kubernetes <&>": {Method: LoginKubernetes, Role: `a "<&> role`, JWTFile: write(t, "jwt", "eyJhbGciOi.e30.sig")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			s.Namespace, s.Documented = "admin/team", true
			s.Issue("hvs.static", time.Hour, true)
			s.Accept("auth/team/approle/login", map[string]string{"role_id": "role", "secret_id": "s3cr3t"})
			s.Accept("auth/kubernetes/login", map[string]string{"role": login.Role, "jwt": "eyJhbGciOi.e30.sig"})
			p := open(t, s, func(o *Options) { o.Login, o.Namespace = login, "admin/team/" })
			if err := p.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Credentials that cannot be read are denied, with the setting's name.
func TestNoCredential(t *testing.T) {
	for _, login := range []Login{{Method: LoginToken, TokenFile: "/nowhere/token"}, {Method: LoginAppRole, Role: "role", SecretIDFile: "/nowhere/id"},
		{Method: LoginKubernetes, Role: "role", JWTFile: "/nowhere/jwt"}, {Method: LoginToken, Token: "with\nline"}} {
		p := open(t, newServer(), func(o *Options) { o.Login = login })
		if err := p.Check(t.Context()); !errors.Is(err, encrypt.ErrDenied) {
			t.Errorf("%+v: %v", login, err)
		}
	}
}

// A login by certificate, over TLS with an authority of its own.
func TestCertificate(t *testing.T) {
	s := newServer()
	s.Accept("auth/cert/login", map[string]string{"name": "gateway"})
	certificate, key, leaf := clientCertificate(t)
	server := httptest.NewUnstartedServer(s)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	authority := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	o := Options{Address: server.URL, Key: testKey, CAFile: authority,
		Login: Login{Method: LoginCertificate, Role: "gateway", CertificateFile: certificate, CertificateKeyFile: key}}
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   error
	}{
		{"right", func(*Options) {}, nil},
		{"without the authority", func(o *Options) { o.CAFile = "" }, encrypt.ErrUnavailable},
		{"without the certificate", func(o *Options) { o.Login = appRole }, encrypt.ErrUnavailable},
	} {
		o := o
		c.change(&o)
		p, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		p.Close()
	}
}

// clientCertificate returns the files of a new certificate and its key.
func clientCertificate(t *testing.T) (certificate, key string, leaf *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway"}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return write(t, "client.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, "client.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))), leaf
}
