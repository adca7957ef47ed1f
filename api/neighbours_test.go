package api_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
	"github.com/sanctum-storage/gateway/weakhash"
)

// street is a gateway with two tenants: one that works normally, and one that
// misbehaves.
type street struct {
	*gatewaytest.Gateway
	good, bad accounts.Credential
	provider  *httptest.Server // of bad; does not answer before release is closed
	release   chan struct{}
	conns     []net.Conn
	refused   atomic.Int64 // requests of bad, or unsigned ones, that were told to slow down
	stop      chan struct{}
	busy      sync.WaitGroup
}

// A small gateway, so that its limits are soon reached.
const streetRequests = 128

func newStreet(t *testing.T, limits api.Limits) *street {
	t.Helper()
	s := &street{release: make(chan struct{}), stop: make(chan struct{})}
	s.provider = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.release:
		case <-r.Context().Done():
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.provider.Close)
	s.Gateway = gatewaytest.Start(t, gatewaytest.Options{
		Limits:       limits,
		ProviderKeys: iam.NewKeys(iam.KeysOptions{Client: s.provider.Client()}),
	})
	s.good, s.bad = s.User(t, "good"), s.User(t, "bad")
	for _, c := range []accounts.Credential{s.good, s.bad} {
		expect(t, "bucket", s.Do(t, c, "PUT", "/"+c.Tenant.Name, nil), 200, "")
	}
	return s
}

// nuisance are hanging requests, each given by its head on the wire. They are
// sent from several addresses until each is refused, or holds most.
func (s *street) nuisance(t *testing.T, addresses, most int, head func() string, body string) {
	t.Helper()
	for a := range addresses {
		from := net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(a+2))}
		for range most {
			dialer := net.Dialer{LocalAddr: &from}
			conn, err := dialer.Dial("tcp", s.Server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			s.conns = append(s.conns, conn)
			conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			io.WriteString(conn, head())
			line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if strings.Contains(line, " 503 ") {
				s.refused.Add(1)
				break
			}
			if !strings.Contains(line, " 100 ") && !strings.Contains(line, " 200 ") {
				t.Fatalf("a request that was to hang is answered %q", line)
			}
			io.WriteString(conn, body)
		}
	}
}

// signed returns the head of a request that c signs and whose body hangs.
func (s *street) signed(t *testing.T, c accounts.Credential, method, target string, length int, headers ...string) func() string {
	return func() string {
		r := s.Request(t, method, target, nil)
		r.ContentLength = int64(length)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, s.Region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, r.Host)
		if length > 0 {
			fmt.Fprintf(&b, "Content-Length: %d\r\nExpect: 100-continue\r\n", length)
		}
		r.Header.Write(&b)
		return b.String() + "\r\n"
	}
}

// form returns a request of IAM that c signs.
func (s *street) form(t *testing.T, c accounts.Credential, body string) func() string {
	return func() string {
		r := s.Request(t, "POST", "/", []byte(body))
		r.Header.Set("Content-Type", formMIME)
		if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, s.Region, "iam", sigv4.PayloadHash([]byte(body)), time.Now()); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", r.Host, len(body))
		r.Header.Write(&b)
		return b.String() + "\r\n" + body
	}
}

// signedChunked returns the head of a request that c signs, with a document in
// HTTP chunks. Only the decoded document has a length.
func (s *street) signedChunked(t *testing.T, c accounts.Credential, target, decoded string) func() string {
	return func() string {
		r := s.Request(t, "POST", target, nil)
		r.Header.Set("X-Amz-Decoded-Content-Length", decoded)
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, s.Region, "s3", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", time.Now()); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n", target, r.Host)
		r.Header.Write(&b)
		return b.String() + "\r\n"
	}
}

// nobody returns the head of an unsigned request whose body hangs.
func nobody(target, mime, more string) func() string {
	return func() string {
		return "POST " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\nExpect: 100-continue\r\nContent-Type: " + mime + "\r\n" + more + "\r\n"
	}
}

