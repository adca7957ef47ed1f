package sigv4

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/weakhash"
)

func verifier2(now time.Time) *Verifier {
	v := exampleVerifier()
	v.Version2, v.Now = Version2All, func() time.Time { return now }
	return v
}

// verify2Arrived is verifyArrived for a request whose Host names a bucket below a domain.
func verify2Arrived(v *Verifier, r *http.Request) (*Identity, error) {
	target, err := ParseTarget(r.RequestURI)
	if err != nil {
		return nil, err
	}
	target.HostBucket, _, _ = strings.Cut(r.Host, ".s3.")
	if target.HostBucket == r.Host {
		target.HostBucket = ""
	}
	return v.Verify(r, target)
}

// signature2 signs a text.
func signature2(text string) string {
	m := hmac.New(weakhash.NewSHA1, []byte(exampleSecret))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func auth2(signature string) string { return "Authorization: AWS " + exampleKey + ":" + signature }

// TestDocumentedExamples2 has the signatures of the page that describes Version
// 2. Its examples were made with a bucket johnsmith, which the page has renamed
// since. The example with x-amz-date is signed as the page's text says, not as
// the example shows.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
func TestDocumentedExamples2(t *testing.T) {
	const host, date = "johnsmith.s3.amazonaws.com", "Date: Tue, 27 Mar 2007 "
	for name, r := range map[string]*http.Request{
		"GET": arrived("GET", host, "/photos/puppy.jpg", date+"19:36:42 +0000", auth2("bWq2s1WEIj+Ydj0vQ697zp+IXMU=")),
		"PUT": arrived("PUT", host, "/photos/puppy.jpg", "Content-Type: image/jpeg", "Content-Length: 94328",
			date+"21:15:45 +0000", auth2("MyyxeRY7whkBe+bq8fHCL/2kKUg=")),
		"List": arrived("GET", host, "/?prefix=photos&max-keys=50&marker=puppy", "User-Agent: Mozilla/5.0",
			date+"19:42:41 +0000", auth2("htDYFYduRNen8P9ZfE/s9SuKy0U=")),
		"Fetch":       arrived("GET", host, "/?acl", date+"19:44:46 +0000", auth2("c2WLPFtWHVgbEmeEG93a4cG37dM=")),
		"ListBuckets": arrived("GET", "s3.amazonaws.com", "/", "Date: Wed, 28 Mar 2007 01:29:59 +0000", auth2("qGdzdERIC03wnaRNKh6OqZehG9s=")),
		"Unicode": arrived("GET", "s3.amazonaws.com", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
			"Date: Wed, 28 Mar 2007 01:49:49 +0000", auth2("DNEZGsoieTZ92F3bUfSPQcbGmlM=")),
		"Upload": arrived("PUT", "static.johnsmith.net.s3.test", "/db-backup.dat.gz", "User-Agent: curl/7.15.5", date+"21:06:08 +0000",
			"x-amz-acl: public-read", "content-type: application/x-download", "Content-MD5: 4gJE4saaMU4BqNR0kLY+lw==",
			"X-Amz-Meta-ReviewedBy: joe@johnsmith.net", "X-Amz-Meta-ReviewedBy: jane@johnsmith.net", "X-Amz-Meta-FileChecksum: 0x02661779",
			"X-Amz-Meta-ChecksumAlgorithm: crc32", "Content-Disposition: attachment; filename=database.dat", "Content-Encoding: gzip",
			"Content-Length: 5913339", auth2("ilyl83RwaSoYIEdixDQcA4OnAnc=")),
		"Delete": arrived("DELETE", "s3.amazonaws.com", "/johnsmith/photos/puppy.jpg", date+"21:20:27 +0000", "x-amz-date: Tue, 27 Mar 2007 21:20:26 +0000",
			auth2(signature2("DELETE\n\n\n\nx-amz-date:Tue, 27 Mar 2007 21:20:26 +0000\n/johnsmith/photos/puppy.jpg"))),
		"presigned": arrived("GET", host, "/photos/puppy.jpg?AWSAccessKeyId="+exampleKey+"&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"),
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1175139620, 0)
			if values := r.Header["Date"]; values != nil {
				var err error
				if now, err = time.Parse(time.RFC1123Z, values[0]); err != nil {
					t.Fatal(err)
				}
			}
			id, err := verify2Arrived(verifier2(now), r)
			if err != nil {
				t.Fatal(err)
			}
			if id.AccessKey != exampleKey || id.Version != Version2 || id.Presigned != (name == "presigned") ||
				id.Payload != Unsigned || id.Date.IsZero() != id.Presigned {
				t.Errorf("identity %+v", id)
			}
			_, err = verify2Arrived(exampleVerifier(), r)
			refused(t, err, s3err.InvalidRequest, messageUnsupported)
		})
	}
}

