package postgres

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/sanctum-storage/gateway/internal/servers"
)

// A store opens even if its first connections break before use: at once, and at the
// first query.
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

// relay drops the first connection, cuts the second after the client's startup
// message, and forwards the third and later ones to the server.
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
