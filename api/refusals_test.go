package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/api"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/sigv4"
)

// payloads are all ways to declare the protection of a body.
var payloads = []struct{ name, hash string }{
	{"signed", sigv4.PayloadHash([]byte(forbiddenBody))},
	{"unsigned", sigv4.Unsigned.String()},
	{"streaming signed", sigv4.StreamingSigned.String()},
	{"streaming signed, trailer", sigv4.StreamingSignedTrailer.String()},
	{"streaming unsigned trailer", sigv4.StreamingUnsignedTrailer.String()},
}

const forbiddenBody = "must not be read"

// untouchable is a body that must not be requested. The request has Expect:
// 100-continue, so that the client sends it only if the gateway reads it.
type untouchable struct{ touched bool }

func (u *untouchable) Read(p []byte) (int, error) {
	u.touched = true
	return 0, io.EOF
}

// open are the exceptions: rows that a sender may use whom all other rows
// refuse, with the reason. Each is tried and must be answered without a
// refusal.
var open = []struct {
	row, why string
	to       func(*refusal) bool
	body     string
}{
	{row: "OptionsBucket", why: "browsers never sign it; it learns of CORS rules alone: TestPreflight", to: func(*refusal) bool { return true }},
	{row: "OptionsObject", why: "as OptionsBucket", to: func(*refusal) bool { return true }},
	{row: "ListBuckets", why: "every tenant lists its own: TestBucketsOfOthers", to: otherTenants},
	{row: "CreateBucket", why: "every tenant may, under a name that is free: TestBucketsOfOthers", to: otherTenants},
	{row: "DeleteObjects", why: "decided for each key in its document: TestStrangersDeleteNothing",
		to: func(r *refusal) bool { return r.policies }, body: deleteTwo},
	{row: "PostObject", why: "its credentials are in its form: TestFormsOfStrangers", to: func(r *refusal) bool { return r.name == "anonymous" }, body: "x"},
}

func otherTenants(r *refusal) bool {
	return r.name == "another tenant" || r.name == "another tenant's user"
}

const deleteTwo = "<Delete><Object><Key>key</Key></Object><Object><Key>source</Key></Object></Delete>"

func isOpen(op *api.Operation, why *refusal) bool {
	for _, o := range open {
		if o.row == op.Name && o.to(why) {
			return true
		}
	}
	return false
}

// A sender without a right is refused before a byte of the body is requested,
// and changes nothing.
func TestEveryOperationRefusesStrangers(t *testing.T) {
	h := newHousehold(t)
	h.g.Client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	h.g.Client.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	refusals := h.refusals(t)
	before := snapshot(t, h.g)
	t.Run("rows", func(t *testing.T) {
		for i := range api.Operations {
			op := &api.Operations[i]
			t.Run(op.Name, func(t *testing.T) {
				t.Parallel()
				for i := range refusals {
					why := &refusals[i]
					if isOpen(op, why) {
						continue
					}
					for n, payload := range payloads {
						h.refuse(t, op, why, payload.name, payload.hash, n%2 == 0, false)
						if why.inURL != "" {
							h.refuse(t, op, why, payload.name, payload.hash, n%2 == 1, true)
						}
					}
					if why.cred.AccessKey != "" {
						h.refuse2(t, op, why, sigv4.Unsigned.String(), headerV2)
						h.refuse2(t, op, why, "", headerV2)
						h.refuse2(t, op, why, "", urlV2)
						h.refuse2(t, op, why, sigv4.StreamingSigned.String(), headerV2)
					}
				}
			})
		}
	})
	wantUnchanged(t, h.g, before)
}

