package api

import (
	"io"
	"net"
	"time"
)

// linger reads more of a refused body after the answer, when the request's
// place is free again. Closing a connection with unread bytes resets it, and
// the reset can destroy the answer before the sender reads it; most senders
// look for an answer only after they have sent everything. The number of
// connections in linger, their time and their bytes are bounded, and parties
// share them. A sender beyond the bounds is reset. The bytes are discarded.
func (x *exchange) linger() {
	r := x.req.HTTP
	// An answer over HTTP/2 is not lost this way: a stream ends by itself.
	if !x.unread || x.in.failed || r.ProtoMajor != 1 {
		return
	}
	who := x.sender()
	if !x.server.lingering.Take(who) {
		return
	}
	defer x.server.lingering.Give(who)
	if x.conn.Flush() != nil {
		return
	}
	if x.expects() {
		// Most clients wait for 100 Continue and close the connection now. They
		// need not wait (RFC 9110, section 10.1.1), and AWS's SDK for Go does
		// not.
		x.conn.SetReadDeadline(time.Now().Add(beginTimeout))
		if _, err := io.CopyN(io.Discard, x.in.body, 1); err != nil {
			return
		}
	}
	if x.conn.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	io.CopyN(io.Discard, x.in.body, maxLinger) // the connection closes, whatever the result
}

// expects reports whether the client announced a body and was not yet told to
// send it.
func (x *exchange) expects() bool { return x.req.HTTP.Header.Get("Expect") != "" && x.in.read == 0 }

// drainProxied reads the rest of a refused body from a proxy before the answer,
// if it is more than net/http reads by itself. It returns the number of bytes
// left. nginx promises its client to keep the connection, whatever the gateway
// does with its own, and then ends it when a body was cut short; the client's
// next request would be lost. The bytes, the time (by the read deadline) and
// the number of connections are bounded, as in linger.
func (x *exchange) drainProxied(left int64) int64 {
	host, _, err := net.SplitHostPort(x.req.HTTP.RemoteAddr)
	if err != nil || left <= maxDrain || left > maxProxiedDrain || !x.server.trusts(host) {
		return left
	}
	who := x.sender()
	if !x.server.lingering.Take(who) {
		return left
	}
	defer x.server.lingering.Give(who)
	n, _ := io.CopyN(io.Discard, x.in.body, left) // after an error the rest is left and the connection closes
	return left - n
}
