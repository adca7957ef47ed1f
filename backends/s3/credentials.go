package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sanctum-storage/gateway/backends"
	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/plainfile"
)

// credentialsTimeout bounds one request to a metadata service or STS. On machines
// without such a service no response comes.
const credentialsTimeout = 5 * time.Second

// maxCredentials bounds a file of credentials or a token, in bytes.
const maxCredentials = 1 << 20

// newCredentials returns the source of the key, and a function that frees it.
func newCredentials(o *Options) (*credentials.Credentials, func()) {
	if o.Credentials == CredentialsStatic {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken), func() {}
	}
	transport := outbound.NewTransport(outbound.Sockets{Connect: credentialsTimeout, Header: credentialsTimeout, Idle: credentialsTimeout})
	client := &http.Client{
		Transport:     outbound.Bound(transport, outbound.Budget{Answer: credentialsTimeout}),
		CheckRedirect: outbound.Stay, Timeout: credentialsTimeout,
	}
	env := &credentials.EnvAWS{}
	file := &credentials.FileAWSCredentials{Filename: o.CredentialsFile, Profile: o.Profile}
	role := &credentials.IAM{Client: client, Region: o.Region}
	var sources []source
	for _, s := range []source{
		{CredentialsEnv, env},
		{CredentialsFile, fromFile{file, o.CredentialsFile}},
		{CredentialsWebIdentity, webIdentity{role}},
		{CredentialsIMDS, ofRole{role}},
	} {
		if o.Credentials == CredentialsAuto || o.Credentials == s.name {
			sources = append(sources, s)
		}
	}
	return credentials.New(&first{sources: sources}), transport.CloseIdleConnections
}

type source struct {
	name string
	credentials.Provider
}

// first is the first source that has a key. Unlike minio-go's chain it keeps that
// source, and never falls back to unsigned requests: a metadata service that is
// temporarily unreachable is an error.
type first struct {
	sources []source
	chosen  *source
}

// RetrieveWithCredContext implements credentials.Provider.
func (f *first) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	if f.chosen != nil {
		return f.chosen.key(cc)
	}
	var failed []error
	for i := range f.sources {
		value, err := f.sources[i].key(cc)
		if err == nil {
			f.chosen = &f.sources[i]
			return value, nil
		}
		failed = append(failed, err)
	}
	return credentials.Value{}, errors.Join(failed...)
}

// Retrieve implements credentials.Provider.
func (f *first) Retrieve() (credentials.Value, error) {
	return f.RetrieveWithCredContext(&credentials.CredContext{})
}

// IsExpired implements credentials.Provider.
func (f *first) IsExpired() bool { return f.chosen == nil || f.chosen.IsExpired() }

func (s *source) key(cc *credentials.CredContext) (credentials.Value, error) {
	value, err := s.RetrieveWithCredContext(cc)
	if err != nil {
		return credentials.Value{}, fmt.Errorf("%s: %w", s.name, err)
	}
	if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return credentials.Value{}, fmt.Errorf("%s: has no key", s.name)
	}
	value.SignerType = credentials.SignatureV4
	return value, nil
}

// fromFile checks the shared file before minio-go reads it.
type fromFile struct {
	*credentials.FileAWSCredentials
	path string // empty: the default of AWS's tools
}

// RetrieveWithCredContext implements credentials.Provider.
func (f fromFile) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	path := f.path
	if path == "" {
		path = os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	}
	if home, err := os.UserHomeDir(); path == "" && err == nil {
		path = filepath.Join(home, ".aws", "credentials")
	}
	if err := plain(path); err != nil {
		return credentials.Value{}, err
	}
	return f.FileAWSCredentials.RetrieveWithCredContext(cc)
}

// Retrieve implements credentials.Provider.
func (f fromFile) Retrieve() (credentials.Value, error) {
	return f.RetrieveWithCredContext(&credentials.CredContext{})
}

// plain refuses anything but a plain file of bounded size.
func plain(path string) error {
	_, err := plainfile.Read(path, maxCredentials)
	return err
}

// webIdentity is the part of IAM that exchanges a token file for a key.
type webIdentity struct{ *credentials.IAM }

// RetrieveWithCredContext implements credentials.Provider.
func (w webIdentity) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	path := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	if path == "" {
		return credentials.Value{}, errors.New("AWS_WEB_IDENTITY_TOKEN_FILE is not set")
	}
	if err := plain(path); err != nil {
		return credentials.Value{}, err
	}
	return w.IAM.RetrieveWithCredContext(cc)
}

// Retrieve implements credentials.Provider.
func (w webIdentity) Retrieve() (credentials.Value, error) {
	return w.RetrieveWithCredContext(&credentials.CredContext{})
}

// ofRole checks the files that the environment names before IAM reads them.
type ofRole struct{ *credentials.IAM }

// RetrieveWithCredContext implements credentials.Provider.
func (r ofRole) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		if path := os.Getenv(name); path != "" {
			if err := plain(path); err != nil {
				return credentials.Value{}, err
			}
		}
	}
	return r.IAM.RetrieveWithCredContext(cc)
}

// Retrieve implements credentials.Provider.
func (r ofRole) Retrieve() (credentials.Value, error) {
	return r.RetrieveWithCredContext(&credentials.CredContext{})
}

// haveKey fails if there is no key.
func haveKey(ctx context.Context, creds *credentials.Credentials, kind string) error {
	if _, err := creds.GetWithContext(&credentials.CredContext{Context: ctx}); err != nil {
		return fmt.Errorf("%w: credentials %q: %w", backends.ErrDenied, kind, err)
	}
	return nil
}
