package main

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sanctum-storage/gateway/plainfile"
)

// checkPairs refuses settings that contradict each other. Errors name the keys
// and the remedy.
func (c *configuration) checkPairs() error {
	acme := len(c.TLSACMEDomains) > 0
	switch {
	case (c.AccessKey == "") != (c.SecretKey == ""):
		return errors.New("access_key and secret_key belong together: set both or neither")
	case (c.TLSCertFile == "") != (c.TLSKeyFile == ""):
		return errors.New("tls.cert_file and tls.key_file belong together: set both or neither")
	case c.TLSCertFile != "" && acme:
		return errors.New("tls.cert_file and tls.acme_domains exclude each other: choose one source of certificates")
	case c.TLSACMEEmail != "" && !acme:
		return errors.New("tls.acme_email needs tls.acme_domains")
	case c.AdminTLS && !c.hasTLS():
		return errors.New("admin.tls needs tls.cert_file and tls.key_file, or tls.acme_domains")
	case c.StoreURL != "" && !strings.HasPrefix(c.StoreURL, "postgres://") && !strings.HasPrefix(c.StoreURL, "postgresql://"):
		// The value is left out of the error, because it contains a password.
		return errors.New("store.url: want a URL such as postgres://user:password@host:5432/database")
	case fips140.Enabled() && c.S3SignatureV2 != signatureOff:
		return errors.New("s3.signature_v2 must be off in FIPS mode: signatures of version 2 need HMAC-SHA-1, which is not approved")
	case c.Data == "":
		return errors.New("data must name a folder")
	case len(c.S3Regions) == 0 || slices.ContainsFunc(c.S3Regions, func(r string) bool { return strings.ContainsAny(r, " /\t\r\n") }):
		return errors.New("s3.region must be words such as " + defaultRegion + ", or " + anyRegion)
	}
	if err := checkStoreFiles(c.StoreURL); err != nil {
		return err
	}
	// config show prints these URLs, so they must not carry a credential.
	for key, raw := range map[string]string{"admin.url": c.AdminURL, "tls.acme_directory": c.TLSACMEDirectory} {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
			return fmt.Errorf("%s: want a URL such as https://host:port without credentials", key)
		}
	}
	return nil
}

// checkStoreFiles refuses a database URL with a path that is no plain file. The
// database driver would open it and, if it is a pipe, wait forever.
func checkStoreFiles(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return nil // the driver reports it, without the password
	}
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey", "passfile", "servicefile"} {
		path := u.Query().Get(name)
		if path == "" || name == "sslrootcert" && path == "system" {
			continue
		}
		if _, err := plainfile.Read(path, maxPEMBytes); err != nil {
			return fmt.Errorf("store.url: %s: %w", name, err)
		}
	}
	return nil
}

// hasTLS reports whether a certificate is configured, by files or ACME.
func (c *configuration) hasTLS() bool { return c.TLSCertFile != "" || len(c.TLSACMEDomains) > 0 }

// checkListeners refuses listeners that collide, and listeners that accept
// plain text from other machines without explicit permission.
func (c *configuration) checkListeners() error {
	listeners := []struct {
		name, addr string
		tls        bool
	}{
		{"s3", c.S3Address, c.hasTLS()},
		{"admin", c.AdminAddress, c.AdminTLS},
		{"metrics", c.MetricsAddress, false},
	}
	for _, d := range c.S3WebsiteDomains {
		if slices.ContainsFunc(c.S3Domains, func(other string) bool { return strings.EqualFold(d, other) }) {
			return fmt.Errorf("s3.domains and s3.website_domains both have %s: an S3 endpoint and websites need hosts of their own", d)
		}
	}
	// Addresses are compared as texts, for which address.set demands one
	// spelling of a port. Port 0 is another free port for each listener.
	for i, l := range listeners {
		for _, m := range listeners[:i] {
			if l.addr == m.addr && !strings.HasSuffix(l.addr, ":0") {
				return fmt.Errorf("%s.address and %s.address are both %s: give each its own port", m.name, l.name, l.addr)
			}
		}
		allowed := slices.Contains(c.AllowInsecurePublic, l.name) || slices.Contains(c.AllowInsecurePublic, everyListener)
		if !l.tls && !allowed && !isLoopback(l.addr) {
			return fmt.Errorf("%s.address %s can be reached from other machines without TLS: %s", l.name, l.addr, remedy(l.name))
		}
	}
	return nil
}

// remedy tells how to make a listener safe, or how to permit it as it is.
func remedy(listener string) string {
	allow := "--allow-insecure-public=" + listener
	switch listener {
	case "s3":
		return "set tls.cert_file and tls.key_file, or listen on 127.0.0.1, or allow it with " + allow
	case "admin":
		return "set admin.tls, or listen on 127.0.0.1, or allow it with " + allow
	}
	return "listen on 127.0.0.1, or allow it with " + allow
}
