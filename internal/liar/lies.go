package liar

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Lie is a kind of false answer.
type Lie struct {
	Name string
	// Before answers instead of the server, without any effect.
	Before func(s *Server, w http.ResponseWriter, q *request)
	// Twist changes the honest answer, and After sends it in another way.
	Twist func(q *request, a *answer)
	After func(w http.ResponseWriter, a answer)
	// Forget undoes the effect.
	Forget bool
	// Whole answers a request for a part as if it were for the whole.
	Whole bool
	// Loses says that the lie may lose the object of the call: the stored one, or
	// the requested one. No proof could show it.
	Loses bool
	// Stranger says that the answer is not of the protocol, so that it proves
	// nothing: neither that a call took effect, nor that an object is missing.
	Stranger bool
	// Only lists the calls that it applies to; empty: all.
	Only []string
}

// About reports whether the lie can be told about a call.
func (l Lie) About(call string) bool { return len(l.Only) == 0 || slices.Contains(l.Only, call) }

const (
	chunkSize = 64 << 10
	// most is the size of an endless answer.
	most = 64 << 20
	// pause is between two bytes of a slow answer, longest how long it lasts.
	pause   = 5 * time.Millisecond
	longest = 5 * time.Second
)

// raw answers over the bare connection.
func raw(say func(c net.Conn)) func(*Server, http.ResponseWriter, *request) {
	return func(_ *Server, w http.ResponseWriter, _ *request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		say(c)
	}
}