// Each exception in open is still needed: none of its senders is refused.
func TestOpenRowsAreOpen(t *testing.T) {
	h := newHousehold(t)
	refusals := h.refusals(t)
	cors := `<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>`
	if res := h.g.Do(t, h.alice, "PUT", "/bucket?cors", []byte(cors)); res.Status != 200 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	for _, o := range open {
		i := slices.IndexFunc(api.Operations, func(op api.Operation) bool { return op.Name == o.row })
		if i < 0 {
			t.Errorf("%s: unknown row (%s)", o.row, o.why)
			continue
		}
		op, tried := &api.Operations[i], 0
		for j := range refusals {
			why := &refusals[j]
			if !o.to(why) {
				continue
			}
			tried++
			target, header := h.example(op, false)
			r := h.g.Request(t, op.Method, target, []byte(o.body))
			r.Header = header
			r.Header.Set("Origin", "https://example.com")
			r.Header.Set("Access-Control-Request-Method", "GET")
			if !op.Preflight && why.cred.AccessKey != "" {
				sign(t, h.g, r, why.cred, sigv4.PayloadHash([]byte(o.body)), time.Now())
			}
			if res := h.g.Send(t, r); res.Status == 403 || res.Status >= 500 {
				t.Errorf("%s is not open to %s any more: %d %s", o.row, why.name, res.Status, res.Body)
			}
		}
		if tried == 0 {
			t.Errorf("nobody may use %s", o.row)
		}
	}
}

// The same requests by senders with the rights. Otherwise the tests of refusals
// could pass for other reasons.
func TestEveryOperationAcceptsFriends(t *testing.T) {
	h := newHousehold(t)
	for name, cred := range h.friends(t) {
		for i := range api.Operations {
			op := &api.Operations[i]
			if op.Preflight || op.Name == "ListDirectoryBuckets" && name != "root" { // only the operator may use it
				continue
			}
			for _, versioned := range []bool{false, true} {
				target, header := h.example(op, versioned)
				r := h.g.Request(t, op.Method, target, nil)
				r.Header = header
				sign(t, h.g, r, cred, sigv4.PayloadHash(nil), time.Now())
				if res := h.g.Send(t, r); res.Status == http.StatusForbidden || res.Status == http.StatusInternalServerError {
					t.Errorf("%s by %s: %d %s", op.Name, name, res.Status, res.Body)
				}
				for _, place := range []int{headerV2, urlV2} {
					if op.Scope == api.ControlScope {
						continue // is never accepted there: TestVersion2IsForS3Alone
					}
					h.befriend2(t, op, name, cred, versioned, place)
				}
			}
		}
	}
}

// befriend2 sends such a request signed with Version 2. It succeeds unless a
// parameter that Version 2 does not sign chooses the operation.
func (h *household) befriend2(t *testing.T, op *api.Operation, name string, cred accounts.Credential, versioned bool, place int) {
	t.Helper()
	target, header := h.example(op, versioned)
	r := h.g.Request(t, op.Method, target, nil)
	r.Header = header
	if place == headerV2 {
		gatewaytest.SignV2(r, cred, time.Now())
	} else {
		gatewaytest.PresignV2(t, r, cred, time.Now().Add(time.Hour))
	}
	open := slices.ContainsFunc(op.Query, func(q string) bool {
		q, _, _ = strings.Cut(q, "=")
		return !sigv4.SignedByVersion2(q) && q != "list-type" && q != "x-id" && q != "annotationName"
	})
	res := h.g.Send(t, r)
	forbidden := res.Status == http.StatusForbidden
	if forbidden != open && op.Method != http.MethodHead || res.Status == http.StatusInternalServerError {
		t.Errorf("%s by %s, version 2 in place %d: %d %s", op.Name, name, place, res.Status, res.Body)
	}
	if open && !strings.Contains(string(res.Body), "does not cover the query parameter") {
		t.Errorf("%s by %s, version 2 in place %d: %s", op.Name, name, place, res.Body)
	}
}

// A document with several keys is answered key by key; each is refused.
func TestStrangersDeleteNothing(t *testing.T) {
	h := newHousehold(t)
	refusals := h.refusals(t)
	before := snapshot(t, h.g)
	for i := range refusals {
		if !refusals[i].policies {
			continue
		}
		for _, document := range []string{deleteTwo,
			"<Delete><Quiet>true</Quiet><Object><Key>key</Key><VersionId>" + h.version + "</VersionId></Object><Object><Key>none</Key></Object></Delete>"} {
			r := h.g.Request(t, "POST", "/bucket?delete", []byte(document))
			r.Header.Set("X-Amz-Bypass-Governance-Retention", "true")
			r.Header.Set("X-Amz-Checksum-Crc32", sum("CRC32", []byte(document)))
			sign(t, h.g, r, refusals[i].cred, sigv4.PayloadHash([]byte(document)), time.Now())
			res := h.g.Send(t, r)
			if body := string(res.Body); res.Status != 200 || strings.Count(body, "<Code>AccessDenied</Code>") != 2 || strings.Contains(body, "<Deleted>") {
				t.Errorf("%s: %d %s", refusals[i].name, res.Status, res.Body)
			}
		}
	}
	wantUnchanged(t, h.g, before)
}

