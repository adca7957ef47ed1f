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

	"github.com/sanctum-storage/gateway/meta"
)

// Limits of the listeners that are no settings.
const (
	// maxHeaderBytes bounds the request line and the header together. It is the
	// limit of the S3 handler and sigv4 for path, query and headers, and some
	// room: they refuse longer ones with an S3 error, whereas net/http cuts the
	// connection.
	maxHeaderBytes = 48 << 10
	// operatorConnections bounds the connections of the admin listener and of
	// the metrics listener.
	operatorConnections = 256
	// operatorTimeout bounds a whole request on the metrics listener.
	operatorTimeout = 30 * time.Second
	// maxStreams bounds the concurrent requests of one HTTP/2 connection.
	maxStreams = 128
	// cutWait bounds the wait for handlers after their connections were cut.
	cutWait = 5 * time.Second
)

// listeners are bound before anything else happens. So an occupied port is
// found while there is nothing to undo.
type listeners struct{ s3, admin, metrics net.Listener }

// bindListeners binds all listeners or none.
func bindListeners(c *configuration) (_ *listeners, err error) {
	l := &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	for _, a := range []struct {
		name, address string
		to            *net.Listener
		limit         int
	}{
		{"s3", c.S3Address, &l.s3, c.LimitsConnections},
		{"admin", c.AdminAddress, &l.admin, operatorConnections},
		{"metrics", c.MetricsAddress, &l.metrics, operatorConnections},
	} {
		bound, err := bind(a.name, a.address)
		if err != nil {
			return nil, err
		}
		*a.to = share(bound, a.limit, c.S3Proxies)
	}
	return l, nil
}

// bind listens on an address.
func bind(name, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s.address %s is in use by another program: stop that or choose another address with --%s", name, addr, name)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s.address %s needs rights that this user does not have: choose a port above 1023 with --%s", name, addr, name)
	case err != nil:
		return nil, fmt.Errorf("%s.address %s cannot be used: %w", name, addr, err)
	}
	return l, nil
}

// close closes the listeners that are bound.
func (l *listeners) close() {
	for _, ln := range []net.Listener{l.s3, l.admin, l.metrics} {
		if ln != nil {
			ln.Close()
		}
	}
}

// newServer returns an HTTP server with the limits that all listeners have. Its
// requests keep their connection from being closed for another one. The
// handler must not be a ServeMux for S3: that redirects paths which it
// considers unclean, but such paths are valid keys.
func newServer(c *configuration, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      occupied(h),
		ConnContext:                  remember,
		ReadHeaderTimeout:            c.LimitsReadHeaderTimeout,
		IdleTimeout:                  c.LimitsIdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Protocols:                    protocols(false),
	}
}

// serve runs a server until it is shut down. It uses TLS if conf is not nil,
// and then offers HTTP/2 if http2 is true.
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

// protocols is HTTP/1.1, with HTTP/2 if wanted.
func protocols(http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(http2)
	return p
}

// patiently limits the time that the operator's handler waits for each answer of the
// store. Its calls count with the operator, and wait for no tenant's.
func patiently(each time.Duration, h http.Handler) http.Handler {
	operator := func() any { return "operator" }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(meta.WithParty(meta.WithPatience(r.Context(), each), operator)))
	})
}

// gate counts the requests that a handler serves.
type gate struct{ under atomic.Int64 }

// wrap returns a handler that counts its requests.
func (g *gate) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.under.Add(1)
		defer g.under.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// settle waits until no request is served, for cutWait at most. Closing a
// server cuts connections but does not wait for handlers.
func (g *gate) settle() {
	for end := time.Now().Add(cutWait); g.under.Load() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// shutdown lets requests finish until ctx ends, and then cuts them. It reports
// whether all finished.
func shutdown(ctx context.Context, s *http.Server) bool {
	if s.Shutdown(ctx) == nil {
		return true
	}
	s.Close()
	return false
}

// endpoint is the URL of a listener for clients on this machine. If it listens
// on every interface, the URL has the loopback address.
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
