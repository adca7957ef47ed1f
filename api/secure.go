package api

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// secure reports whether the request came over TLS: to this gateway, or to a
// proxy in front of it that the configuration names and that says so.
func (r *Request) secure() bool {
	if r.HTTP.TLS != nil {
		return true
	}
	said := r.Header("X-Forwarded-Proto")
	if i := strings.LastIndexByte(said, ','); i >= 0 {
		said = said[i+1:] // what the nearest proxy added
	}
	return strings.EqualFold(strings.TrimSpace(said), "https") && r.server.trusts(r.HTTP.RemoteAddr)
}

// sourceIP is the address that the connection is from; empty when it is none. What
// a header claims of it counts nowhere, not even a proxy's.
func (r *Request) sourceIP() string {
	host, _, err := net.SplitHostPort(r.HTTP.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// scheme is the one that the client used.
func (r *Request) scheme() string {
	if r.secure() {
		return "https"
	}
	return "http"
}

// objectURL is where the target is, as the client reached it.
func (r *Request) objectURL() string {
	path := "/" + r.Target.Key
	if !r.Target.VirtualHost {
		path = "/" + r.Target.Bucket + path
	}
	u := url.URL{Scheme: r.scheme(), Host: r.HTTP.Host, Path: path}
	return u.String()
}

// trusts reports whether a connection is from a proxy that the configuration names.
func (s *Server) trusts(remote string) bool {
	if len(s.proxies) == 0 {
		return false
	}
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
