package awskms

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sanctum-storage/gateway/outbound"
)

const (
	// idleConns is the number of idle connections that are kept. Calls are rare.
	idleConns = 8
	// idleConnTime is how long they are kept.
	idleConnTime = 15 * time.Second
	// maxCredentials bounds what a source of credentials may answer, in bytes, with the
	// handshake of TLS.
	maxCredentials = 256 << 10
	// targetPrefix begins the header X-Amz-Target of requests to KMS.
	targetPrefix = "TrentService."
)

// connect makes the client of the options. It reads the environment and AWS's shared
// files, and sends nothing.
func connect(ctx context.Context, o Options) (*kms.Client, *logins, func(), error) {
	source := aws.HTTPClient(credentialsClient(o.Timeout))
	if o.transport != nil {
		source = &http.Client{Transport: o.transport}
	}
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(source),
		// Without this, containers and pods are asked by a client without bounds.
		config.WithEndpointCredentialOptions(func(e *endpointcreds.Options) { e.HTTPClient = source }),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(r *retry.StandardOptions) {
				r.MaxAttempts, r.MaxBackoff = maxAttempts, o.backoff()
			})
		}),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(o.Profile))
	}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.SessionToken)))
	}
	if o.FIPS {
		load = append(load, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	settled, err := config.LoadDefaultConfig(ctx, load...)
	switch {
	case err != nil && o.Profile != "":
		return nil, nil, nil, wrong("profile", "%v", err)
	case err != nil:
		return nil, nil, nil, wrong("credentials", "AWS's environment variables or shared files: %v", err)
	case settled.Region == "":
		return nil, nil, nil, wrong("region", "is missing, and neither the key's ARN nor AWS's environment or profile names one")
	case settled.Credentials == nil:
		return nil, nil, nil, wrong("credentials", "there are none")
	}
	transport, idle := o.sockets(roots(settled.HTTPClient))
	observe := o.Observe
	if o.AccessKey != "" {
		observe = nil
	}
	creds := newLogins(settled.Credentials, observe)
	settled.Credentials = creds
	return kms.NewFromConfig(settled, func(k *kms.Options) {
		k.HTTPClient = &http.Client{
			Transport:     sealed{outbound.Bound(transport, outbound.Budget{Idle: o.Timeout, Answer: o.Timeout})},
			CheckRedirect: outbound.Stay,
		}
		if o.Endpoint != "" {
			k.BaseEndpoint = aws.String(o.Endpoint)
		}
	}), creds, idle, nil
}

// sockets returns the transport of requests to KMS, and the function that closes its idle
// connections.
func (o Options) sockets(roots *x509.CertPool) (http.RoundTripper, func()) {
	if o.transport != nil {
		return o.transport, func() {}
	}
	t := outbound.NewTransport(outbound.Sockets{
		Connect: o.Timeout, Header: o.Timeout, Idle: o.Timeout, Kept: idleConns, KeptFor: idleConnTime, Roots: roots,
	})
	return t, t.CloseIdleConnections
}

// credentialsClient is the client of the sources of credentials. With AWS_CA_BUNDLE the SDK
// takes no other kind than its own, so the bound of an answer is that of its connection.
func credentialsClient(timeout time.Duration) *awshttp.BuildableClient {
	dialer := &net.Dialer{Timeout: timeout}
	return awshttp.NewBuildableClient().WithTimeout(timeout).WithTransportOptions(func(t *http.Transport) {
		t.DisableKeepAlives = true
		t.MaxResponseHeaderBytes = outbound.MaxHeader
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &limited{c, maxCredentials}, nil
		}
	})
}

// limited is a connection that ends after so many bytes were read.
type limited struct {
	net.Conn
	left int
}

const errExcessive = refusal("the answer of a source of credentials is too long")

// Read implements net.Conn.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errExcessive
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// roots are the authorities of AWS_CA_BUNDLE, or of ca_bundle in the profile; nil: the
// system's.
func roots(client aws.HTTPClient) *x509.CertPool {
	b, ok := client.(*awshttp.BuildableClient)
	if !ok || b.GetTransport().TLSClientConfig == nil {
		return nil
	}
	return b.GetTransport().TLSClientConfig.RootCAs
}

// sealed is the last check before the network. Endpoints can also come from AWS's
// environment variables, and seeds must not pass in the clear whoever names the endpoint.
type sealed struct{ next http.RoundTripper }

// refusal is an error of ours, which no retry mends.
type refusal string

func (r refusal) Error() string { return string(r) }

// RetryableError is for the SDK.
func (r refusal) RetryableError() bool { return false }

const errClear = refusal("refused to send a key over plain HTTP to another machine")

// RoundTrip implements http.RoundTripper.
func (s sealed) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && strings.HasPrefix(req.Header.Get("X-Amz-Target"), targetPrefix) && !outbound.Loopback(req.URL.Hostname()) {
		return nil, errClear
	}
	return s.next.RoundTrip(req)
}