// TestOtherSigner2 verifies minio-go's signatures of random requests.
func TestOtherSigner2(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	parameters := []string{"acl", "delete", "uploads", "versionId=a%20b", "partNumber=7&uploadId=x%2By",
		"response-content-type=text%2Fplain%3B%20a", "prefix=x", "tagging"}
	for range 300 {
		r := randomRequest(t, rng)
		r.URL.RawPath = strings.ReplaceAll(r.URL.EscapedPath(), "%7E", "~")
		r.URL.RawQuery = parameters[rng.IntN(len(parameters))]
		r.URL.Path, _ = url.PathUnescape(r.URL.RawPath)
		for name, values := range r.Header { // net/http trims the values that it sends
			for i := range values {
				r.Header[name][i] = strings.TrimSpace(values[i])
			}
		}
		u := *r.URL
		if rng.IntN(2) == 0 {
			r = signer.SignV2(*r, exampleKey, exampleSecret, false)
		} else {
			r = signer.PreSignV2(*r, exampleKey, exampleSecret, 600, false)
			r.Header.Del("Expires")
			u.RawQuery = r.URL.RawQuery
		}
		r.URL = &u
		r = overWire(t, r)
		if _, err := verifyArrived(verifier2(time.Now()), r); err != nil {
			t.Fatalf("seed %d: %s %s %q: %+v", seed, r.Method, r.RequestURI, r.Header, err)
		}
	}
}

// signed2Request is a request as it arrives, with its signed text.
func signed2Request(method, target, text string, headers ...string) *http.Request {
	return arrived(method, "gateway.test:9000", target, append(headers, auth2(signature2(text)))...)
}

func presigned2(method, target, text string, expires time.Time, headers ...string) *http.Request {
	joint := "?"
	if strings.Contains(target, "?") {
		joint = "&"
	}
	target += joint + "AWSAccessKeyId=" + exampleKey + "&Expires=" + strconv.FormatInt(expires.Unix(), 10) + "&Signature=" + url.QueryEscape(signature2(text))
	return arrived(method, "gateway.test:9000", target, headers...)
}

const day2 = "Fri, 24 May 2013 00:00:00 GMT"

