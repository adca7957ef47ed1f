package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/sanctum-storage/gateway/plainfile"
)

// How files of certificates are watched and where ACME keeps its own.
const (
	certificatePoll = 5 * time.Second // how soon a changed file is noticed
	maxPEMBytes     = 1 << 20
	acmeFolder      = "acme" // in the data folder: account key and certificates
)

// certificates is the source of the TLS listeners' certificates: files, ACME,
// or neither when TLS is off.
type certificates struct {
	files *certificateFiles
	acme  *autocert.Manager
}

// newCertificates reads the certificate files, if any. It does not contact the
// ACME authority: that happens at the first handshake for a domain.
func newCertificates(c *configuration) (*certificates, error) {
	switch {
	case c.TLSCertFile != "":
		f := &certificateFiles{cert: c.TLSCertFile, key: c.TLSKeyFile}
		if err := f.reload(); err != nil {
			return nil, err
		}
		return &certificates{files: f}, nil
	case len(c.TLSACMEDomains) > 0:
		return &certificates{acme: &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			Cache:      autocert.DirCache(filepath.Join(c.Data, acmeFolder)),
			HostPolicy: autocert.HostWhitelist(c.TLSACMEDomains...),
			Email:      c.TLSACMEEmail,
			Client:     &acme.Client{DirectoryURL: c.TLSACMEDirectory, UserAgent: "sanctum-gateway"},
		}}, nil
	}
	return &certificates{}, nil
}

// config is the TLS configuration of a listener; nil when TLS is off.
func (c *certificates) config() *tls.Config {
	switch {
	case c.files != nil:
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.files.get}
	case c.acme != nil:
		t := c.acme.TLSConfig()
		t.MinVersion = tls.VersionTLS12
		return t
	}
	return nil
}

// reload reads certificate files again. Without files it does nothing.
func (c *certificates) reload() error {
	if c.files == nil {
		return nil
	}
	return c.files.reload()
}

// watch reloads the files when they change, until ctx ends. It polls, because
// Kubernetes swaps files through symbolic links, and that raises no event for
// the path itself.
func (c *certificates) watch(ctx context.Context, log *slog.Logger) {
	if c.files == nil {
		return
	}
	tick := time.NewTicker(certificatePoll)
	defer tick.Stop()
	tried := c.files.state()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := c.files.state()
		if slices.Equal(now, tried) {
			continue
		}
		// A faulty state of the files is tried and logged once.
		tried = now
		if err := c.files.reload(); err != nil {
			log.Warn("the changed certificate cannot be used; the old one stays", "error", err)
			continue
		}
		log.Info("certificate reloaded")
	}
}

// certificateFiles is a certificate and its key in two PEM files.
type certificateFiles struct {
	cert, key string
	current   atomic.Pointer[tls.Certificate]
}

// get is tls.Config.GetCertificate.
func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// reload reads the files and uses them. If they are faulty, the old certificate
// stays in use.
func (f *certificateFiles) reload() error {
	cert, err := plainfile.Read(f.cert, maxPEMBytes)
	if err != nil {
		return fmt.Errorf("tls.cert_file: %w", err)
	}
	// A key that other users can read is refused.
	key, err := plainfile.ReadSecret(f.key, maxPEMBytes)
	if err != nil {
		return fmt.Errorf("tls.key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("tls.cert_file %s and tls.key_file %s: %w", f.cert, f.key, err)
	}
	f.current.Store(&pair)
	return nil
}

// fileState tells versions of a file apart by the results of stat.
type fileState struct {
	size     int64
	modified time.Time
	absent   bool
}

// state returns the present states of both files. A missing file is a state as
// well, so that its return is noticed.
func (f *certificateFiles) state() []fileState {
	var all []fileState
	for _, path := range []string{f.cert, f.key} {
		fi, err := os.Stat(path)
		if err != nil {
			all = append(all, fileState{absent: true})
			continue
		}
		all = append(all, fileState{size: fi.Size(), modified: fi.ModTime()})
	}
	return all
}
