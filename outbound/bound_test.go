package outbound

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// raw is a server that answers each connection's first request as told, and
// closes.
func raw(t *testing.T, answer func(w io.Writer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var at sync.WaitGroup
	at.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			at.Go(func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					answer(c)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); at.Wait() })
	return "http://" + l.Addr().String()
}

// endless writes until the client gives up, or 256 MiB are sent.
func endless(w io.Writer, head, fill string) {
	if _, err := io.WriteString(w, head); err != nil {
		return
	}
	chunk := []byte(strings.Repeat(fill, 1+(64<<10)/len(fill)))
	for sent := 0; sent < 256<<20; sent += len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// drip writes a byte now and then until the client gives up.
func drip(w io.Writer, head string) {
	_, err := io.WriteString(w, head)
	for err == nil {
		time.Sleep(10 * time.Millisecond)
		_, err = io.WriteString(w, "x")
	}
}

const budget = 150 * time.Millisecond

// newClient has a cookie jar, as minio-go's has.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := NewTransport(Sockets{Connect: 5 * time.Second, Header: budget, Idle: budget, Kept: 4, KeptFor: time.Minute})
	t.Cleanup(transport.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: Bound(transport, Budget{Idle: budget, Answer: budget}), Jar: jar, CheckRedirect: Stay}
}

type asked func(context.Context) context.Context

var (
	small    = asked(func(ctx context.Context) context.Context { return ctx })
	page     = asked(Page)
	streamed = asked(func(ctx context.Context) context.Context { return Stream(ctx, 1<<20) })
)

// get reads an answer to its end, and returns the memory that it needed.
func get(t *testing.T, c *http.Client, url string, want asked) (status int, body []byte, cost uint64, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(want(t.Context()), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := c.Do(req)
	if err == nil {
		status = resp.StatusCode
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	runtime.ReadMemStats(&after)
	return status, body, after.TotalAlloc - before.TotalAlloc, err
}

// Each kind of excess in an answer ends with an error, in time, and costs no
// more than its bounds.
func TestExcesses(t *testing.T) {
	const few, many = 4 << 20, 64 << 20 // bytes, including the server's
	const ok, closed = "HTTP/1.1 200 OK\r\n", "Connection: close\r\n\r\n"
	cases := []struct {
		name   string
		answer func(w io.Writer)
		want   asked
		err    error // nil: any
		most   uint64
	}{
		{"headers", func(w io.Writer) { endless(w, ok, "X-A: "+strings.Repeat("a", 1000)+"\r\n") }, small, nil, few},
		{"one header", func(w io.Writer) { endless(w, ok+"X-A: ", "a") }, small, nil, few},
		{"informational answers", func(w io.Writer) { endless(w, "", "HTTP/1.1 100 Continue\r\n\r\n") }, small, nil, few},
		{"early hints", func(w io.Writer) {
			endless(w, "", "HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("a", 5000)+"\r\n\r\n")
		}, small, nil, few},
		{"informational answers, one a while", func(w io.Writer) {
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				if _, err := io.WriteString(w, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
					return
				}
			}
		}, small, nil, few},
		{"another protocol", func(w io.Writer) {
			io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
		}, small, ErrStatus, few},
		{"no headers", func(io.Writer) { time.Sleep(10 * budget) }, small, nil, few},
		{"slow headers", func(w io.Writer) { drip(w, ok+"X-A: ") }, small, nil, few},
		{"an endless answer", func(w io.Writer) { endless(w, ok+closed, "a") }, small, ErrExcessive, few},
		{"an endless page", func(w io.Writer) { endless(w, ok+closed, "a") }, page, ErrExcessive, many},
		{"a long answer", func(w io.Writer) { endless(w, ok+"Content-Length: 99999999999\r\n\r\n", "a") }, small, ErrExcessive, few},
		{"chunks", func(w io.Writer) {
			endless(w, ok+"Transfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("e", 100)+"\r\na\r\n")
		}, small, nil, few},
		{"elements", func(w io.Writer) { endless(w, ok+closed+"<L>", "<a/>") }, page, ErrExcessive, many},
		{"elements of a page", func(w io.Writer) { io.WriteString(w, ok+closed+"<L>"+strings.Repeat("<a/>", MaxValues)+"</L>") }, page, ErrExcessive, many},
		{"attributes", func(w io.Writer) { io.WriteString(w, ok+closed+"<L "+strings.Repeat(`a="" `, MaxValues)+"/>") }, page, ErrExcessive, many},
		{"depth", func(w io.Writer) {
			io.WriteString(w, ok+closed+strings.Repeat("<a>", MaxDepth+1)+strings.Repeat("</a>", MaxDepth+1))
		}, small, ErrExcessive, few},
		{"a document type", func(w io.Writer) { io.WriteString(w, ok+closed+`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`) }, small, ErrExcessive, few},
		{"values", func(w io.Writer) { io.WriteString(w, ok+closed+"["+strings.Repeat("{},", MaxValues)+"{}]") }, page, ErrExcessive, many},
		{"depth of values", func(w io.Writer) { io.WriteString(w, ok+closed+strings.Repeat("[", 1000)) }, small, ErrExcessive, few},
		{"a slow answer", func(w io.Writer) { drip(w, ok+"Content-Length: 1000\r\n\r\n") }, small, ErrSlow, few},
		{"a slow error", func(w io.Writer) { drip(w, "HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\n") }, small, ErrSlow, few},
		{"a slow stream", func(w io.Writer) { drip(w, ok+"Content-Length: 1000000\r\n\r\n") }, streamed, ErrSlow, few},
		{"a stream that stops", func(w io.Writer) {
			io.WriteString(w, ok+"Content-Length: 10\r\n\r\nabc")
			time.Sleep(10 * budget)
		}, streamed, ErrSlow, few},
		{"a stream that nothing ends", func(w io.Writer) { io.WriteString(w, ok+closed+"abc") }, streamed, ErrNoLength, few},
		{"a stream that breaks off", func(w io.Writer) { io.WriteString(w, ok+"Content-Length: 10\r\n\r\nabc") }, streamed, io.ErrUnexpectedEOF, few},
		{"a trailer", func(w io.Writer) {
			endless(w, ok+"Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n1\r\na\r\n0\r\nX-A: ", "b")
		}, streamed, nil, few},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t)
			_, body, cost, err := get(t, client, raw(t, c.answer), c.want)
			if err == nil || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("%d bytes, %v; want %v", len(body), err, c.err)
			}
			if cost > c.most {
				t.Errorf("it allocates %d bytes, at most %d are right", cost, c.most)
			}
		})
	}
}