// TestMutations2 changes every byte of signed requests, one at a time.
// TestOpen2 has the parts that Version 2 does not sign.
func TestMutations2(t *testing.T) {
	expires := exampleTime.Add(time.Hour)
	epoch := strconv.FormatInt(expires.Unix(), 10)
	requests := map[string]*http.Request{
		"header": signed2Request("PUT", "/bucket/a%20key/../%C3%BC?acl&versionId=a%2Bb",
			"PUT\n4gJE4saaMU4BqNR0kLY+lw==\ntext/plain\n"+day2+"\nx-amz-meta-list:one,two\nx-amz-security-token:"+exampleToken+"\n/bucket/a%20key/../%C3%BC?acl&versionId=a+b",
			"Content-MD5: 4gJE4saaMU4BqNR0kLY+lw==", "Content-Type: text/plain", "Date: "+day2, "X-Amz-Meta-List: one", "x-amz-meta-list: two", "X-Amz-Security-Token: "+exampleToken),
		"x-amz-date": signed2Request("DELETE", "/bucket/key", "DELETE\n\n\n\nx-amz-date:"+day2+"\n/bucket/key", "x-amz-date: "+day2),
		"query": presigned2("GET", "/bucket/k%65y?response-content-type=text%2Fx%3B%20a&partNumber=1",
			"GET\n\n\n"+epoch+"\n/bucket/k%65y?partNumber=1&response-content-type=text/x; a", expires),
		"hoisted": presigned2("PUT", "/bucket/key?x-amz-acl=private&x-amz-meta-a=b%20c&x-amz-security-token="+url.QueryEscape(exampleToken),
			"PUT\n\ntext/plain\n"+epoch+"\nx-amz-acl:private\nx-amz-meta-a:b c\nx-amz-security-token:"+exampleToken+"\n/bucket/key", expires, "Content-Type: text/plain"),
	}
	tried := 0
	for name, signed := range requests {
		t.Run(name, func(t *testing.T) {
			v := verifier2(exampleTime)
			if _, err := verifyArrived(v, signed); err != nil {
				t.Fatal(err)
			}
			try := func(what string, edit func(r *http.Request)) {
				r := signed.Clone(t.Context())
				r.RequestURI = signed.RequestURI
				edit(r)
				tried++
				if id, err := verifyArrived(v, r); err == nil || id != nil {
					t.Errorf("accepted %s: %v", what, err)
				}
			}
			original, err := ParseTarget(signed.RequestURI)
			if err != nil {
				t.Fatal(err)
			}
			mutations(signed.RequestURI, func(m string) {
				if target, err := ParseTarget(m); err == nil && target.RawPath == original.RawPath && reflect.DeepEqual(target.Query, original.Query) {
					t.Fatalf("%s means the same target", m)
				}
				try("target "+m, func(r *http.Request) { r.RequestURI = m })
			})
			mutations(signed.Method, func(m string) { try("method "+m, func(r *http.Request) { r.Method = m }) })
			for name, values := range signed.Header {
				for i, value := range values {
					mutations(value, func(m string) { try(name+": "+m, func(r *http.Request) { r.Header[name][i] = m }) })
				}
				try("no "+name, func(r *http.Request) {
					if delete(r.Header, name); name == "Authorization" {
						r.Header[name] = []string{""}
					}
				})
				try("more "+name, func(r *http.Request) { r.Header.Add(name, "x") })
				if len(values) > 1 {
					try("other order of "+name, func(r *http.Request) { slices.Reverse(r.Header[name]) })
				}
			}
			for _, extra := range []string{"Content-Type", "Content-Md5", "X-Amz-Acl", "X-Amz-Copy-Source", "X-Amz-Anything", "X-Amz-Content-Sha256"} {
				try("a header more: "+extra, func(r *http.Request) { r.Header.Add(extra, emptySHA256) })
			}
			joint := "&"
			if !strings.Contains(signed.RequestURI, "?") {
				joint = "?"
			}
			for _, name := range append(slices.Concat(signed2, overrides2), "x-amz-acl", "X-AMZ-ACL", "x-amz-meta-z",
				"Signature", "AWSAccessKeyId", "X-Amz-Signature", "X-Amz-Algorithm", "x-amz-credential") {
				for _, form := range []string{name, name + "=", name + "=1", strings.Replace(name, "a", "%61", 1)} {
					try("a parameter more: "+form, func(r *http.Request) { r.RequestURI += joint + form })
				}
			}
			for _, bucket := range []string{"other", "bucket"} {
				target := original
				target.HostBucket = bucket
				if _, err := v.Verify(signed.Clone(t.Context()), target); err == nil {
					t.Errorf("accepted at the host of %s", bucket)
				}
			}
		})
	}
	if tried < 1300 {
		t.Errorf("only %d mutations", tried)
	}
}

