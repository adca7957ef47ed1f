package main

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/sanctum-storage/gateway/fair"
)

// shared is a listener whose connections are shared among addresses. One that has its
// share is closed at once. Proxies have no share: their connections are many clients'.
type shared struct {
	net.Listener
	places  *fair.Pool[netip.Prefix]
	proxies []netip.Prefix
}

// share shares limit connections, which are those that l holds at once.
func share(l net.Listener, limit int, proxies []netip.Prefix) net.Listener {
	return &shared{l, fair.New[netip.Prefix](limit), proxies}
}

// Accept waits for a connection that is within its address's share.
func (l *shared) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err == nil && slices.ContainsFunc(l.proxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) }) {
			return conn, nil
		}
		host := fair.Host(from.Addr())
		if !l.places.Take(host) {
			conn.Close()
			continue
		}
		return &sharedConn{Conn: conn, give: sync.OnceFunc(func() { l.places.Give(host) })}, nil
	}
}

// sharedConn gives its place back when it is closed.
type sharedConn struct {
	net.Conn
	give func()
}

// Close closes the connection.
func (c *sharedConn) Close() error {
	err := c.Conn.Close()
	c.give()
	return err
}
