package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/outbound"
	"github.com/sanctum-storage/gateway/plainfile"
	"github.com/sanctum-storage/gateway/transfer"
)

// providerPrefix begins the names of the variables with the provider's
// credential, for import and export. The names end in ACCESS_KEY and
// SECRET_KEY, each also with _FILE.
const providerPrefix = "SANCTUM_IMPORT_"

// providerKeyHelp is part of the help of import and export.
const providerKeyHelp = `The provider's credential comes from SANCTUM_IMPORT_ACCESS_KEY and
SANCTUM_IMPORT_SECRET_KEY (or _FILE), or else from the profile given by a flag, or else
from the places where AWS's own tools look: environment, shared file, instance or pod
role. The gateway's credential comes from SANCTUM_ACCESS_KEY and SANCTUM_SECRET_KEY
(or _FILE).`

// providerFlags describe the S3 server that is not the gateway.
type providerFlags struct {
	side                       string // "from" or "to"
	url, bucket, profile       string
	region, addressing, caFile string
	etags                      string
	plain, noChecksums         bool
}

// add adds the flags. Their names begin with the side, from or to.
func (p *providerFlags) add(cmd *cobra.Command, side string) {
	p.side = side
	f := cmd.Flags()
	f.StringVar(&p.url, side, "", "URL of the provider's S3 server")
	f.StringVar(&p.bucket, side+"-bucket", "", "bucket at the provider")
	f.StringVar(&p.profile, side+"-profile", "", "profile in the shared credentials file of AWS's tools")
	f.StringVar(&p.region, side+"-region", defaultRegion, "region of the provider's bucket")
	f.StringVar(&p.addressing, side+"-addressing", "path", "path: the bucket is in the path; virtual: in the host name")
	f.StringVar(&p.caFile, side+"-ca-file", "", "PEM file of authorities to trust for the provider, instead of the system's")
	f.BoolVar(&p.plain, side+"-insecure-http", false, "use plain HTTP to a provider on another machine, where others can read bodies on the way")
	f.StringVar(&p.etags, side+"-etags", "md5", "md5, or opaque for a provider whose ETags look like MD5 but are not")
	if side == "to" {
		f.BoolVar(&p.noChecksums, side+"-no-checksums", false, "the provider does not take x-amz-checksum-*")
	}
}

// endpoint returns the provider's side of the copy.
func (p *providerFlags) endpoint(requests int) (transfer.Side, error) {
	side := transfer.Side{Bucket: p.bucket}
	switch {
	case p.url == "" || p.bucket == "":
		return side, fmt.Errorf("--%s and --%s-bucket are required", p.side, p.side)
	case p.addressing != "path" && p.addressing != "virtual":
		return side, fmt.Errorf("--%s-addressing %q is neither path nor virtual", p.side, p.addressing)
	case p.etags != "md5" && p.etags != "opaque":
		return side, fmt.Errorf("--%s-etags %q is neither md5 nor opaque", p.side, p.etags)
	}
	if err := checkPlain(p.url, p.plain, "--"+p.side, "--"+p.side+"-insecure-http"); err != nil {
		return side, err
	}
	transport, err := transportOf(p.caFile, requests)
	if err != nil {
		return side, fmt.Errorf("--%s-ca-file: %w", p.side, err)
	}
	who, err := p.credentials()
	if err != nil {
		return side, err
	}
	side.Endpoint = transfer.Endpoint{URL: p.url, Region: p.region, VirtualHost: p.addressing == "virtual", Transport: transport,
		Checksums: !p.noChecksums, OpaqueETags: p.etags == "opaque", Credentials: who}
	return side, nil
}

