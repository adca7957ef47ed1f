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
	host, _, err := net.SplitHostPort(r.HTTP.RemoteAddr)
	if err != nil || !r.server.trusts(host) {
		return false
	}
	said := r.Header("X-Forwarded-Proto")
	if i := strings.LastIndexByte(said, ','); i >= 0 {
		said = said[i+1:] // what the nearest proxy added
	}
	return strings.EqualFold(strings.TrimSpace(said), "https")
}

// sourceIP is the address of the client: that of the connection or, where that is a
// proxy which the configuration names, the last one in X-Forwarded-For that is not.
// Each proxy adds whom it was asked by at the end; what stands before was sent, and
// may be invented. It is empty, and meets no condition, where the proxy names no
// address.
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
			return host // nobody but proxies
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

// trusts reports whether an address is that of a proxy which the configuration names.
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