// TestOpen2 lists the parts that Version 2 does not sign, so that their users
// know.
func TestOpen2(t *testing.T) {
	expires := exampleTime.Add(time.Hour)
	for _, more := range []string{"&prefix=x", "&ACL", "&max-keys=1", "&list-type=2", "&x-id=PutObject"} {
		r := presigned2("GET", "/bucket/", "GET\n\n\n"+strconv.FormatInt(expires.Unix(), 10)+"\n/bucket/", expires)
		r.RequestURI += more
		if _, err := verifyArrived(verifier2(exampleTime), r); err != nil {
			t.Errorf("%s: %v", more, err)
		}
		if name, _, _ := strings.Cut(more[1:], "="); SignedByVersion2(name) {
			t.Errorf("%s is said to be signed", name)
		}
	}
}

// TestBucketPath2: a bucket with and without a slash at the end is the same, in
// the request and in the signed text.
func TestBucketPath2(t *testing.T) {
	for target, want := range map[string]map[string]bool{
		"/b":        {"/b": true, "/b/": true, "/": false, "/b//": false, "/b/k": false},
		"/b?acl":    {"/b?acl": true, "/b/?acl": true, "/b": false, "/b/": false},
		"/b/":       {"/b/": true, "/b": false, "/b//": false},
		"/b/k":      {"/b/k": true, "/b/k/": false},
		"/":         {"/": true, "//": false},
		"/b?prefix": {"/b": true, "/b/": true},
		"/b%2Fk":    {"/b%2Fk": true, "/b%2Fk/": false},
	} {
		for resource, ok := range want {
			r := signed2Request("GET", target, "GET\n\n\n"+day2+"\n"+resource, "Date: "+day2)
			if _, err := verifyArrived(verifier2(exampleTime), r); (err == nil) != ok {
				t.Errorf("%s, signed as %s: %v", target, resource, err)
			}
		}
	}
}

