package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/sanctum-storage/gateway/meta"
)

// Limits of the listeners that are no settings.
const (
	// maxHeaderBytes is the request line and header together: what the S3
	// handler and sigv4 allow for path, query and headers, and room for them to
	// refuse more with an S3 error before net/http cuts the connection.
	maxHeaderBytes = 48 << 10
	// operatorConnections bounds the admin and the metrics listener each.
	operatorConnections = 256
	// operatorTimeout is for a whole request on the metrics listener.
	operatorTimeout = 30 * time.Second
	// maxStreams is how many requests one HTTP/2 connection may have under way.
	maxStreams = 128
	// cutWait is how long requests whose connections were cut have to notice.
	cutWait = 5 * time.Second
)

// listeners are bound before anything else is done, so that an occupied port is
// found while there is nothing to undo.
type listeners struct{ s3, admin, metrics net.Listener }

func bindListeners(c *configuration) (_ *listeners, err error) {
	l := &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.s3, err = bind("s3", c.S3Address, 0); err != nil {
		return nil, err
	}
	l.s3 = share(l.s3, c.LimitsConnections, c.S3Proxies)
	if l.admin, err = bind("admin", c.AdminAddress, operatorConnections); err != nil {
		return nil, err
	}
	if l.metrics, err = bind("metrics", c.MetricsAddress, operatorConnections); err != nil {
		return nil, err
	}
	return l, nil
}

// bind listens, with at most limit connections at once; 0: any number.
func bind(name, addr string, limit int) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s.address %s is in use by another program: stop it or choose another address with --%s", name, addr, name)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s.address %s needs rights that this user lacks: choose a port above 1023 with --%s", name, addr, name)
	case err != nil:
		return nil, fmt.Errorf("%s.address %s cannot be listened on: %w", name, addr, err)
	}
	if limit > 0 {
		l = netutil.LimitListener(l, limit)
	}
	return l, nil
}

func (l *listeners) close() {
	for _, ln := range []net.Listener{l.s3, l.admin, l.metrics} {
		if ln != nil {
			ln.Close()
		}
	}
}

// newServer makes an HTTP server with the limits that all listeners share. There
// is no ServeMux between it and the S3 handler: that would redirect paths that
// it considers unclean, which are keys like others.
func newServer(c *configuration, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            c.LimitsReadHeaderTimeout,
		IdleTimeout:                  c.LimitsIdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Protocols:                    protocols(false),
	}
}

// serve runs a server until it is shut down, over TLS when conf is not nil; http2 is
// then offered to clients as well.
func serve(s *http.Server, l net.Listener, conf *tls.Config, http2 bool) error {
	var err error
	if conf == nil {
		err = s.Serve(l)
	} else {
		s.TLSConfig = conf
		s.Protocols = protocols(http2)
		s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams}
		err = s.ServeTLS(l, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func protocols(http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(http2)
	return p
}

// patiently has a handler wait so long for each answer of the store.
func patiently(each time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(meta.WithPatience(r.Context(), each)))
	})
}

// gate counts the requests of a handler that are under way.
type gate struct{ under atomic.Int64 }

func (g *gate) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.under.Add(1)
		defer g.under.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// settle waits until no request is under way, for cutWait at most: closing a
// server cuts connections, but does not wait for handlers.
func (g *gate) settle() {
	for end := time.Now().Add(cutWait); g.under.Load() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// shutdown lets requests under way end until ctx does, and then cuts them. It
// reports whether all could end.
func shutdown(ctx context.Context, s *http.Server) bool {
	if s.Shutdown(ctx) == nil {
		return true
	}
	s.Close()
	return false
}

// endpoint is the URL at which clients reach a listener. An address of every
// interface is shown as this machine's loopback.
func endpoint(l net.Listener, encrypted bool, domains []string) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme, usual := "http", "80"
	if encrypted {
		scheme, usual = "https", "443"
		if len(domains) > 0 {
			host = domains[0]
		}
	}
	if port == usual {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