// credentials returns the source of the provider's credential. A credential of
// an instance role expires, so the source is asked again during a long copy.
func (p *providerFlags) credentials() (func(context.Context) (transfer.Credential, error), error) {
	accessKey, err := providerSecret("ACCESS_KEY")
	if err != nil {
		return nil, err
	}
	secretKey, err := providerSecret("SECRET_KEY")
	if err != nil {
		return nil, err
	}
	switch {
	case (accessKey == "") != (secretKey == ""):
		return nil, fmt.Errorf("%sACCESS_KEY and %sSECRET_KEY: one is set without the other", providerPrefix, providerPrefix)
	case accessKey != "" && p.profile != "":
		return nil, fmt.Errorf("--%s-profile and %sACCESS_KEY: give one of them", p.side, providerPrefix)
	case accessKey != "":
		return static(accessKey, secretKey), nil
	}
	// The client library opens this file itself. A pipe could block it forever,
	// so the path is checked first.
	if path := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); path != "" {
		if _, err := plainfile.Read(path, maxConfigBytes); err != nil {
			return nil, fmt.Errorf("AWS_SHARED_CREDENTIALS_FILE: %w", err)
		}
	}
	chain := []credentials.Provider{&credentials.FileAWSCredentials{Profile: p.profile}}
	// A profile that was named is meant alone. Another credential in its place
	// would copy with rights that nobody asked for.
	if p.profile == "" {
		chain = []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}}
	}
	found := credentials.NewChainCredentials(chain)
	sockets := outbound.Sockets{Connect: adminTimeout, Header: adminTimeout, Idle: adminTimeout}
	ask := &credentials.CredContext{Client: &http.Client{Timeout: adminTimeout, CheckRedirect: outbound.Stay,
		Transport: outbound.Bound(outbound.NewTransport(sockets), outbound.Budget{Answer: adminTimeout})}}
	return func(context.Context) (transfer.Credential, error) {
		v, err := found.GetWithContext(ask)
		if err == nil && v.AccessKeyID == "" {
			err = fmt.Errorf("no credential was found; set %sACCESS_KEY and %sSECRET_KEY", providerPrefix, providerPrefix)
		}
		return transfer.Credential{AccessKey: v.AccessKeyID, SecretKey: v.SecretAccessKey, SessionToken: v.SessionToken}, err
	}, nil
}

// static is a source of a credential that does not change.
func static(accessKey, secretKey string) func(context.Context) (transfer.Credential, error) {
	return func(context.Context) (transfer.Credential, error) {
		return transfer.Credential{AccessKey: accessKey, SecretKey: secretKey}, nil
	}
}

// providerSecret reads one half of the provider's credential; empty if it is
// not set.
func providerSecret(half string) (string, error) {
	name := providerPrefix + half
	value, file := os.Getenv(name), os.Getenv(name+"_FILE")
	switch {
	case value != "" && file != "":
		return "", fmt.Errorf("%s and %s_FILE: give one of them", name, name)
	case file != "":
		secret, err := readSecretFile(file)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", name, err)
		}
		return secret, nil
	}
	return value, nil
}

// withoutProvider removes the provider's credential from the environment,
// because it is not a setting.
func withoutProvider(environ []string) (kept []string) {
	for _, e := range environ {
		if len(e) < len(providerPrefix) || e[:len(providerPrefix)] != providerPrefix {
			kept = append(kept, e)
		}
	}
	return kept
}

// gatewayFlags describe the gateway's side.
type gatewayFlags struct {
	side, url, bucket, caFile string
	plain                     bool
}

// add adds the flags. The URL's flag is named after the side, from or to.
func (g *gatewayFlags) add(cmd *cobra.Command, side string) {
	g.side = side
	f := cmd.Flags()
	f.StringVar(&g.url, side, "http://127.0.0.1:9000", "URL of the gateway's S3 API")
	f.StringVar(&g.bucket, "bucket", "", "bucket at the gateway")
	f.StringVar(&g.caFile, "gateway-ca-file", "", "PEM file of authorities to trust for the gateway, instead of the system's")
	f.BoolVar(&g.plain, "gateway-insecure-http", false, "use plain HTTP to a gateway on another machine, where others can read bodies on the way")
	f.String(configFlag, "", "configuration file in YAML (environment "+envConfig+")")
}

// endpoint returns the gateway's side of the copy. The credential is read from
// the settings.
func (g *gatewayFlags) endpoint(cmd *cobra.Command, requests int) (transfer.Side, error) {
	side := transfer.Side{Bucket: g.bucket}
	if g.bucket == "" {
		return side, errors.New("--bucket is required")
	}
	c, err := loadConfig(cmd, withoutProvider(environment()))
	if err != nil {
		return side, err
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return side, errors.New("the gateway's credential is missing: set SANCTUM_ACCESS_KEY and SANCTUM_SECRET_KEY " +
			"to one that may use the bucket")
	}
	if err := checkPlain(g.url, g.plain, "--"+g.side, "--gateway-insecure-http"); err != nil {
		return side, err
	}
	transport, err := transportOf(g.caFile, requests)
	if err != nil {
		return side, fmt.Errorf("--gateway-ca-file: %w", err)
	}
	side.Endpoint = transfer.Endpoint{URL: g.url, Region: c.region(), Transport: transport, Checksums: true,
		Credentials: static(c.AccessKey, c.SecretKey)}
	return side, nil
}

