package api

import (
	"io"
	"net"
	"time"
)

// linger reads on what a client still sends of a body that was refused, once it was
// answered and its place is another's. A connection that is closed with bytes of its
// sender's unread is reset, and a reset takes the answer with it before the sender, which
// mostly looks for one when it has sent all, has read it. It is bounded in bytes and
// time, and so is how many are read on at once, which parties share: a sender of more is
// reset, and so is one that comes when there are many. What is read goes nowhere.
func (x *exchange) linger() {
	r := x.req.HTTP
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
		// Most wait for 100 Continue, and now end the connection. But nobody has to wait
		// (RFC 9110, section 10.1.1), and AWS's SDK for Go does not.
		x.conn.SetReadDeadline(time.Now().Add(beginTimeout))
		if _, err := io.CopyN(io.Discard, x.in.body, 1); err != nil {
			return
		}
	}
	if x.conn.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	io.CopyN(io.Discard, x.in.body, maxLinger) // however it ends, the connection does
}

// expects reports whether the client announced a body and was not told to send it.
func (x *exchange) expects() bool { return x.req.HTTP.Header.Get("Expect") != "" && x.in.read == 0 }

// drainProxied reads what a proxy still sends of a refused body, before it is answered,
// where that is more than net/http reads by itself, and returns how much is left. nginx
// announces that it keeps the client's connection, whatever the gateway does with its own, and
// then ends it where a body was cut short; the client's next request would be lost. It
// is bounded in bytes, by the read deadline, and like linger in how many do so at once.
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
	n, _ := io.CopyN(io.Discard, x.in.body, left) // an error leaves the rest, and the connection ends
	return left - n
}
