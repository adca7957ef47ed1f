package api

import (
	"net"
	"net/netip"
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
