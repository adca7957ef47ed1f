package api

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// secure reports whether the request came over TLS: to this gateway, or to a
// configured proxy that says so.
func (r *Request) secure() bool {
	if r.HTTP.TLS != nil {
		return true
	}
	host, _, err := net.SplitHostPort(r.HTTP.RemoteAddr)
	if err != nil || !r.server.trusts(host) {
		return false
	}
	said := r.Header("X-Forwarded-Proto")
	if i := strings.LastIndexByte(said, ','); i >= 0 {
		said = said[i+1:] // added by the nearest proxy
	}
	return strings.EqualFold(strings.TrimSpace(said), "https")
}

// sourceIP returns the client's address: the connection's or, behind configured
// proxies, the last address in X-Forwarded-For that is not a proxy. Each proxy
// appends the address that it was asked from; earlier entries come from the
// client and may be invented. If a proxy names no address, the result is empty,
// which meets no condition.
func (r *Request) sourceIP() string {
	host, _, err := net.SplitHostPort(r.HTTP.RemoteAddr)
	if err != nil {
		return ""
	}
	if !r.server.trusts(host) {
		return host
	}
	said := strings.Split(strings.Join(r.HTTP.Header.Values("X-Forwarded-For"), ","), ",")
	for _, name := range slices.Backward(said) {
		if name = strings.TrimSpace(name); name == "" {
			return host // only proxies
		}
		a, err := netip.ParseAddr(name)
		if err != nil {
			return ""
		}
		if host = a.Unmap().WithZone("").String(); !r.server.trusts(host) {
			return host
		}
	}
	return host
}

// scheme is the scheme that the client used.
func (r *Request) scheme() string {
	if r.secure() {
		return "https"
	}
	return "http"
}

// objectURL is the target's URL as the client reached it.
func (r *Request) objectURL() string {
	path := "/" + r.Target.Key
	if !r.Target.VirtualHost {
		path = "/" + r.Target.Bucket + path
	}
	u := url.URL{Scheme: r.scheme(), Host: r.HTTP.Host, Path: path}
	return u.String()
}

// trusts reports whether an address belongs to a configured proxy.
func (s *Server) trusts(host string) bool {
	if len(s.proxies) == 0 {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
