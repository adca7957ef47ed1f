package main

import (
	linked "container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sanctum-storage/gateway/fair"
)

// idleGrace is how long a connection without a request is left alone. A client
// that has just connected, or has just got an answer, may be about to send a
// request.
const idleGrace = time.Second

// shared is a listener that shares its connections among client addresses. When
// all places are taken, or an address has its full share, the connection that
// has been idle longest is closed: one of the same address, or one of the
// address with the most connections. If none is idle, a connection of an
// address with a full share is refused at once. Other connections wait in the
// system's queue. Proxies have no share, because their connections belong to
// many clients.
type shared struct {
	net.Listener
	limit   int
	places  *fair.Pool[netip.Prefix]
	proxies []netip.Prefix

	mu    sync.Mutex
	given sync.Cond // a place became free, or it is time to look again
	taken int
	hosts map[netip.Prefix]*connHost
	ended bool
}

// connHost holds the connections of one address, or of all proxies under the
// zero Prefix.
type connHost struct {
	taken int
	idle  linked.List // of *sharedConn, the one that has been idle longest first
}

// share returns a listener that shares limit connections.
func share(l net.Listener, limit int, proxies []netip.Prefix) *shared {
	s := &shared{
		Listener: l, limit: limit, places: fair.New[netip.Prefix](limit), proxies: proxies,
		hosts: make(map[netip.Prefix]*connHost),
	}
	s.given.L = &s.mu
	return s
}

// Accept waits for a connection that gets a place.
func (l *shared) Accept() (net.Conn, error) {
	for {
		l.awaitRoom()
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(conn); c != nil {
			return c, nil
		}
		conn.Close()
	}
}

// Close closes the listener and ends a waiting Accept.
func (l *shared) Close() error {
	l.mu.Lock()
	l.ended = true
	l.given.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

// awaitRoom waits until a place is free or a connection can be closed for it.
func (l *shared) awaitRoom() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.ended && l.taken >= l.limit && l.oldest() == nil {
		// Connections that are idle now may be closed after idleGrace.
		wake := time.AfterFunc(idleGrace, l.given.Broadcast)
		l.given.Wait()
		wake.Stop()
	}
}

// admit gives the connection a place, or returns nil.
func (l *shared) admit(conn net.Conn) net.Conn {
	c := &sharedConn{Conn: conn, from: l}
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	c.proxy = err == nil && slices.ContainsFunc(l.proxies, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
	if !c.proxy {
		c.host = fair.Host(from.Addr())
	}
	l.mu.Lock()
	victim, ok := l.place(c)
	l.mu.Unlock()
	if victim != nil {
		victim.Conn.Close() // the server notices that, and calls Close
	}
	if !ok {
		return nil
	}
	return c
}

// place gives c a place. If that is the place of another connection, it returns
// that one, which the caller closes. The caller holds the lock.
func (l *shared) place(c *sharedConn) (victim *sharedConn, ok bool) {
	if l.taken < l.limit && l.take(c) {
		return nil, l.add(c)
	}
	// A client gives up its own longest idle connection before it costs another
	// client one.
	of := l.hosts[c.host]
	if victim = l.oldestOf(of); victim != nil && !c.proxy {
		l.drop(victim) // the address keeps the place in its share
		return victim, l.add(c)
	}
	// The number is the share of fair.New. Beyond it, an address has no claim to
	// the place of another one.
	if !c.proxy && of != nil && of.taken >= max(l.limit/16, 1) {
		return nil, false
	}
	if victim = l.oldest(); victim == nil {
		return nil, false
	}
	l.drop(victim)
	l.give(victim)
	return victim, l.take(c) && l.add(c)
}

// take and give count the connection in the share of its address. Proxies are
// not counted.
func (l *shared) take(c *sharedConn) bool { return c.proxy || l.places.Take(c.host) }

func (l *shared) give(c *sharedConn) {
	if !c.proxy {
		l.places.Give(c.host)
	}
}

// add records a connection that has got a place. It always returns true, for
// the callers' convenience.
func (l *shared) add(c *sharedConn) bool {
	of := l.hosts[c.host]
	if of == nil {
		of = &connHost{}
		l.hosts[c.host] = of
	}
	l.taken++
	of.taken++
	c.rest(of)
	return true
}

// drop removes a connection from the lists. Its place in the share is the
// caller's matter.
func (l *shared) drop(c *sharedConn) {
	of := l.hosts[c.host]
	l.taken--
	if of.taken--; of.taken == 0 {
		delete(l.hosts, c.host)
	}
	if c.idle != nil {
		of.idle.Remove(c.idle)
		c.idle = nil
	}
	c.gone = true
}

// oldestOf is the connection of an address that may be closed, or nil. That is
// the one that has been idle longest, if it has been so for idleGrace.
func (l *shared) oldestOf(of *connHost) *sharedConn {
	if of == nil || of.idle.Front() == nil {
		return nil
	}
	if c := of.idle.Front().Value.(*sharedConn); time.Since(c.since) >= idleGrace {
		return c
	}
	return nil
}

// oldest is the connection that may be closed of the address that has the most
// connections; nil if no connection may be.
func (l *shared) oldest() (c *sharedConn) {
	most := 0
	for _, of := range l.hosts {
		if of.taken > most {
			if first := l.oldestOf(of); first != nil {
				c, most = first, of.taken
			}
		}
	}
	return c
}

// sharedConn is a connection that gives its place back on Close. The fields
// below from are guarded by its mu.
type sharedConn struct {
	net.Conn
	from  *shared
	host  netip.Prefix
	proxy bool

	requests int             // requests that it serves now
	idle     *linked.Element // its element in the list of its address; nil while it serves requests
	since    time.Time       // the time since which it is idle
	gone     bool            // it has lost its place
}

// rest puts the connection at the end of the idle ones.
func (c *sharedConn) rest(of *connHost) {
	c.since = time.Now()
	c.idle = of.idle.PushBack(c)
}

// Close closes the connection.
func (c *sharedConn) Close() error {
	err := c.Conn.Close()
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	// Otherwise another connection has its place.
	if !c.gone {
		c.from.drop(c)
		c.from.give(c)
		c.from.given.Signal()
	}
	return err
}

// serves counts a request that begins (1) or ends (-1) on the connection. With
// HTTP/2 there can be several at once.
func (c *sharedConn) serves(n int) {
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	c.requests += n
	// A request can begin in the moment in which the connection loses its place.
	// It ends with the connection.
	if c.gone {
		return
	}
	of := c.from.hosts[c.host]
	switch {
	case c.requests > 0 && c.idle != nil:
		of.idle.Remove(c.idle)
		c.idle = nil
	case c.requests == 0:
		c.rest(of)
	}
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// remember puts a connection into the context of its requests. It is
// http.Server.ConnContext.
func remember(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// occupied marks the connection of a request as busy while the handler runs.
func occupied(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*sharedConn); ok {
			c.serves(1)
			defer c.serves(-1)
		}
		h.ServeHTTP(w, r)
	})
}
