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

// idleGrace is how long a connection that serves no request is left alone: a client that
// has just connected, or was just answered, may be about to send one.
const idleGrace = time.Second

// shared is a listener whose connections are shared among addresses. When they are all
// taken, or an address has its share, the one that has served no request for longest
// makes way: of that address, or of the one that has most. Where all serve requests, an
// address that has its share is turned away at once, and others wait in the system's queue.
// Proxies have no share: their connections are many clients'.
type shared struct {
	net.Listener
	limit   int
	places  *fair.Pool[netip.Prefix]
	proxies []netip.Prefix

	mu    sync.Mutex
	given sync.Cond // a place was given back, or it is time to look again
	taken int
	hosts map[netip.Prefix]*connHost
	ended bool
}

// connHost are the connections of one address, or of all proxies: the zero Prefix.
type connHost struct {
	taken int
	idle  linked.List // of *sharedConn; idle for longest first
}

// share shares limit connections.
func share(l net.Listener, limit int, proxies []netip.Prefix) *shared {
	s := &shared{Listener: l, limit: limit, places: fair.New[netip.Prefix](limit), proxies: proxies, hosts: make(map[netip.Prefix]*connHost)}
	s.given.L = &s.mu
	return s
}

// Accept waits for a connection that finds a place.
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

// Close ends Accept, too.
func (l *shared) Close() error {
	l.mu.Lock()
	l.ended = true
	l.given.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

// awaitRoom waits until there is a place, or a connection that may make way.
func (l *shared) awaitRoom() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.ended && l.taken >= l.limit && l.oldest() == nil {
		// Those that are idle now may make way by then.
		wake := time.AfterFunc(idleGrace, l.given.Broadcast)
		l.given.Wait()
		wake.Stop()
	}
}

// admit finds a place for a connection, or returns nil.
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
		victim.Conn.Close() // the server notices
	}
	if !ok {
		return nil
	}
	return c
}

// place takes a place for c, if need be that of another, which is to be closed then.
func (l *shared) place(c *sharedConn) (victim *sharedConn, ok bool) {
	if l.taken < l.limit && l.take(c) {
		return nil, l.add(c)
	}
	of := l.hosts[c.host]
	if victim = l.oldestOf(of); victim != nil && !c.proxy {
		l.drop(victim) // its place in the share stays the address's
		return victim, l.add(c)
	}
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

// take and give are for the share of an address.
func (l *shared) take(c *sharedConn) bool { return c.proxy || l.places.Take(c.host) }

func (l *shared) give(c *sharedConn) {
	if !c.proxy {
		l.places.Give(c.host)
	}
}

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

// drop takes a connection off the books.
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

// oldestOf is the connection of an address that may make way, or nil.
func (l *shared) oldestOf(of *connHost) *sharedConn {
	if of == nil || of.idle.Front() == nil {
		return nil
	}
	if c := of.idle.Front().Value.(*sharedConn); time.Since(c.since) >= idleGrace {
		return c
	}
	return nil
}

// oldest is that of the address which has most connections among those that have one.
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

// sharedConn gives its place back when it is closed. All below from is under its mu.
type sharedConn struct {
	net.Conn
	from  *shared
	host  netip.Prefix
	proxy bool

	requests int             // that it serves now
	idle     *linked.Element // of its address's list; nil: it serves requests
	since    time.Time       // it has been idle
	gone     bool            // it has no place any more
}

func (c *sharedConn) rest(of *connHost) {
	c.since = time.Now()
	c.idle = of.idle.PushBack(c)
}

// Close closes the connection.
func (c *sharedConn) Close() error {
	err := c.Conn.Close()
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	if !c.gone {
		c.from.drop(c)
		c.from.give(c)
		c.from.given.Signal()
	}
	return err
}

// serves counts a request that the connection begins or, by -1, ends to serve.
func (c *sharedConn) serves(n int) {
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	c.requests += n
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

type connKey struct{}

// remember makes a connection known to its requests: it is http.Server.ConnContext.
func remember(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// occupied has connections count as busy while the handler is at work.
func occupied(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*sharedConn); ok {
			c.serves(1)
			defer c.serves(-1)
		}
		h.ServeHTTP(w, r)
	})
}