// endless sends head and then fill, again and again.
func endless(head, fill string) func(*Server, http.ResponseWriter, *request) {
	return raw(func(c net.Conn) {
		if _, err := io.WriteString(c, head); err != nil {
			return
		}
		chunk := []byte(strings.Repeat(fill, 1+chunkSize/len(fill)))
		for sent := 0; sent < most; sent += len(chunk) {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
}

// slow sends head and then a byte now and then.
func slow(head string) func(*Server, http.ResponseWriter, *request) {
	return raw(func(c net.Conn) {
		_, err := io.WriteString(c, head)
		for end := time.Now().Add(longest); err == nil && time.Now().Before(end); time.Sleep(pause) {
			_, err = io.WriteString(c, "a")
		}
	})
}

// oneMore sends the whole answer and one byte that its length does not count, on a
// connection that it keeps.
func oneMore(w http.ResponseWriter, a answer) {
	raw(func(c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 %d X\r\n", a.status)
		for name := range a.header {
			if name != "Content-Length" {
				fmt.Fprintf(c, "%s: %s\r\n", name, a.header.Get(name))
			}
		}
		fmt.Fprintf(c, "Content-Length: %d\r\n\r\n", max(len(a.body)-1, 0))
		c.Write(a.body)
		time.Sleep(10 * pause)
	})(nil, w, nil)
}

// says answers with a status and a text.
func says(status int, text string, header ...string) func(*Server, http.ResponseWriter, *request) {
	return func(s *Server, w http.ResponseWriter, _ *request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], strings.ReplaceAll(header[i+1], "SERVER", s.URL))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

const ok, closed = "HTTP/1.1 200 OK\r\n", "Connection: close\r\n\r\n"

// Lies returns all lies.
func Lies() []Lie {
	all := []Lie{
		{Name: "endless headers", Before: endless(ok, "X-A: "+strings.Repeat("a", 1000)+"\r\n")},
		{Name: "endless informational answers", Before: endless("", "HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("a", 500)+"\r\n\r\n")},
		{Name: "another protocol", Before: raw(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
		})},
		{Name: "slow headers", Before: slow(ok + "X-A: ")},
		{Name: "silence", Before: raw(func(c net.Conn) { time.Sleep(time.Second) })},
		{Name: "hanging up", Before: raw(func(net.Conn) {})},
		{Name: "an endless body", Before: endless(ok+closed, "a")},
		{Name: "an endless body with a length", Before: endless(ok+"Content-Length: 99999999999\r\n\r\n", "a")},
		{Name: "an endless error", Before: endless("HTTP/1.1 403 Forbidden\r\n"+closed+"<Error><Code>", "a")},
		{Name: "endless errors of keys", Before: endless(ok+closed+"<DeleteResult>", "<Error><Key>a</Key><Code>x</Code></Error>")},
		{Name: "endless contents", Before: endless(ok+closed+"<ListBucketResult>", "<Contents><Key>a</Key></Contents>")},
		{Name: "endless depth", Before: endless(ok+closed+"<ListBucketResult>", "<a>")},
		{Name: "an endless ETag", Before: endless(ok+closed+"<CompleteMultipartUploadResult><ETag>", "a")},
		{Name: "endless items", Before: endless(ok+closed+`{"items":[`, `{},`)},
		{Name: "endless JSON depth", Before: endless(ok+closed, `[`)},
		{Name: "a slow body", Before: slow(ok + "Content-Length: 100000\r\n\r\n")},
		{Name: "a slow error", Before: slow("HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n")},
		{Name: "many cookies", Before: says(404, "", slices.Concat(slices.Repeat([]string{"Set-Cookie", "a=" + strings.Repeat("b", 3000)}, 15))...)},
		{Name: "more cookies than fit", Before: endless("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", "Set-Cookie: a="+strings.Repeat("b", 3900)+"\r\n")},
		{Name: "the truth and a cookie", Twist: func(_ *request, a *answer) { a.set("Set-Cookie", "a=b; Path=/") }},
		{Name: "a redirect", Before: says(307, "", "Location", "SERVER/stolen")},
		{Name: "a moved bucket", Before: says(301, "<Error><Code>PermanentRedirect</Code><Region>evil\r\nX: y</Region></Error>", "Location", "SERVER/stolen", "X-Amz-Bucket-Region", "evil/1")},
		{Name: "nothing", Before: says(200, ""), Loses: true},
		{Name: "no content", Before: says(204, ""), Loses: true},
		{Name: "an error in a success", Before: says(200, "<Error><Code>InternalError</Code></Error>")},
		{Name: "a page of a proxy", Before: says(200, "<!DOCTYPE html><html>")},
		{Name: "a code that steers", Before: says(403, "<Error><Code>Access\x1b[31m</Code><Message>evil\nline</Message></Error>")},
		{Name: "not found", Before: says(404, "<Error><Code>NoSuchKey</Code></Error>"), Loses: true},
		{Name: "no bucket", Before: says(404, "<Error><Code>NoSuchBucket</Code></Error>"), Loses: true},
		{Name: "taken", Before: says(412, "<Error><Code>PreconditionFailed</Code></Error>")},
		{Name: "a compressed answer", Twist: func(_ *request, a *answer) { a.set("Content-Encoding", "gzip") }},
		{Name: "half the answer", After: func(w http.ResponseWriter, a answer) {
			for name, values := range a.header {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+1))
			w.WriteHeader(a.status)
			_, _ = w.Write(a.body)
			panic(http.ErrAbortHandler)
		}},
		{Name: "an answer that nothing ends", After: func(w http.ResponseWriter, a answer) {
			raw(func(c net.Conn) {
				fmt.Fprintf(c, "HTTP/1.1 %d X\r\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT\r\n", a.status)
				for name := range a.header {
					if name != "Content-Length" {
						fmt.Fprintf(c, "%s: %s\r\n", name, a.header.Get(name))
					}
				}
				io.WriteString(c, closed)
				c.Write(a.body[:len(a.body)/2])
			})(nil, w, nil)
		}},
	}
	return slices.Concat(all, proxyLies(), writeLies(), readLies(), listLies())
}

func (a *answer) set(name, value string) {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(name, value)
}

// proxyLies are answers of a server in between, or in the server's place.
func proxyLies() []Lie {
	const page = "<html><head><title>Not Found</title></head><body><h1>Not Found</h1></body></html>"
	return []Lie{
		{Name: "a proxy's page", Stranger: true, Before: says(404, page, "Content-Type", "text/html")},
		{Name: "a proxy's page of XHTML", Stranger: true, Before: says(404, `<?xml version="1.0"?>`+page)},
		{Name: "a bare status", Stranger: true, Before: says(404, "")},
		{Name: "another server's error", Stranger: true, Before: says(404, `{"title":"Not Found","status":404}`)},
		{Name: "an error without a code", Stranger: true, Before: says(404, "<Error><Message>no</Message></Error>")},
		{Name: "a page of welcome", Stranger: true, Only: []string{Stat, Delete, Bulk, List}, Before: says(200, page)},
	}
}

func writeLies() []Lie {
	writes := []string{Put, Part, Complete}
	return []Lie{
		{Name: "stored, and not", Forget: true, Only: []string{Put}, Loses: true},
		{Name: "stored, and not, nor an ETag", Forget: true, Only: writes, Twist: func(_ *request, a *answer) { a.header.Del("Etag"); a.header.Del(checksum); a.body = nil }},
		{Name: "stored something else", Only: writes, Twist: func(q *request, a *answer) {
			a.set("Etag", etagOf([]byte("other")))
			a.body = bytes.ReplaceAll(a.body, []byte(sumOf(q.body)), []byte(sumOf([]byte("other"))))
			a.body = bytes.ReplaceAll(a.body, []byte("&quot;0123-2&quot;"), nil)
		}},
		{Name: "an ETag that is none", Only: []string{Put, Part}, Twist: func(_ *request, a *answer) { a.set("Etag", strings.Repeat("e", 5000)); a.body = nil }},
		{Name: "an ETag of another encoding", Only: []string{Put, Part, Complete}, Twist: func(_ *request, a *answer) {
			a.set("Etag", `W/"`+strings.ToUpper(strings.Trim(a.header.Get("Etag"), `"`))+`"`)
		}},
		{Name: "an error after the head of a success", Only: []string{Complete, Put, Part}, Before: says(200, `<?xml version="1.0"?>`+strings.Repeat("\n", 500)+"<Error><Code>InternalError</Code></Error>")},
		{Name: "an answer before the body", Only: writes, Before: raw(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
		})},
		{Name: "completed, and not", Only: []string{Complete}, Forget: true},
		{Name: "another's answer", Only: []string{Complete, Begin}, Before: says(200, "<ListBucketResult/>")},
		{Name: "no upload", Only: []string{Begin}, Before: says(200, "<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>")},
		{Name: "deleted, and not", Only: []string{Delete, Bulk}, Forget: true, Loses: true},
		{Name: "deleted another's", Only: []string{Bulk}, Before: says(200, "<DeleteResult><Deleted><Key>other</Key></Deleted></DeleteResult>")},
		{Name: "says nothing of keys", Only: []string{Bulk}, Before: says(200, "<DeleteResult/>")},
		{Name: "an error of another's", Only: []string{Bulk}, Before: says(200, "<DeleteResult><Error><Key>other</Key><Code>NoSuchKey</Code></Error></DeleteResult>")},
		{Name: "an invalid argument", Only: []string{Bulk}, Before: says(200, "<DeleteResult><Error><Key>other</Key><Code>InvalidArgument</Code></Error></DeleteResult>")},
	}
}

func readLies() []Lie {
	reads, stats := []string{Get}, []string{Stat}
	resize := func(change func([]byte) []byte) func(*request, *answer) {
		return func(_ *request, a *answer) {
			if a.status < 300 {
				a.body = change(slices.Clone(a.body))
				a.set("Content-Length", strconv.Itoa(len(a.body)))
			}
		}
	}
	return []Lie{
		{Name: "longer", Only: reads, Loses: true, Twist: resize(func(b []byte) []byte { return append(b, "evil"...) })},
		{Name: "shorter", Only: reads, Loses: true, Twist: resize(func(b []byte) []byte { return b[:len(b)/2] })},
		{Name: "other bytes", Only: reads, Loses: true, Twist: resize(func(b []byte) []byte { b[len(b)/2] ^= 1; return b })},
		{Name: "another range", Only: reads, Loses: true, Twist: func(_ *request, a *answer) { a.set("Content-Range", "bytes 1-2/3") }},
		{Name: "a range that is none", Only: reads, Loses: true, Twist: func(_ *request, a *answer) { a.set("Content-Range", "bytes */*") }},
		{Name: "a huge length", Only: reads, Before: endless(ok+"Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 9223372036854775807\r\n\r\n", "a"), Loses: true},
		{Name: "a huge object", Only: stats, Loses: true, Before: says(200, `{"name":"x","size":"9223372036854775807","timeCreated":"2031-01-01T00:00:00Z"}`, "Content-Length", "9223372036854775807")},
		{Name: "a negative size", Only: stats, Before: says(200, `{"name":"NAME","size":"-1"}`, "X-A", "b")},
		{Name: "another range, told as the right one", Only: reads, Loses: true, Twist: func(_ *request, a *answer) {
			if a.status < 300 {
				a.body = append(slices.Clone(a.body[1:]), 'x')
			}
		}},
		{Name: "all for a part", Only: reads, Loses: true, Whole: true},
		{Name: "all for a part, told as a part", Only: reads, Loses: true, Whole: true, Twist: func(_ *request, a *answer) { a.status = 206 }},
		{Name: "a part for all", Only: reads, Loses: true, Twist: func(_ *request, a *answer) {
			a.body = a.body[:len(a.body)/2]
			a.status = 206
			a.set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(a.body)-1, 2*len(a.body)))
			a.set("Content-Length", strconv.Itoa(len(a.body)))
		}},
		{Name: "no such range", Only: reads, Before: says(416, "<Error><Code>InvalidRange</Code></Error>")},
		{Name: "no such range of so few", Only: reads, Before: says(416, "", "Content-Range", "bytes */10")},
		{Name: "not modified", Only: []string{Get, Stat}, Before: says(304, "", "Etag", `"a"`)},
		{Name: "one byte more than it says", Only: reads, Loses: true, After: oneMore},
		{Name: "gzip by the name of it", Only: reads, Twist: func(_ *request, a *answer) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write(a.body)
			_ = z.Close()
			a.body = packed.Bytes()
			a.set("Content-Encoding", "gzip")
			a.set("Content-Length", strconv.Itoa(len(a.body)))
		}},
		{Name: "a part of no known size", Only: reads, Twist: func(_ *request, a *answer) {
			span, _, _ := strings.Cut(a.header.Get("Content-Range"), "/")
			a.set("Content-Range", span+"/*")
		}},
		{Name: "chunks and a trailer", Only: reads, Loses: true, After: func(w http.ResponseWriter, a answer) {
			a.header.Del("Content-Length")
			maps.Copy(w.Header(), a.header)
			w.Header().Set("Trailer", "Content-Length, "+checksum)
			w.WriteHeader(a.status)
			_, _ = w.Write(a.body)
			w.Header().Set("Content-Length", "1")
			w.Header().Set(checksum, "AAAAAA==")
		}},
		{Name: "another size", Only: stats, Loses: true, Twist: func(_ *request, a *answer) {
			a.set("Content-Length", "7")
			a.body = bytes.ReplaceAll(a.body, []byte(`"size":"`), []byte(`"size":"7`))
			if a.header.Get("Etag") != "" {
				a.body = nil
			}
		}},
		{Name: "a time that is none", Only: []string{Get, Stat}, Twist: func(_ *request, a *answer) { a.set("Last-Modified", "then") }},
	}
}