// A form's signature counts like one in the header, whatever headers come with
// it.
func TestFormsOfStrangers(t *testing.T) {
	h := newHousehold(t)
	refusals := h.refusals(t)
	before := snapshot(t, h.g)
	for i := range refusals {
		why := &refusals[i]
		want := why.code
		switch {
		case why.at > 0:
			continue // its policy has the expiration; the test above covers it
		case why.at < 0:
			want = "AccessDenied"
		}
		for _, hash := range []string{"", sigv4.Unsigned.String(), sigv4.StreamingUnsignedTrailer.String(), sigv4.StreamingSigned.String(), "x", "version 2"} {
			u := browserForm{version2: hash == "version 2", fields: []string{"key", "key"}, file: []byte("x"), filename: "f",
				expires: time.Hour + why.at, cred: why.cred, bucket: "bucket", unsigned: why.cred.AccessKey == ""}
			u.edit = func(fields *[]string) {
				last := &(*fields)[len(*fields)-1] // the signature
				if why.spoil {
					*last = spoil(*last)
				}
			}
			if why.cred.Token != "" {
				u.fields = append(u.fields, "x-amz-security-token", why.cred.Token)
			}
			var headers []string
			if hash != "" && !u.version2 {
				headers = []string{"X-Amz-Content-Sha256", hash}
			}
			if res := u.post(t, h.g, "/bucket", headers...); res.Code() != want {
				t.Errorf("%s, %q: %d %s, want %s", why.name, hash, res.Status, res.Body, want)
			}
		}
	}
	wantUnchanged(t, h.g, before)
	for name, cred := range h.friends(t) {
		u := browserForm{fields: []string{"key", "key"}, file: []byte("x"), filename: "f", expires: time.Hour, cred: cred, bucket: "bucket"}
		if cred.Token != "" {
			u.fields = append(u.fields, "x-amz-security-token", cred.Token)
		}
		for _, u.version2 = range []bool{false, true} {
			if res := u.post(t, h.g, "/bucket"); res.Status != 204 {
				t.Errorf("%s, version 2 %v: %d %s", name, u.version2, res.Status, res.Body)
			}
		}
	}
}

// example makes a request that means the operation and has no other parameters;
// versioned: for the key's older version, where the row has versions.
func (h *household) example(op *api.Operation, versioned bool) (target string, header http.Header) {
	target = []string{"/", "/bucket", "/bucket/key", "/v20180820/" + strings.Replace(op.Path, "*", "bucket", 1)}[op.Scope]
	values := map[string]string{"uploadId": h.upload, "partNumber": "1"}
	joint := "?"
	for _, q := range op.Query {
		if v, ok := values[q]; ok {
			q += "=" + v
		}
		target += joint + q
		joint = "&"
	}
	if versioned && slices.Contains(op.Accept, "versionId") {
		target += joint + "versionId=" + h.version
	}
	header = http.Header{}
	if op.Scope == api.ControlScope {
		header.Set("X-Amz-Account-Id", accounts.Account(h.alice.Tenant.ID))
	}
	if op.Name == "UntagResource" {
		target += "?tagKeys=a"
	}
	if op.Header != "" {
		header.Set(op.Header, "bucket/source")
	}
	if op.Name == "RenameObject" {
		header.Set("X-Amz-Rename-Source", "bucket/source")
	}
	return target, header
}

// sign signs a request in its header, with the session token of the credential.
func sign(t *testing.T, g *gatewaytest.Gateway, r *http.Request, c accounts.Credential, hash string, when time.Time) {
	t.Helper()
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
	}
	if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, g.Region, "s3", hash, when); err != nil {
		t.Fatal(err)
	}
}