// TestOneReading2: no two accepted requests have the same signed text.
func TestOneReading2(t *testing.T) {
	expires := exampleTime.Add(time.Hour)
	epoch := strconv.FormatInt(expires.Unix(), 10)
	get := func(resource string) string { return "GET\n\n\n" + epoch + "\n" + resource }
	for _, test := range []struct{ name, text, target string }{
		{"a version in the text of an override", get("/b/k?response-content-disposition=a&versionId=1"), "/b/k?response-content-disposition=a%26versionId%3D1"},
		{"a version beside an override", get("/b/k?response-content-disposition=a&versionId=1"), "/b/k?response-content-disposition=a&versionId=1"},
		{"tags beside an override", get("/b/k?response-expires=a&tagging"), "/b/k?response-expires=a&tagging"},
		{"tags in the text of an override", get("/b/k?response-expires=a&tagging"), "/b/k?response-expires=a%26tagging"},
		{"an override in that of another", get("/b/k?response-content-language=a&response-content-type=b"),
			"/b/k?response-content-language=a%26response-content-type%3Db"},
		{"an upload in a part's number", get("/b/k?partNumber=1&uploadId=2"), "/b/k?partNumber=1%26uploadId%3D2"},
		{"a parameter twice", get("/b/k?versionId=1&versionId=2"), "/b/k?versionId=1&versionId=2"},
		{"a name in capitals", get("/b/k?acl"), "/b/k?ACL"},
		{"a line end in a header", "GET\n\n\n" + epoch + "\nx-amz-meta-a:1\nx-amz-meta-b:2\n/b/k", "/b/k?x-amz-meta-a=1%0Ax-amz-meta-b:2"},
		{"a line end in a name", "GET\n\n\n" + epoch + "\nx-amz-meta-a:1\nx-amz-meta-b:2\n/b/k", "/b/k?x-amz-meta-a%3A1%0Ax-amz-meta-b=2"},
		{"a colon in a name", "GET\n\n\n" + epoch + "\nx-amz-meta-a:1:2\n/b/k", "/b/k?x-amz-meta-a%3A1=2"},
		{"a header in the query twice", "GET\n\n\n" + epoch + "\nx-amz-meta-a:1,2\n/b/k", "/b/k?x-amz-meta-a=1&x-amz-meta-a=2"},
		{"a header in two cases", "GET\n\n\n" + epoch + "\nx-amz-meta-a:1,2\n/b/k", "/b/k?x-amz-meta-a=1&X-Amz-Meta-A=2"},
		{"an escape of another case", get("/b/%c3%a9"), "/b/%C3%A9"},
		{"an escape of a letter", get("/b/key"), "/b/k%65y"},
		{"an escaped question mark", get("/b/k?acl"), "/b/k%3Facl"},
		{"an escaped slash", get("/b/a/b"), "/b/a%2Fb"},
	} {
		r := presigned2("GET", test.target, test.text, expires)
		if id, err := verifyArrived(verifier2(exampleTime), r); err == nil {
			t.Errorf("%s: accepted %+v", test.name, id)
		}
	}
	for name, target := range map[string]string{
		"?acl":                     "/b/k?acl",
		"?acl=":                    "/b/k?acl=",
		"an escaped name":          "/b/k?%61cl",
		"an ampersand in its text": "/b/k?response-content-disposition=a%26b%3Dc",
		"several overrides":        "/b/k?response-content-type=t&response-content-disposition=a",
	} {
		text := map[string]string{"an ampersand in its text": "/b/k?response-content-disposition=a&b=c",
			"several overrides": "/b/k?response-content-disposition=a&response-content-type=t"}[name]
		if text == "" {
			text = "/b/k?acl"
		}
		if _, err := verifyArrived(verifier2(exampleTime), presigned2("GET", target, get(text), expires)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A request with its signature in the header is not passed on to others.
	r := signed2Request("GET", "/b/k?response-content-disposition=a&versionId=1",
		"GET\n\n\n"+day2+"\n/b/k?response-content-disposition=a&versionId=1", "Date: "+day2)
	if _, err := verifyArrived(verifier2(exampleTime), r); err != nil {
		t.Error(err)
	}
}

func TestRefused2(t *testing.T) {
	expires := exampleTime.Add(time.Hour)
	epoch := strconv.FormatInt(expires.Unix(), 10)
	header := func() *http.Request {
		return signed2Request("GET", "/b/k", "GET\n\n\n"+day2+"\n/b/k", "Date: "+day2)
	}
	query := func() *http.Request { return presigned2("GET", "/b/k", "GET\n\n\n"+epoch+"\n/b/k", expires) }
	until := func(text string) func() *http.Request {
		return func() *http.Request {
			return arrived("GET", "gateway.test",
				"/b/k?AWSAccessKeyId="+exampleKey+"&Expires="+url.QueryEscape(text)+"&Signature="+url.QueryEscape(signature2("GET\n\n\n"+text+"\n/b/k")))
		}
	}
	for _, good := range []func() *http.Request{header, query} {
		if _, err := verifyArrived(verifier2(exampleTime), good()); err != nil {
			t.Fatal(err)
		}
	}
	week := exampleTime.Add(MaxPresignExpiry)
	for _, test := range []struct {
		name    string
		request func() *http.Request
		edit    func(r *http.Request)
		code    s3err.Code
		message string
	}{
		{"no colon", header, func(r *http.Request) { r.Header.Set("Authorization", "AWS "+exampleKey) }, s3err.InvalidArgument, "Expected AwsAccessKeyId:signature"},
		{"no key", header, func(r *http.Request) { r.Header.Set("Authorization", "AWS :c2ln") }, s3err.InvalidArgument, "Expected AwsAccessKeyId:signature"},
		{"no signature", header, func(r *http.Request) { r.Header.Set("Authorization", "AWS "+exampleKey+":") },
			s3err.InvalidArgument, "Expected AwsAccessKeyId:signature"},
		{"lower case", header, func(r *http.Request) { replaceAuth(r, "AWS", "aws") }, s3err.InvalidArgument, "Unsupported Authorization Type"},
		{"unknown key", header, func(r *http.Request) { replaceAuth(r, exampleKey, "AKIAOTHER") }, s3err.InvalidAccessKeyID, ""},
		{"bad signature", header, func(r *http.Request) {
			r.Header.Set("Authorization", "AWS "+exampleKey+":AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		}, s3err.SignatureDoesNotMatch, ""},
		{"no date", header, func(r *http.Request) { r.Header.Del("Date") }, s3err.AccessDenied, "Date or x-amz-date"},
		{"two dates", header, func(r *http.Request) { r.Header.Add("Date", day2) }, s3err.AccessDenied, "Date or x-amz-date"},
		{"no date at all", header, func(r *http.Request) { r.Header.Set("Date", epoch) }, s3err.AccessDenied, "Date or x-amz-date"},
		{"token", header, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }, s3err.InvalidToken, ""},
		{"two tokens", header, func(r *http.Request) { r.Header["X-Amz-Security-Token"] = []string{exampleToken, exampleToken} }, s3err.InvalidToken, ""},
		{"token not signed", header, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", exampleToken) }, s3err.SignatureDoesNotMatch, ""},
		{"header in the query", header, func(r *http.Request) { r.RequestURI += "?x-amz-acl=public-read" }, s3err.AccessDenied, "not signed"},
		{"token in the query", header, func(r *http.Request) { r.RequestURI += "?X-Amz-Security-Token=t" }, s3err.InvalidArgument, "Only one auth mechanism"},
		{"both versions, header and query", header, func(r *http.Request) { r.RequestURI = query().RequestURI }, s3err.InvalidArgument, "Only one auth mechanism"},
		{"both versions, in the query", query, func(r *http.Request) { r.RequestURI += "&X-Amz-Signature=0" }, s3err.InvalidArgument, "Only one auth mechanism"},
		{"a date of version 4 in the query", query, func(r *http.Request) { r.RequestURI += "&x-amz-date=20130524T000000Z" },
			s3err.InvalidArgument, "Only one auth mechanism"},
		{"chunks", header, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", payloadNames[StreamingSigned]) }, s3err.InvalidRequest, "aws-chunked"},
		{"unsigned chunks", header, func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", payloadNames[StreamingUnsignedTrailer])
		}, s3err.InvalidRequest, "aws-chunked"},
		{"no key in the query", query, func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "AWSAccessKeyId", "x", 1) }, s3err.AccessDenied,
			messageParts2},
		{"no signature in the query", query, func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "Signature", "x", 1) },
			s3err.AccessDenied, messageParts2},
		{"no end", query, func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "Expires", "expires", 1) }, s3err.AccessDenied, messageParts2},
		{"two ends", query, func(r *http.Request) { r.RequestURI += "&Expires=" + epoch }, s3err.AccessDenied, messageParts2},
		{"two signatures", query, func(r *http.Request) { r.RequestURI += "&Signature=x" }, s3err.AccessDenied, messageParts2},
		{"a day", until(day2), nil, s3err.AccessDenied, "seconds since epoch"},
		{"a sign", until("+" + epoch), nil, s3err.AccessDenied, "seconds since epoch"},
		{"blank", until(" " + epoch), nil, s3err.AccessDenied, "seconds since epoch"},
		{"negative", until("-1"), nil, s3err.AccessDenied, "seconds since epoch"},
		{"fraction", until(epoch + ".5"), nil, s3err.AccessDenied, "seconds since epoch"},
		{"overflow", until("18446744073709551616"), nil, s3err.AccessDenied, "seconds since epoch"},
		{"year 10000", until("253402300800"), nil, s3err.AccessDenied, "seconds since epoch"},
		{"year 9999", until("253402300799"), nil, s3err.AccessDenied, "less than a week"},
		{"zero", until("0"), nil, s3err.AccessDenied, "expired"},
		{"a second ago", until(strconv.FormatInt(exampleTime.Unix()-1, 10)), nil, s3err.AccessDenied, "expired"},
		{"more than a week", until(strconv.FormatInt(week.Add(DefaultMaxSkew+time.Second).Unix(), 10)), nil, s3err.AccessDenied, "less than a week"},
		{"two tokens, header and query", query, func(r *http.Request) {
			r.RequestURI += "&x-amz-security-token=" + url.QueryEscape(exampleToken)
			r.Header.Set("X-Amz-Security-Token", exampleToken)
		}, s3err.InvalidToken, ""},
		{"empty token", query, func(r *http.Request) { r.RequestURI += "&x-amz-security-token=" }, s3err.InvalidToken, ""},
		{"header twice", query, func(r *http.Request) {
			r.RequestURI += "&x-amz-acl=private"
			r.Header.Set("X-Amz-Acl", "public-read")
		}, s3err.InvalidArgument, "cannot be given in the query"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.request()
			if test.edit != nil {
				test.edit(r)
			}
			_, err := verifyArrived(verifier2(exampleTime), r)
			refused(t, err, test.code, test.message)
		})
	}
	for _, at := range []time.Time{exampleTime, week, week.Add(DefaultMaxSkew)} {
		if _, err := verifyArrived(verifier2(exampleTime), until(strconv.FormatInt(at.Unix(), 10))()); err != nil {
			t.Errorf("until %s: %v", at, err)
		}
	}
	for skew, ok := range map[time.Duration]bool{0: true, 15 * time.Minute: true, -15 * time.Minute: true, 15*time.Minute + time.Second: false,
		-15*time.Minute - time.Second: false} {
		if _, err := verifyArrived(verifier2(exampleTime.Add(skew)), header()); (err == nil) != ok {
			t.Errorf("%s away: %v", skew, err)
		}
	}
}

