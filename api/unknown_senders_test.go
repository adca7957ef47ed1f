package api_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/meta/sqlite"
)

// slowKeys is a store that does not answer for access keys that begin with GUESS.
type slowKeys struct {
	meta.Store
	begun chan struct{}
	letGo chan struct{} // closed
}

func (s *slowKeys) AccessKey(ctx context.Context, id string) (meta.AccessKey, error) {
	if strings.HasPrefix(id, "GUESS") {
		s.begun <- struct{}{}
		<-s.letGo
	}
	return s.Store.AccessKey(ctx, id)
}

// Requests of one address that name access keys which do not exist, each of which the
// store is asked for, keep nobody else out.
func TestUnknownSendersLeaveSeats(t *testing.T) {
	inner, err := sqlite.Open(filepath.Join(t.TempDir(), "store.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inner.Close() })
	const requests = 64
	store := &slowKeys{Store: inner, begun: make(chan struct{}, requests), letGo: make(chan struct{})}
	g, alice, _ := shared(t, gatewaytest.Options{Store: store, Limits: api.Limits{Concurrent: requests}})
	refused := make(chan string, requests)
	from := net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
	for n := range requests {
		dialer := net.Dialer{LocalAddr: &from}
		conn, err := dialer.Dial("tcp", g.Server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		now := time.Now().UTC()
		fmt.Fprintf(conn, "GET /bucket/open HTTP/1.1\r\nHost: h\r\nX-Amz-Date: %s\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"+
			"Authorization: AWS4-HMAC-SHA256 Credential=GUESS%d/%s/%s/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=%s\r\n\r\n",
			now.Format("20060102T150405Z"), n, now.Format("20060102"), g.Region, strings.Repeat("0", 64))
		go func() {
			p := make([]byte, 12)
			io.ReadFull(conn, p)
			refused <- string(p)
		}()
	}
	held := 0
	for waiting := requests; waiting > 0; waiting-- {
		select {
		case <-store.begun:
			held++
		case line := <-refused:
			if !strings.HasSuffix(line, " 503") {
				t.Errorf("a request beyond the places is answered %q", line)
			}
		}
	}
	if held < requests/2 {
		t.Errorf("%d requests are in progress", held)
	}
	expect(t, "alice's", g.Do(t, alice, "GET", "/bucket/open", nil), 200, "")
	close(store.letGo)
}
