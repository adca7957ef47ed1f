//go:build linux

package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Region is the region of the S3 servers that are started here.
const s3Region = "us-east-1"

// S3Server is a running S3 server with one credential that may do everything.
type S3Server struct {
	*Process
	Endpoint  string // URL with scheme, host and port
	AccessKey string
	SecretKey string
	Region    string
	CAFile    string // PEM file of its certificate; empty: plain HTTP
}

// StartVersitygw serves the folder dir, which must exist, over plain HTTP and
// waits until it answers. Buckets are the folders in dir. log takes its output.
// After Stop or Kill, starting again over the same dir serves the same objects,
// with another address and credential; Restart keeps both. The caller stops it.
func StartVersitygw(ctx context.Context, dir, log string) (*S3Server, error) {
	return startVersitygw(ctx, dir, log, nil)
}

// StartVersitygwTLS is StartVersitygw over TLS.
func StartVersitygwTLS(ctx context.Context, dir, log string, cert Certificate) (*S3Server, error) {
	return startVersitygw(ctx, dir, log, &cert)
}

func startVersitygw(ctx context.Context, dir, log string, cert *Certificate) (*S3Server, error) {
	program, err := Versitygw.Path(ctx)
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	s := newS3Server(addr[0], cert)
	args := []string{"--port", addr[0], "--region", s3Region, "--keep-alive", "--quiet"}
	if cert != nil {
		args = append(args, "--cert", cert.CertFile, "--key", cert.KeyFile)
	}
	s.Process, err = Start(Spec{
		Name:    Versitygw.Name(),
		Program: program,
		Args:    append(args, "posix", dir),
		Env:     []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey},
		Log:     log,
	})
	if err != nil {
		return nil, err
	}
	return s.whenReady(ctx)
}

// Restart starts the server after Stop or Kill, with the same address, folder and
// credential, and waits until it answers. It is for whoever started the server.
func (s *S3Server) Restart(ctx context.Context) error {
	p, err := Start(s.spec)
	if err != nil {
		return err
	}
	s.Process = p
	_, err = s.whenReady(ctx)
	return err
}

// newS3Server has a fresh credential.
func newS3Server(address string, cert *Certificate) *S3Server {
	s := &S3Server{
		Endpoint:  "http://" + address,
		AccessKey: "TEST" + rand.Text()[:16],
		SecretKey: rand.Text() + rand.Text()[:14],
		Region:    s3Region,
	}
	if cert != nil {
		s.Endpoint, s.CAFile = "https://"+address, cert.CertFile
	}
	return s
}

// whenReady waits until the server answers a signed request, and stops it if it
// does not.
func (s *S3Server) whenReady(ctx context.Context) (*S3Server, error) {
	client, done, err := s.client()
	if err != nil {
		s.Kill()
		return nil, err
	}
	defer done()
	err = s.Ready(ctx, func(ctx context.Context) error {
		_, err := client.ListBuckets(ctx)
		return err
	})
	if err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// MakeBucket creates a bucket. One that exists already is no error: nobody else
// uses the server.
func (s *S3Server) MakeBucket(ctx context.Context, name string) error {
	client, done, err := s.client()
	if err != nil {
		return err
	}
	defer done()
	err = client.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: s.Region})
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && (answer.Code == minio.BucketAlreadyOwnedByYou || answer.Code == minio.BucketAlreadyExists) {
		return nil
	}
	return err
}

// Host is the server's address, host:port.
func (s *S3Server) Host() string {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return "" // Endpoint was written here
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}

// Transport trusts the server's certificate and no proxy of the environment.
// The caller closes its idle connections.
func (s *S3Server) Transport() (*http.Transport, error) {
	t := &http.Transport{}
	if s.CAFile != "" {
		config, err := Trust(s.CAFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = config
	}
	return t, nil
}

// client makes one request at a time and is freed by done.
func (s *S3Server) client() (_ *minio.Client, done func(), _ error) {
	transport, err := s.Transport()
	if err != nil {
		return nil, nil, err
	}
	client, err := minio.New(s.Host(), &minio.Options{
		Creds:        credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Secure:       s.CAFile != "",
		Region:       s.Region,
		BucketLookup: minio.BucketLookupPath,
		Transport:    transport,
		MaxRetries:   1,
	})
	return client, transport.CloseIdleConnections, err
}