// TestPlaces2: each value of the setting accepts Version 2 in exactly its
// places.
func TestPlaces2(t *testing.T) {
	expires := exampleTime.Add(time.Hour)
	header := signed2Request("GET", "/b/k", "GET\n\n\n"+day2+"\n/b/k", "Date: "+day2)
	query := presigned2("GET", "/b/k", "GET\n\n\n"+strconv.FormatInt(expires.Unix(), 10)+"\n/b/k", expires)
	for use, want := range map[Version2Use][3]bool{Version2Off: {false, false, false}, Version2Presigned: {false, true, true}, Version2All: {true, true, true}} {
		v := verifier2(exampleTime)
		v.Version2, v.Refusal2 = use, "Do something else."
		var got [3]bool
		_, err1 := verifyArrived(v, header)
		_, err2 := verifyArrived(v, query)
		_, err3 := v.VerifyPolicy(t.Context(), policy2())
		for i, err := range []error{err1, err2, err3} {
			if got[i] = err == nil; err != nil {
				refused(t, err, s3err.InvalidRequest, messageUnsupported+" Do something else.")
			}
		}
		if got != want {
			t.Errorf("%d takes %v, want %v", use, got, want)
		}
	}
	if _, _, ok := Claimed(header.Header, nil); ok {
		t.Error("version 2 claims a key where it is never taken")
	}
	v := verifier2(exampleTime)
	v.Version2 = Version2Off
	target, err := ParseTarget(header.RequestURI)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.VerifyForm(header, target, nil)
	refused(t, err, s3err.InvalidRequest, messageUnsupported)
}

