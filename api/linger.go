package api

import (
	"io"
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
	waits := r.Header.Get("Expect") != "" && x.in.read == 0 // it has not begun, and will not
	if !x.unread || waits || x.in.failed || r.ProtoMajor != 1 {
		return
	}
	who := x.sender()
	if !x.server.lingering.Take(who) {
		return
	}
	defer x.server.lingering.Give(who)
	if x.conn.Flush() != nil || x.conn.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	io.CopyN(io.Discard, x.in.body, maxLinger) // however it ends, the connection does
}