// again runs f on n goroutines until the deed ends.
func (s *street) again(n int, f func()) {
	for range n {
		s.busy.Go(func() {
			for {
				select {
				case <-s.stop:
					return
				default:
					f()
				}
			}
		})
	}
}

// calm ends the deed.
func (s *street) calm() {
	close(s.stop)
	close(s.release)
	for _, c := range s.conns {
		c.Close()
	}
	s.busy.Wait()
}

const formMIME = "application/x-www-form-urlencoded"

// deed is a misbehaviour of one tenant, or of unsigned senders. It returns once
// it is in progress, and continues until the street is calm.
type deed struct {
	name string
	do   func(*testing.T, *street)
	// refused: the deed must meet its limit.
	refused bool
	// slower bounds the other tenant's median request time, as a multiple of
	// the time alone. Idle nuisances cost nothing; busy ones take their share
	// of two cores.
	slower float64
}

const (
	slowerIdle = 5
	slowerBusy = 50
)

var deeds = []deed{
	{"slow forms of nobody", func(t *testing.T, s *street) {
		s.nuisance(t, 4, 200, nobody("/", formMIME, ""), "Action=")
	}, true, slowerIdle},
	{"slow forms under an access key", func(t *testing.T, s *street) {
		auth := "Authorization: AWS4-HMAC-SHA256 Credential=" + s.bad.AccessKey + "/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=" + strings.Repeat("0", 64) + "\r\nX-Amz-Date: 20260101T000000Z\r\n"
		s.nuisance(t, 1, 300, nobody("/", formMIME, auth), "Action=")
	}, true, slowerIdle},
	{"slow upload forms", func(t *testing.T, s *street) {
		s.nuisance(t, 4, 200, nobody("/bad", "multipart/form-data; boundary=b", ""), "--b\r\n")
	}, true, slowerIdle},
	{"slow documents of a tenant", func(t *testing.T, s *street) {
		s.nuisance(t, 2, 200, s.signed(t, s.bad, "POST", "/bad?delete", 1<<20, "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), "<Delete>")
	}, true, slowerIdle},
	{"slow documents of nobody", func(t *testing.T, s *street) {
		expect(t, "policy", s.Do(t, s.bad, "PUT", "/bad?policy",
			[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::bad","arn:aws:s3:::bad/*"]}]}`)), 204, "")
		s.nuisance(t, 4, 200, func() string {
			return "POST /bad?delete HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\nContent-Md5: 1B2M2Y8AsgTpgAmY7PhCfg==\r\n\r\n"
		}, "<Delete>")
	}, true, slowerIdle},
	{"slow uploads", func(t *testing.T, s *street) {
		s.nuisance(t, 2, 200, s.signed(t, s.bad, "PUT", "/bad/key", 1<<20), "x")
	}, true, slowerIdle},
	{"slow readers", func(t *testing.T, s *street) {
		expect(t, "large object", s.Do(t, s.bad, "PUT", "/bad/large", bytesOf(16<<20)), 200, "")
		s.nuisance(t, 2, 200, s.signed(t, s.bad, "GET", "/bad/large", 0), "")
	}, true, slowerIdle},
	{"slow readers of long listings", func(t *testing.T, s *street) {
		for i := range 1000 {
			expect(t, "key", s.Do(t, s.bad, "PUT", fmt.Sprintf("/bad/%04d%s", i, strings.Repeat("&", 1000)), nil), 200, "")
		}
		s.nuisance(t, 2, 200, s.signed(t, s.bad, "GET", "/bad?list-type=2", 0), "")
	}, true, slowerIdle},
	{"slow readers of long lists of roles", func(t *testing.T, s *street) {
		for i := range 700 {
			iamCall(t, s.Gateway, s.bad, "Action", "CreateRole", "RoleName", fmt.Sprint("role", i), "AssumeRolePolicyDocument",
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+accounts.Account(s.bad.Tenant.ID)+
					`"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:username":"`+strings.Repeat("\U0001F5DD", 900)+`"}}}]}`)
		}
		s.nuisance(t, 2, 200, s.form(t, s.bad, "Action=ListRoles&MaxItems=1000&Version=2010-05-08"), "")
	}, true, slowerIdle},
	{"half a header", func(t *testing.T, s *street) {
		for range 300 {
			conn, err := net.Dial("tcp", s.Server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			s.conns = append(s.conns, conn)
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nX: ")
		}
	}, false, slowerIdle},
	{"tokens of a slow provider", func(t *testing.T, s *street) {
		iamCall(t, s.Gateway, s.bad, "Action", "CreateOpenIDConnectProvider", "Url", s.provider.URL, "ClientIDList.member.1", "app")
		arn := "arn:aws:iam::" + accounts.Account(s.bad.Tenant.ID)
		iamCall(t, s.Gateway, s.bad, "Action", "CreateRole", "RoleName", "ci", "AssumeRolePolicyDocument",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"`+arn+`:oidc-provider/`+strings.TrimPrefix(s.provider.URL,
				"https://")+`"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`)
		raw := base64.RawURLEncoding.EncodeToString
		jwt := raw([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + raw(fmt.Appendf(nil, `{"iss":%q,"sub":"s","aud":"app"}`, s.provider.URL)) + "." + raw([]byte("x"))
		body := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "RoleArn": {arn + ":role/ci"}, "RoleSessionName": {"run"}, "WebIdentityToken": {jwt}}.Encode()
		began := make(chan struct{}, 100)
		for range cap(began) {
			s.busy.Go(func() {
				res, err := s.Client.Post(s.URL+"/", formMIME, strings.NewReader(body))
				if err == nil {
					text, _ := io.ReadAll(res.Body)
					res.Body.Close()
					if bytes.Contains(text, []byte("Throttling")) || res.StatusCode == 503 {
						s.refused.Add(1)
					}
				}
				began <- struct{}{}
			})
		}
		for len(began) == 0 { // the first is throttled while the others wait
			time.Sleep(time.Millisecond)
		}
	}, true, slowerIdle},
	{"costly documents", func(t *testing.T, s *street) {
		shape := shapes["CompleteMultipartUpload"]
		docs := [][]byte{
			[]byte(shape.begin() + strings.Repeat("<Part/>", 3<<20/7)),
			[]byte(shape.begin() + strings.Repeat(shape.one, 3<<20/len(shape.one))),
			[]byte("<" + shape.root + strings.Repeat(` a="b"`, 3<<20/6)),
		}
		var n atomic.Int64
		s.again(1, func() {
			s.quietly(s.bad, "POST", "/bad/key?uploadId=none", docs[int(n.Add(1))%len(docs)])
		})
	}, false, slowerBusy},
	{"rules that are costly, and a thousand keys", func(t *testing.T, s *street) {
		iamCall(t, s.Gateway, s.bad, "Action", "CreateUser", "UserName", "u")
		for i := range 2 {
			iamCall(t, s.Gateway, s.bad, "Action", "PutUserPolicy", "UserName", "u", "PolicyName", fmt.Sprint("p", i), "PolicyDocument",
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::bad`+strings.Repeat(`/*a*?","arn:aws:s3:::bad`, 30)+`/*"]}]}`)
		}
		made := iamCall(t, s.Gateway, s.bad, "Action", "CreateAccessKey", "UserName", "u")
		user := accounts.Credential{AccessKey: made.Element("AccessKeyId"), SecretKey: made.Element("SecretAccessKey")}
		doc := []byte("<Delete><Quiet>true</Quiet>" + strings.Repeat("<Object><Key>"+strings.Repeat("ab", 100)+"</Key></Object>", 1000) + "</Delete>")
		s.again(1, func() { s.quietly(user, "POST", "/bad?delete", doc) })
	}, false, slowerBusy},
	{"a thousand short keys, many times at once", func(t *testing.T, s *street) {
		doc := []byte("<Delete><Quiet>true</Quiet>" + strings.Repeat("<Object><Key>k</Key></Object>", 10))
		for i := range 990 {
			doc = fmt.Appendf(doc, "<Object><Key>%d</Key></Object>", i)
		}
		doc = append(doc, "</Delete>"...)
		s.again(24, func() { s.quietly(s.bad, "POST", "/bad?delete", doc) })
	}, false, slowerBusy},
	{"hammering at a limit", func(t *testing.T, s *street) {
		if err := s.Engine.Accounts().SetLimits(t.Context(), s.bad.Tenant.ID, meta.Limits{Requests: 1}); err != nil {
			t.Fatal(err)
		}
		s.again(4, func() { s.quietly(s.bad, "GET", "/bad", nil) })
		for s.refused.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
	}, true, slowerBusy},
	{"open uploads", func(t *testing.T, s *street) {
		s.again(2, func() { s.quietly(s.bad, "POST", "/bad/key?uploads", nil) })
		s.again(1, func() { s.quietly(s.bad, "GET", "/bad?uploads&delimiter=k", nil) })
	}, false, slowerBusy},
	{"listings that skip everything", func(t *testing.T, s *street) {
		for i := range 300 {
			expect(t, "key", s.Do(t, s.bad, "PUT", fmt.Sprintf("/bad/a%03d/b", i), nil), 200, "")
		}
		s.again(1, func() { s.quietly(s.bad, "GET", "/bad?list-type=2&delimiter=/&max-keys=1000", nil) })
	}, false, slowerBusy},
}

// quietly sends a request whose answer does not matter.
func (s *street) quietly(c accounts.Credential, method, target string, body []byte) {
	r, err := http.NewRequest(method, s.URL+target, bytes.NewReader(body))
	if err != nil {
		return
	}
	if body != nil {
		sum := weakhash.MD5(body)
		r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	if sigv4.Sign(r, c.AccessKey, c.SecretKey, s.Region, "s3", sigv4.PayloadHash(body), time.Now()) != nil {
		return
	}
	res, err := s.Client.Do(r)
	if err != nil {
		return
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode == 503 {
		s.refused.Add(1)
	}
}

// iamCall calls an action of IAM, with alternating names and values.
func iamCall(t testing.TB, g *gatewaytest.Gateway, c accounts.Credential, pairs ...string) gatewaytest.Response {
	t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	body := []byte(v.Encode())
	r := g.Request(t, "POST", "/", body)
	r.Header.Set("Content-Type", formMIME)
	if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, g.Region, "iam", sigv4.PayloadHash(body), time.Now()); err != nil {
		t.Fatal(err)
	}
	res := g.Send(t, r)
	if res.Status != 200 {
		t.Errorf("%s: %d %s", v.Get("Action"), res.Status, res.Body)
	}
	return res
}

// work does the other tenant's work n times, one request of every kind that has
// places. It returns the median request time and the highest heap size.
func (s *street) work(t *testing.T, beside string, times int) (median time.Duration, heap uint64) {
	t.Helper()
	var took []time.Duration
	step := func(what string, status int, send func() gatewaytest.Response) {
		began := time.Now()
		res := send()
		took = append(took, time.Since(began))
		if res.Status != status {
			t.Errorf("beside %s: %s: %d %s", beside, what, res.Status, res.Body)
		}
		heap = max(heap, heapObjects())
	}
	large := []byte("<Delete>" + strings.Repeat("<Object><Key>"+strings.Repeat("k", 1000)+"</Key></Object>", 70) + "</Delete>")
	sum := weakhash.MD5(large)
	digest := base64.StdEncoding.EncodeToString(sum[:])
	for range times {
		step("PUT", 200, func() gatewaytest.Response { return s.Do(t, s.good, "PUT", "/good/key", []byte("content")) })
		step("GET", 200, func() gatewaytest.Response { return s.Do(t, s.good, "GET", "/good/key", nil) })
		step("a listing", 200, func() gatewaytest.Response { return s.Do(t, s.good, "GET", "/good?list-type=2", nil) })
		step("a large document", 200, func() gatewaytest.Response {
			return s.Do(t, s.good, "POST", "/good?delete", large, "Content-Md5", digest)
		})
		step("an action of IAM", 200, func() gatewaytest.Response { return iamCall(t, s.Gateway, s.good, "Action", "ListUsers") })
	}
	slices.Sort(took)
	return took[len(took)/2], heap
}

// TestDrippingBodiesEnd sends bodies byte by byte. An unverified form has
// limits.unknown to arrive, a document its idle time and the time that its
// length takes.
func TestDrippingBodiesEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits api.Limits
		head   func(*street) string
		body   string
	}{
		{"a form of nobody", api.Limits{Unknown: 200 * time.Millisecond}, func(*street) string { return nobody("/", formMIME, "")() }, "Action="},
		{"an upload form", api.Limits{Unknown: 200 * time.Millisecond},
			func(*street) string { return nobody("/good", "multipart/form-data; boundary=b", "")() }, "--b\r\n"},
		{"a document", api.Limits{Idle: 200 * time.Millisecond}, func(s *street) string {
			return s.signed(t, s.good, "PUT", "/good?tagging", 4000, "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==")()
		}, "<Tagging>"},
	} {
		s := newStreet(t, c.limits)
		conn, err := net.Dial("tcp", s.Server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.head(s))
		answer := bufio.NewReader(conn)
		line, err := answer.ReadString('\n')
		if err != nil || !strings.Contains(line, " 100 ") {
			t.Fatalf("%s: %q %v", c.name, line, err)
		}
		answer.ReadString('\n')
		io.WriteString(conn, c.body)
		ended := make(chan string, 1)
		go func() {
			res, err := http.ReadResponse(answer, nil)
			if err != nil {
				ended <- err.Error()
				return
			}
			text, _ := io.ReadAll(res.Body) // its length is given
			ended <- string(text)
		}()
		text := ""
		for n := 0; text == "" && n < 1000; n++ { // at most ten seconds
			io.WriteString(conn, "x")
			select {
			case text = <-ended:
			case <-time.After(10 * time.Millisecond):
			}
		}
		if !strings.Contains(text, "RequestTimeout") {
			t.Errorf("%s: a thousand bytes, each a while after the last, are answered %q", c.name, text)
		}
		conn.Close()
	}
}

func heapObjects() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// The most that a deed may add to the heap, including the attacker's part of
// this process.
const neighbourMemory = 256 << 20

// TestNeighbours does one tenant's normal work alone, and then beside each deed
// of another. None of its requests is refused, its median request time and the
// process's memory stay within bounds.
func TestNeighbours(t *testing.T) {
	for _, d := range deeds {
		t.Run(d.name, func(t *testing.T) {
			s := newStreet(t, api.Limits{Concurrent: streetRequests})
			const times = 8
			alone, before := s.work(t, "nobody", times)
			d.do(t, s)
			beside, after := s.work(t, d.name, times)
			s.calm()
			if again, _ := s.work(t, "nobody any more", times/2); again > alone {
				alone = again
			}
			if d.refused && s.refused.Load() == 0 {
				t.Error("the deed met no limit")
			}
			ratio := float64(beside) / float64(alone)
			if ratio > d.slower {
				t.Errorf("the median request takes %.1f times as long, more than %v", ratio, d.slower)
			}
			if after > before && after-before > neighbourMemory {
				t.Errorf("the heap has %d MB more, than %d", (after-before)>>20, neighbourMemory>>20)
			}
			t.Logf("%.1f times as long, %+d MB", ratio, (int64(after)-int64(before))>>20)
		})
	}
}