// checkPlain refuses plain HTTP to another machine unless it is permitted.
func checkPlain(raw string, allowed bool, flag, allow string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if u.Scheme == "https" || allowed || outbound.Loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s %s is plain HTTP to another machine, where others can read bodies on the way: "+
		"use https, or permit this with %s", flag, raw, allow)
}

// transportOf returns a transport that trusts the authorities of a file, or
// those of the system.
func transportOf(caFile string, requests int) (*http.Transport, error) {
	if caFile == "" {
		return transfer.NewTransport(requests, nil), nil
	}
	pem, err := plainfile.Read(caFile, maxPEMBytes)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return transfer.NewTransport(requests, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}), nil
}

// transferFlags are the flags that import and export share.
type transferFlags struct {
	toPrefix, fromPrefix, verify, journal, report, output string
	stripPrefix, overwrite                                bool
	jobs                                                  int
}

// add adds the flags.
func (t *transferFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.fromPrefix, "from-prefix", "", "copy only keys with this prefix, which is kept")
	f.StringVar(&t.toPrefix, "to-prefix", "", "add this before each key")
	f.BoolVar(&t.stripPrefix, "strip-prefix", false, "remove --from-prefix from each key")
	f.StringVar(&t.verify, "verify", "answer",
		"answer: compare the target's ETag and checksum with the bytes that were read; read: also read each object back")
	f.StringVar(&t.journal, "journal", "",
		"file that records which copies are proven; the next run skips them even if ETags are no MD5")
	f.StringVar(&t.report, "report", "", "file for the report in JSON")
	f.BoolVar(&t.overwrite, "overwrite", false, "replace objects at the target that differ from their source")
	f.IntVar(&t.jobs, "jobs", transfer.DefaultJobs, "objects copied at once")
	f.StringVarP(&t.output, "output", "o", "table",
		"output: table, with a line of progress on a terminal; or json, one line for each message")
}

// options checks the flags and returns the options of the copy.
func (t *transferFlags) options(from, to transfer.Side) (transfer.Options, error) {
	o := transfer.Options{From: from, To: to, StripPrefix: t.stripPrefix, Jobs: t.jobs, Overwrite: t.overwrite, Journal: t.journal}
	o.From.Prefix, o.To.Prefix = t.fromPrefix, t.toPrefix
	switch t.verify {
	case "answer":
	case "read":
		o.Verify = transfer.VerifyRead
	default:
		return o, fmt.Errorf("--verify %q is neither answer nor read", t.verify)
	}
	if t.stripPrefix && t.fromPrefix == "" {
		return o, errors.New("--strip-prefix needs --from-prefix")
	}
	return o, checkOutput(t.output)
}

// requests is the number of connections that the jobs need to each server.
func (t *transferFlags) requests() int { return t.jobs*transfer.PartsAtOnce + 1 }

// run copies, shows progress and writes the report. closing adds the meaning of
// the report for people.
func (t *transferFlags) run(cmd *cobra.Command, o transfer.Options, closing func(io.Writer, *transfer.Report)) error {
	o.Log = slog.New(slog.DiscardHandler) // failures are in the report
	copier, err := transfer.New(o)
	if err != nil {
		return usage(err)
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	ended := showProgress(cmd.OutOrStdout(), cmd.ErrOrStderr(), t.output, copier.Progress)
	report, err := copier.Run(ctx)
	// The line of progress ends before the report begins.
	ended()
	if writeErr := t.write(cmd.OutOrStdout(), report, closing); writeErr != nil {
		err = errors.Join(err, writeErr)
	}
	if err == nil && !report.Exact() {
		err = fmt.Errorf("the copy is not complete: %d failed, %d differ at the target", report.Failed, report.Conflicts)
	}
	return failed(err)
}

// write writes the report to the output and to its file.
func (t *transferFlags) write(w io.Writer, r *transfer.Report, closing func(io.Writer, *transfer.Report)) error {
	// The file comes first: a reader of the output that is gone must not cost
	// the report.
	if t.report != "" {
		f, err := plainfile.OpenWritten(t.report, 0o600) // the report contains keys
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(0), writeJSON(shown{f}, r), f.Close()); err != nil {
			return err
		}
	}
	if t.output == "json" {
		return writeLine(w, map[string]any{"type": "report", "report": r})
	}
	printTransfer(w, r)
	closing(w, r)
	return nil
}
