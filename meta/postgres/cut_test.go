package postgres

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// A store opens though its first connections end before they are of use: at once,
// and with the first question.
func TestOpenThroughCuts(t *testing.T) {
	t.Parallel()
	c := files15
	server, name := c.up(t).Address, c.create(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var made atomic.Int64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go relay(client, server, made.Add(1))
		}
	}()
	s := openStore(t, "postgres://"+servers.PostgresUser+"@"+l.Addr().String()+"/"+name+"?sslmode=disable", Options{Migrate: true})
	fill(t, s, addBucket(t, s), 1)
	if made.Load() < 3 {
		t.Errorf("%d connections, of which two were cut", made.Load())
	}
}

// relay passes the third connection and those after it on to the server, the second
// up to what follows the client's introduction, and the first not at all.
func relay(client net.Conn, server string, n int64) {
	defer client.Close()
	if n == 1 {
		return
	}
	s, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		defer client.Close()
		io.Copy(client, s)
	}()
	if n > 2 {
		io.Copy(s, client)
		return
	}
	b := make([]byte, 4096)
	if got, err := client.Read(b); err == nil {
		s.Write(b[:got])
		client.Read(b)
	}
}