// A stream yields as much as was asked for, however much arrives.
func TestStreamIsBounded(t *testing.T) {
	at := raw(t, func(w io.Writer) {
		endless(w, "HTTP/1.1 206 Partial Content\r\nContent-Length: 99999999999\r\n\r\n", "a")
	})
	_, body, cost, err := get(t, newClient(t), at, streamed)
	if len(body) != 1<<20 || err != nil || cost > 8<<20 {
		t.Errorf("%d bytes, %v, for %d bytes of memory", len(body), err, cost)
	}
}

// For errors, and for successes that are errors, the status counts.
func TestStatusSpeaks(t *testing.T) {
	for _, c := range []struct {
		answer string
		status int
		body   string
	}{
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\n\r\n<Error/>", 403, "<Error/>"},
		{"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n" + strings.Repeat("a", MaxAnswer+1), 404, ""},
		{"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n" + strings.Repeat("<a>", 1000), 503, ""},
		{"HTTP/1.1 502 Bad\r\nConnection: close\r\n\r\n<!DOCTYPE html><html>", 502, ""},
		{"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 307, ""},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n <?xml version=\"1.0\"?>\n<Error><Code>A</Code></Error>", 500,
			" <?xml version=\"1.0\"?>\n<Error><Code>A</Code></Error>"},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<Error xmlns=\"a\"/>", 500, "<Error xmlns=\"a\"/>"},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<Errors/>", 200, "<Errors/>"},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<DeleteResult><Error/></DeleteResult>", 200, "<DeleteResult><Error/></DeleteResult>"},
	} {
		status, body, _, err := get(t, newClient(t), raw(t, func(w io.Writer) { io.WriteString(w, c.answer) }), small)
		if status != c.status || string(body) != c.body || err != nil {
			t.Errorf("%.60q: %d %.60q %v", c.answer, status, body, err)
		}
	}
}

// No cookie is kept, and the next request is as small as the first.
func TestCookies(t *testing.T) {
	var sent []string
	var mu sync.Mutex
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		sent = append(sent, r.Header.Get("Cookie"))
		mu.Unlock()
		for i := range 50 {
			w.Header().Add("Set-Cookie", fmt.Sprintf("c%d=%s", i, strings.Repeat("a", 1000)))
		}
		w.WriteHeader(http.StatusNotFound)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	client := newClient(t)
	for _, want := range []asked{small, page, streamed, small} {
		if status, _, _, err := get(t, client, "http://"+l.Addr().String(), want); status != 404 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
	}
	if len(sent) != 4 || strings.Join(sent, "") != "" {
		t.Errorf("cookies that came back: %.100q", sent)
	}
}

// A modest document costs a decoder no more elements than were counted.
func FuzzModest(f *testing.F) {
	for _, seed := range []string{
		"", "<a/>", `<a b="c>" d='"'><!-- <x> --><![CDATA[<y>]]><?pi <z> ?></a>`, `[{"a":"\"[{"},[[]]]`, "<a><b></a>", "\ufeff<a/>", "<a b=c>", "<a / b='>'/>",
		"<!-->-->" + strings.Repeat("<a>", 40), "<?xml?><a/>", strings.Repeat("<a>",
			40), "<a <b/>", "<a/ >", "</a><a>", "<a b='/'>" + strings.Repeat("<a b='/'>", 40),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !modest(text) {
			return
		}
		depth, deepest, marks := 0, 0, 0
		for d := xml.NewDecoder(bytes.NewReader(text)); ; {
			token, err := d.Token()
			if err != nil {
				break
			}
			switch token := token.(type) {
			case xml.StartElement:
				depth++
				marks += 1 + len(token.Attr)
			case xml.EndElement:
				depth--
			}
			deepest = max(deepest, depth)
		}
		first := bytes.TrimLeft(text, " \t\r\n\ufeff")
		if len(first) > 0 && first[0] == '<' && (deepest > MaxDepth || marks > MaxValues) {
			t.Errorf("%q is called modest: %d deep, %d marks", text, deepest, marks)
		}
		depth = 0
		for d := json.NewDecoder(bytes.NewReader(text)); ; {
			token, err := d.Token()
			if err != nil {
				break
			}
			if mark, ok := token.(json.Delim); ok && (mark == '{' || mark == '[') {
				depth++
			} else if ok {
				depth--
			}
			if depth > MaxDepth && len(first) > 0 && (first[0] == '{' || first[0] == '[') {
				t.Fatalf("%q is called modest: more than %d deep", text, MaxDepth)
			}
		}
	})
}