func policy2() Policy {
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2013-05-25T00:00:00Z","conditions":[]}`))
	return Policy{Version2: true, Policy: policy, AccessKey2: exampleKey, Signature2: signer.PostPresignSignatureV2(policy, exampleSecret)}
}

func TestVerifyPolicy2(t *testing.T) {
	v := verifier2(exampleTime)
	id, err := v.VerifyPolicy(context.Background(), policy2())
	if err != nil || id.AccessKey != exampleKey || id.Payload != Unsigned || id.Version != Version2 {
		t.Fatalf("%+v, %v", id, err)
	}
	for name, test := range map[string]struct {
		edit    func(p *Policy)
		code    s3err.Code
		message string
	}{
		"no policy":     {func(p *Policy) { p.Policy = "" }, s3err.InvalidArgument, "'policy'"},
		"no signature":  {func(p *Policy) { p.Signature2 = "" }, s3err.InvalidArgument, "'signature'"},
		"no key":        {func(p *Policy) { p.AccessKey2 = "" }, s3err.InvalidArgument, "'AWSAccessKeyId'"},
		"algorithm":     {func(p *Policy) { p.Algorithm = algorithm }, s3err.InvalidArgument, "Only one auth mechanism"},
		"credential":    {func(p *Policy) { p.Credential = exampleScope }, s3err.InvalidArgument, "Only one auth mechanism"},
		"date":          {func(p *Policy) { p.Date = "20130524T000000Z" }, s3err.InvalidArgument, "Only one auth mechanism"},
		"other":         {func(p *Policy) { p.Signature = "0" }, s3err.InvalidArgument, "Only one auth mechanism"},
		"unknown key":   {func(p *Policy) { p.AccessKey2 = "AKIAOTHER" }, s3err.InvalidAccessKeyID, ""},
		"token":         {func(p *Policy) { p.SecurityToken = "t" }, s3err.InvalidToken, ""},
		"other policy":  {func(p *Policy) { p.Policy += "Cg==" }, s3err.SignatureDoesNotMatch, ""},
		"bad signature": {func(p *Policy) { p.Signature2 = p.Signature2[:27] + "A" }, s3err.SignatureDoesNotMatch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy2()
			test.edit(&p)
			_, err := v.VerifyPolicy(context.Background(), p)
			refused(t, err, test.code, test.message)
		})
	}
	mutations(policy2().Signature2, func(m string) {
		p := policy2()
		p.Signature2 = m
		if _, err := v.VerifyPolicy(context.Background(), p); err == nil {
			t.Errorf("accepted signature %q", m)
		}
	})
}

