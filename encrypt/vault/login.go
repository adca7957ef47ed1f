package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/plainfile"
)

// Methods of a login.
const (
	LoginToken       = "token"       // a token that somebody else made
	LoginAppRole     = "approle"     // a role id and a secret id
	LoginKubernetes  = "kubernetes"  // the token of a pod's service account
	LoginCertificate = "certificate" // a TLS client certificate
)

const (
	// DefaultJWTFile is where Kubernetes puts the token of a pod's service account.
	DefaultJWTFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	// maxCredential bounds tokens, secret ids and JWTs, in bytes.
	maxCredential = 16 << 10
)

// Login says how the gateway proves who it is. Files are read again at each login, so that
// another program may replace them.
type Login struct {
	Method string
	// Mount is the path of the auth method; empty: "approle", "kubernetes" or "cert".
	Mount string
	// Role is the role id of an AppRole, the role of a Kubernetes login, or the name of a
	// certificate role, which may be empty.
	Role               string
	Token, TokenFile   string // one of them, of LoginToken
	SecretID           string // one of them, of LoginAppRole
	SecretIDFile       string
	JWTFile            string // of LoginKubernetes; empty: DefaultJWTFile
	CertificateFile    string // PEM, of LoginCertificate
	CertificateKeyFile string
}

// complete checks the login and fills in defaults.
func (l Login) complete() (Login, error) {
	mounts := map[string]string{LoginToken: "token", LoginAppRole: "approle", LoginKubernetes: "kubernetes", LoginCertificate: "cert"}
	switch {
	case mounts[l.Method] == "":
		return l, fmt.Errorf("login: %q is none of token, approle, kubernetes, certificate", l.Method)
	case l.Method == LoginToken && (l.Token == "") == (l.TokenFile == ""):
		return l, errors.New("token: a login by token needs either token or token_path")
	case l.Method == LoginAppRole && (l.SecretID == "") == (l.SecretIDFile == ""):
		return l, errors.New("secret_id: a login by approle needs either secret_id or secret_id_path")
	case (l.Method == LoginAppRole || l.Method == LoginKubernetes) && l.Role == "":
		return l, fmt.Errorf("role: a login by %s needs one", l.Method)
	case l.Method == LoginCertificate && (l.CertificateFile == "" || l.CertificateKeyFile == ""):
		return l, errors.New("certificate_path: a login by certificate needs it and certificate_key_path")
	case l.Mount != "" && (l.Method == LoginToken || !isPath(l.Mount)):
		return l, fmt.Errorf("login_mount: %q is not the path of an auth method for a login by %s", l.Mount, l.Method)
	case len(l.Token) > maxCredential || len(l.SecretID) > maxCredential || len(l.Role) > maxCredential:
		return l, fmt.Errorf("login: a credential has more than %d bytes", maxCredential)
	}
	if l.Mount == "" {
		l.Mount = mounts[l.Method]
	}
	if l.JWTFile == "" {
		l.JWTFile = DefaultJWTFile
	}
	return l, nil
}

// certificate reads the client certificate.
func (l Login) certificate() (*tls.Certificate, error) {
	chain, err := plainfile.Read(l.CertificateFile, maxCertificate)
	if err != nil {
		return nil, err
	}
	key, err := plainfile.Read(l.CertificateKeyFile, maxCertificate)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	pair, err := tls.X509KeyPair(chain, key)
	return &pair, err
}

// run logs in. Its errors are of the kinds ErrDenied and ErrUnavailable.
func (l Login) run(ctx context.Context, a *api) (lease, error) {
	if l.Method == LoginToken {
		return l.lookUp(ctx, a)
	}
	q := &call{method: http.MethodPost, path: "auth/" + l.Mount + "/login"}
	switch l.Method {
	case LoginAppRole:
		secret, err := credential("secret_id", l.SecretID, l.SecretIDFile)
		if err != nil {
			return lease{}, err
		}
		q.add("role_id", []byte(l.Role))
		q.hide("secret_id", secret)
	case LoginKubernetes:
		jwt, err := credential("jwt", "", l.JWTFile)
		if err != nil {
			return lease{}, err
		}
		q.add("role", []byte(l.Role))
		q.hide("jwt", jwt)
	case LoginCertificate:
		if l.Role != "" {
			q.add("name", []byte(l.Role))
		}
	}
	return loggedIn(ctx, a, "", q)
}

// loggedIn sends a login or a renewal.
func loggedIn(ctx context.Context, a *api, token string, q *call) (lease, error) {
	sent := time.Now()
	answer, err := a.do(ctx, token, q)
	if err != nil {
		return lease{}, err
	}
	if answer.status != http.StatusOK {
		return lease{}, loginRefused(q, answer)
	}
	var got struct {
		Auth struct {
			Token     string `json:"client_token"`
			Seconds   int64  `json:"lease_duration"`
			Renewable bool   `json:"renewable"`
		} `json:"auth"`
	}
	defer clear(answer.body)
	if json.Unmarshal(answer.body, &got) != nil || !isToken(got.Auth.Token) || got.Auth.Seconds < 0 || got.Auth.Seconds > maxLease {
		return lease{}, fmt.Errorf("vault: %w: the answer to %s has no token", encrypt.ErrUnavailable, q.path)
	}
	return lease{token: got.Auth.Token, from: sent, length: time.Duration(got.Auth.Seconds) * time.Second, renewable: got.Auth.Renewable}, nil
}

// lookUp reads the token, and asks the service how long it is good.
func (l Login) lookUp(ctx context.Context, a *api) (lease, error) {
	token, err := credential("token", l.Token, l.TokenFile)
	if err != nil {
		return lease{}, err
	}
	if !isToken(string(token)) {
		return lease{}, fmt.Errorf("vault: %w: token: it is empty or has characters that no token has", encrypt.ErrDenied)
	}
	sent := time.Now()
	q := &call{method: http.MethodGet, path: "auth/token/lookup-self"}
	answer, err := a.do(ctx, string(token), q)
	if err != nil {
		return lease{}, err
	}
	if answer.status != http.StatusOK {
		return lease{}, loginRefused(q, answer)
	}
	var got struct {
		Data *struct {
			Seconds   int64 `json:"ttl"` // 0: for ever
			Renewable bool  `json:"renewable"`
		} `json:"data"`
	}
	defer clear(answer.body)
	if json.Unmarshal(answer.body, &got) != nil || got.Data == nil || got.Data.Seconds < 0 || got.Data.Seconds > maxLease {
		return lease{}, fmt.Errorf("vault: %w: the answer to %s has no lease", encrypt.ErrUnavailable, q.path)
	}
	return lease{token: string(token), from: sent, length: time.Duration(got.Data.Seconds) * time.Second, renewable: got.Data.Renewable}, nil
}

// isToken reports whether s can be a header's value.
func isToken(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxCredential
}

// credential returns the value, or else what the file has. A file that cannot be read is
// the operator's to repair, like a credential that is refused.
func credential(setting, value, file string) ([]byte, error) {
	if file == "" {
		return []byte(value), nil
	}
	b, err := plainfile.Read(file, maxCredential)
	if err != nil {
		return nil, fmt.Errorf("vault: %w: %s_path: %v", encrypt.ErrDenied, setting, err)
	}
	return bytes.TrimSpace(b), nil
}