func listLies() []Lie {
	lists := []string{List}
	pages := func(s3, google string) func(*Server, http.ResponseWriter, *request) {
		var n atomic.Int64
		return func(_ *Server, w http.ResponseWriter, q *request) {
			text := s3
			if q.google {
				text = google
			}
			_, _ = io.WriteString(w, strings.ReplaceAll(text, "N", fmt.Sprintf("%09d", n.Add(1))))
		}
	}
	const head = "<ListBucketResult><IsTruncated>true</IsTruncated>"
	return []Lie{
		{Name: "the same page for ever", Only: lists, Before: pages(head+"<NextContinuationToken>same</NextContinuationToken></ListBucketResult>", `{"nextPageToken":"same"}`)},
		{Name: "empty pages for ever", Only: lists, Before: pages(head+"<NextContinuationToken>N</NextContinuationToken></ListBucketResult>", `{"nextPageToken":"N"}`)},
		{Name: "one foreign name for ever", Only: lists, Before: pages(head+"<NextContinuationToken>N</NextContinuationToken><Contents><Key>z</Key></Contents></ListBucketResult>",
			`{"nextPageToken":"N","items":[{"name":"z","size":"1"}]}`)},
		{Name: "foreign names for ever", Only: lists, Before: pages(head+"<NextContinuationToken>N</NextContinuationToken><Contents><Key>zN</Key></Contents></ListBucketResult>",
			`{"nextPageToken":"N","items":[{"name":"zN","size":"1"}]}`)},
		{Name: "one blob for ever", Only: lists, Before: pages(head+"<NextContinuationToken>N</NextContinuationToken><Contents><Key>gateway/"+strings.Repeat("1", 32)+"</Key></Contents></ListBucketResult>",
			`{"nextPageToken":"N","items":[{"name":"gateway/`+strings.Repeat("1", 32)+`","size":"1"}]}`)},
		{Name: "pages in a circle", Only: lists, Before: func() func(*Server, http.ResponseWriter, *request) {
			var n atomic.Int64
			return func(_ *Server, w http.ResponseWriter, q *request) {
				text := head + "<NextContinuationToken>N</NextContinuationToken></ListBucketResult>"
				if q.google {
					text = `{"nextPageToken":"N"}`
				}
				_, _ = io.WriteString(w, strings.ReplaceAll(text, "N", fmt.Sprint(n.Add(1)%2)))
			}
		}()},
		{Name: "no more, in the middle", Only: lists, Loses: true, Twist: func(_ *request, a *answer) {
			a.body = bytes.ReplaceAll(a.body, between(a.body, "<Contents>", "</Contents>"), nil)
			if i := bytes.Index(a.body, []byte(`},{`)); i > 0 {
				a.body = append([]byte(`{"items":[`), a.body[i+2:]...)
			}
		}},
		{Name: "more without a token", Only: lists, Before: says(200, head+"</ListBucketResult>")},
		{Name: "a negative length", Only: lists, Twist: func(_ *request, a *answer) {
			a.body = bytes.ReplaceAll(bytes.ReplaceAll(a.body, []byte("<Size>"), []byte("<Size>-")), []byte(`"size":"`), []byte(`"size":"-`))
		}},
		{Name: "twice", Only: lists, Twist: func(_ *request, a *answer) {
			a.body = bytes.ReplaceAll(a.body, []byte("</IsTruncated>"), []byte("</IsTruncated>"+string(between(a.body, "<Contents>", "</Contents>"))))
			if _, items, found := bytes.Cut(a.body, []byte(`"items":[`)); found && len(items) > 4 {
				a.body = []byte(`{"items":[` + strings.TrimSuffix(string(items), "]}") + "," + string(items))
			}
		}},
	}
}

// between is the first run of text from one mark to another, both included.
func between(text []byte, from, to string) []byte {
	i, j := bytes.Index(text, []byte(from)), bytes.Index(text, []byte(to))
	if i < 0 || j < i {
		return nil
	}
	return text[i : j+len(to)]
}