// TestPayload2: the body is not signed, but a signed header about it counts.
func TestPayload2(t *testing.T) {
	r := signed2Request("PUT", "/b/k", "PUT\n\n\n"+day2+"\nx-amz-content-sha256:"+emptySHA256+"\n/b/k", "Date: "+day2, "x-amz-content-sha256: "+emptySHA256)
	id, err := verifyArrived(verifier2(exampleTime), r)
	if err != nil || id.Payload != Signed || id.ContentSHA256() != emptySHA256 {
		t.Fatalf("%+v, %v", id, err)
	}
}

func TestMismatch2(t *testing.T) {
	r := signed2Request("GET", "/b/k", "x", "Date: "+day2)
	_, err := verifyArrived(verifier2(exampleTime), r)
	refused(t, err, s3err.SignatureDoesNotMatch, "", "StringToSign=GET\n\n\n"+day2+"\n/b/k", "AWSAccessKeyId="+exampleKey, "SignatureProvided="+signature2("x"))
	r.Header.Set("X-Amz-Server-Side-Encryption-Customer-Key", "c2VjcmV0")
	_, err = verifyArrived(verifier2(exampleTime), r)
	if text := fmt.Sprint(s3err.From(err).Fields); strings.Contains(text, "c2VjcmV0") {
		t.Errorf("the customer's key is in %s", text)
	}
	expires := exampleTime.Add(time.Hour)
	r = presigned2("GET", "/b/k", "x", expires)
	_, err = verifyArrived(verifier2(exampleTime), r)
	refused(t, err, s3err.SignatureDoesNotMatch, "")
	if text := fmt.Sprint(s3err.From(err).Fields); strings.Contains(text, signature2("x")) {
		t.Errorf("the presigned URL's signature is in %s", text)
	}
}