// presign puts a signature and the session token into a request's URL.
func presign(t *testing.T, g *gatewaytest.Gateway, r *http.Request, c accounts.Credential, when time.Time) {
	t.Helper()
	if c.Token != "" {
		if r.URL.RawQuery != "" {
			r.URL.RawQuery += "&"
		}
		r.URL.RawQuery += "X-Amz-Security-Token=" + url.QueryEscape(c.Token)
	}
	signed, err := sigv4.Presign(r, c.AccessKey, c.SecretKey, g.Region, "s3", time.Hour, when)
	if err == nil {
		r.URL, err = r.URL.Parse(signed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (h *household) refuse(t *testing.T, op *api.Operation, why *refusal, payload, hash string, versioned, presigned bool) {
	t.Helper()
	what := fmt.Sprintf("%s, %s, %s, presigned %v", op.Name, why.name, payload, presigned)
	target, header := h.example(op, versioned)
	body := &untouchable{}
	r, err := http.NewRequest(op.Method, h.g.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.ContentLength = header, int64(len(forbiddenBody))
	r.Header.Set("Expect", "100-continue")
	r.Header.Set("X-Amz-Content-Sha256", hash)
	want := why.code
	switch when := time.Now().Add(why.at); {
	case presigned:
		if want = why.inURL; strings.HasPrefix(hash, "STREAMING-") {
			want = why.chunks
		}
		presign(t, h.g, r, why.cred, when)
		if why.spoil {
			r.URL.RawQuery = spoil(r.URL.RawQuery)
		}
	case why.cred.AccessKey != "":
		sign(t, h.g, r, why.cred, hash, when)
		if why.spoil {
			r.Header.Set("Authorization", spoil(r.Header.Get("Authorization")))
		}
	}
	res := h.g.Send(t, r)
	switch {
	case op.Method == http.MethodHead && (res.Status != 403 && res.Status != 400 || len(res.Body) > 0):
		t.Errorf("%s: status %d with %d bytes", what, res.Status, len(res.Body))
	case op.Method != http.MethodHead && res.Code() != want:
		t.Errorf("%s: %d %s, want %s", what, res.Status, res.Code(), want)
	}
	if body.touched {
		t.Errorf("%s: the body was asked for", what)
	}
}

// Places of a signature.
const (
	headerV2 = iota
	urlV2
)

// refuse2 is refuse with a signature of Version 2, which this gateway accepts.
// A URL that began in the future cannot be told from one that begins now.
func (h *household) refuse2(t *testing.T, op *api.Operation, why *refusal, hash string, place int) {
	t.Helper()
	if place == urlV2 && (why.inURL == "" || why.at > 0) || op.Scope == api.ControlScope {
		return // S3 Control never accepts it: TestVersion2IsForS3Alone
	}
	what := fmt.Sprintf("%s, %s, version 2, %q, place %d", op.Name, why.name, hash, place)
	target, header := h.example(op, false)
	body := &untouchable{}
	r, err := http.NewRequest(op.Method, h.g.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.ContentLength = header, int64(len(forbiddenBody))
	r.Header.Set("Expect", "100-continue")
	if hash != "" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	want := why.code
	if place == urlV2 {
		gatewaytest.PresignV2(t, r, why.cred, time.Now().Add(time.Hour+why.at))
		if want = why.inURL; why.spoil {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Signature=", "Signature=A", 1)
		}
	} else {
		gatewaytest.SignV2(r, why.cred, time.Now().Add(why.at))
		if why.spoil {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ":", ":A", 1))
		}
		if strings.HasPrefix(hash, "STREAMING-") && why.at == 0 {
			want = "InvalidRequest"
		}
	}
	res := h.g.Send(t, r)
	switch {
	case op.Method == http.MethodHead && (res.Status != 403 && res.Status != 400 || len(res.Body) > 0):
		t.Errorf("%s: status %d with %d bytes", what, res.Status, len(res.Body))
	case op.Method != http.MethodHead && res.Code() != want:
		t.Errorf("%s: %d %s, want %s", what, res.Status, res.Code(), want)
	}
	if body.touched {
		t.Errorf("%s: the body was asked for", what)
	}
}

// spoil changes the last digit of a signature.
func spoil(s string) string {
	last := byte('0')
	if s[len(s)-1] == last {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}
