package sigv4

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
)

// signedGet returns a GET as it arrives, signed in its header after edit.
func signedGet(t testing.TB, region, service string, at time.Time, edit func(r *http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "GET", "http://gateway.test:9000/bucket/key?versionId=null", nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(r)
	}
	if err := Sign(r, exampleKey, exampleSecret, region, service, emptySHA256, at); err != nil {
		t.Fatal(err)
	}
	return overWire(t, r)
}

// presignedGet returns a GET as it arrives, signed in its query.
func presignedGet(t testing.TB, region, service string, at time.Time, expires time.Duration) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "GET", "http://gateway.test:9000/bucket/key?versionId=null", nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := Presign(r, exampleKey, exampleSecret, region, service, expires, at)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = http.NewRequest("GET", u, nil); err != nil {
		t.Fatal(err)
	}
	return overWire(t, r)
}

// refused checks an error's code, a part of its message, and fields "name=value".
func refused(t *testing.T, err error, code s3err.Code, message string, fields ...string) {
	t.Helper()
	e := s3err.From(err)
	if e == nil || e.Code != code {
		t.Fatalf("error %v, want %s", err, string(code))
	}
	text := e.Message
	if text == "" {
		text = e.Code.Message()
	}
	if !strings.Contains(text, message) {
		t.Errorf("message %q, want %q in it", text, message)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		if !slices.Contains(e.Fields, s3err.Field{Name: name, Value: value}) {
			t.Errorf("fields %q, want %s", e.Fields, f)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v %q", err, e.Fields), exampleSecret) {
		t.Error("the error holds the secret")
	}
}

// replaceAuth edits the Authorization header.
func replaceAuth(r *http.Request, from, to string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
}

func TestRefusedHeaderForm(t *testing.T) {
	const malformed, argument = s3err.AuthorizationHeaderMalformed, s3err.InvalidArgument
	now := exampleTime
	for _, test := range []struct {
		name    string
		edit    func(r *http.Request)
		code    s3err.Code
		message string
		fields  []string
	}{
		{"SigV2", func(r *http.Request) { r.Header.Set("Authorization", "AWS AKID:c2ln") }, s3err.InvalidRequest, "Please use AWS4-HMAC-SHA256.", nil},
		{"SigV4A", func(r *http.Request) { replaceAuth(r, algorithm, algorithmA) }, s3err.InvalidRequest, "Please use AWS4-HMAC-SHA256.", nil},
		{"basic", func(r *http.Request) { r.Header.Set("Authorization", "Basic YTpi") }, argument,
			"Unsupported Authorization Type", []string{"ArgumentName=Authorization"}},
		{"empty", func(r *http.Request) { r.Header.Set("Authorization", "") }, argument, "one and only one ' '", nil},
		{"twice", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, argument, "Only one auth mechanism", nil},
		{"no signature", func(r *http.Request) { replaceAuth(r, ", Signature=", ", Sig=") }, malformed, "three components", nil},
		{"empty signature", func(r *http.Request) {
			auth := r.Header.Get("Authorization")
			r.Header.Set("Authorization", auth[:strings.Index(auth, "Signature=")+len("Signature=")])
		}, malformed, "missing Signature.", nil},
		{"component twice", func(r *http.Request) { replaceAuth(r, "Signature=", "SignedHeaders=host, Signature=") }, malformed, "three components", nil},
		{"short credential", func(r *http.Request) { replaceAuth(r, "/s3/aws4_request", "/aws4_request") }, malformed, "expecting", nil},
		{"empty access key", func(r *http.Request) { replaceAuth(r, exampleKey, "") }, malformed, "non-empty Access Key", nil},
		{"date form", func(r *http.Request) { replaceAuth(r, "20130524/", "2013-05-24/") }, malformed, `"yyyyMMdd"`, nil},
		{"other date", func(r *http.Request) { replaceAuth(r, "20130524/", "20130525/") }, malformed, "not the same as X-Amz-Date", nil},
		{"region", func(r *http.Request) { replaceAuth(r, "us-east-1", "eu-west-1") }, malformed,
			"the region 'eu-west-1' is wrong; expecting 'us-east-1'", []string{"Region=us-east-1"}},
		{"service", func(r *http.Request) { replaceAuth(r, "/s3/", "/ec2/") }, malformed, `incorrect service "ec2". This endpoint belongs to "s3".`, nil},
		{"terminator", func(r *http.Request) { replaceAuth(r, "aws4_request", "aws5_request") }, malformed, `incorrect terminal "aws5_request"`, nil},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, s3err.AccessDenied, "Date or x-amz-date", nil},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Amz-Date", "20130524T000000Z") }, s3err.AccessDenied, "Date or x-amz-date", nil},
		{"bad date", func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, s3err.AccessDenied, "Date or x-amz-date", nil},
		{"token", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", exampleToken) }, s3err.AccessDenied,
			"not signed", []string{"HeadersNotSigned=x-amz-security-token"}},
		{"two tokens", func(r *http.Request) { r.Header["X-Amz-Security-Token"] = []string{exampleToken, exampleToken} }, s3err.InvalidToken, "", nil},
		{"empty token", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "") }, s3err.InvalidToken, "", nil},
		{"no payload hash", func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, s3err.InvalidRequest,
			"Missing required header for this request: x-amz-content-sha256", nil},
		{"bad payload hash", func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
		}, argument, "x-amz-content-sha256 must be", []string{"ArgumentName=x-amz-content-sha256"}},
		{"payload hash of 63 digits", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", emptySHA256[1:]) }, argument, "x-amz-content-sha256 must be", nil},
		{"two payload hashes", func(r *http.Request) { r.Header.Add("X-Amz-Content-Sha256", emptySHA256) }, argument, "x-amz-content-sha256 must be", nil},
		{"unsigned headers", func(r *http.Request) {
			r.Header.Set("X-Amz-Copy-Source", "/other/key")
			r.Header.Set("x-amz-acl", "public-read")
		}, s3err.AccessDenied, "There were headers present in the request which were not signed", []string{"HeadersNotSigned=x-amz-acl, x-amz-copy-source"}},
		{"host not signed", func(r *http.Request) { replaceAuth(r, "SignedHeaders=host;", "SignedHeaders=") },
			s3err.AccessDenied, "not signed", []string{"HeadersNotSigned=host"}},
		{"capital among signed headers", func(r *http.Request) { replaceAuth(r, "SignedHeaders=host;", "SignedHeaders=Host;") }, malformed, "lower case", nil},
		{"signed header twice", func(r *http.Request) { replaceAuth(r, "SignedHeaders=host;", "SignedHeaders=host;host;") }, argument, "twice", nil},
		{"signed headers without end", func(r *http.Request) {
			replaceAuth(r, "SignedHeaders=", "SignedHeaders="+strings.Repeat("a;", MaxSignedHeaders))
		}, malformed, "SignedHeaders", nil},
		{"unknown access key", func(r *http.Request) { replaceAuth(r, exampleKey, "AKIAUNKNOWN") }, s3err.InvalidAccessKeyID,
			"", []string{"AWSAccessKeyId=AKIAUNKNOWN"}},
		{"long access key", func(r *http.Request) { replaceAuth(r, exampleKey, strings.Repeat("A", 200)) }, s3err.InvalidAccessKeyID, "", nil},
		{"another method", func(r *http.Request) { r.Method = "DELETE" }, s3err.SignatureDoesNotMatch, "", []string{"AWSAccessKeyId=" + exampleKey}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := signedGet(t, "us-east-1", "s3", now, nil)
			test.edit(r)
			id, err := verifyArrived(exampleVerifier(), r)
			refused(t, err, test.code, test.message, test.fields...)
			if id != nil {
				t.Error("an identity beside an error")
			}
		})
	}
}

func TestRefusedQueryForm(t *testing.T) {
	const query = s3err.AuthorizationQueryParametersError
	for _, test := range []struct {
		name, from, to string
		code           s3err.Code
		message        string
		fields         []string
	}{
		{"no algorithm", "X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", query, "requires the X-Amz-Algorithm", nil},
		{"misspelt parameter", "X-Amz-Signature=", "x-amz-signature=", query, "requires the X-Amz-Algorithm", nil},
		{"parameter twice", "X-Amz-Expires=", "X-Amz-Expires=1&X-Amz-Expires=", query, "requires the X-Amz-Algorithm", nil},
		{"algorithm", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", query, `only supports "AWS4-HMAC-SHA256"`, nil},
		{"credential", "%2Faws4_request", "", query, "Credential is mal-formed", nil},
		{"region", "us-east-1", "eu-west-1", query, "the region 'eu-west-1' is wrong", []string{"Region=us-east-1"}},
		{"service", "%2Fs3%2F", "%2Fec2%2F", query, "incorrect service", nil},
		{"terminator", "aws4_request", "aws3_request", query, "incorrect terminal", nil},
		{"other date", "%2F20130524%2F", "%2F20130523%2F", query, "This date is not the same as X-Amz-Date", nil},
		{"date form", "20130524T000000Z", "20130524T000000.0Z", query, "ISO8601 Long Format", nil},
		{"expires is a word", "Expires=60", "Expires=soon", query, "should be a number", nil},
		{"expires with a plus", "Expires=60", "Expires=%2B60", query, "should be a number", nil},
		{"expires after a space", "Expires=60", "Expires=+60", query, "should be a number", nil},
		{"expires before a space", "Expires=60", "Expires=60%20", query, "should be a number", nil},
		{"expires in two groups", "Expires=60", "Expires=6_0", query, "should be a number", nil},
		{"expires in hexadecimal", "Expires=60", "Expires=0x3c", query, "should be a number", nil},
		{"expires with a fraction", "Expires=60", "Expires=60.0", query, "should be a number", nil},
		{"expires in other digits", "Expires=60", "Expires=%D9%A6%D9%A0", query, "should be a number", nil},
		{"expires beyond all numbers", "Expires=60", "Expires=99999999999999999999", query, "should be a number", nil},
		{"expires is negative", "Expires=60", "Expires=-1", query, "must be non-negative", nil},
		{"expires at once", "Expires=60", "Expires=0", query, "at least 1 second", nil},
		{"expires too late", "Expires=60", "Expires=604801", query, "less than a week", nil},
		{"token", "X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Security-Token=t", s3err.InvalidToken, "", nil},
		{"token added", "X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Security-Token=" + exampleToken, s3err.SignatureDoesNotMatch, "", nil},
		{"two tokens", "X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Security-Token=a&X-Amz-Security-Token=b", s3err.InvalidToken, "", nil},
		{"SigV2 too", "X-Amz-Expires=60", "X-Amz-Expires=60&Signature=s", s3err.InvalidArgument, "Only one auth mechanism", nil},
		{"chunked", "X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Content-Sha256=STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			s3err.InvalidRequest, "x-amz-content-sha256", nil},
		{"payload hash", "X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Content-Sha256=nonsense", s3err.InvalidArgument, "x-amz-content-sha256", nil},
		{"no host", "SignedHeaders=host", "SignedHeaders=range", s3err.AccessDenied, "not signed", []string{"HeadersNotSigned=host"}},
		{"another version", "versionId=null", "versionId=x", s3err.SignatureDoesNotMatch, "", nil},
		{"a parameter more", "versionId=null", "versionId=null&tagging", s3err.SignatureDoesNotMatch, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := presignedGet(t, "us-east-1", "s3", exampleTime, time.Minute)
			if !strings.Contains(r.RequestURI, test.from) {
				t.Fatalf("no %s in %s", test.from, r.RequestURI)
			}
			r.RequestURI = strings.Replace(r.RequestURI, test.from, test.to, 1)
			_, err := verifyArrived(exampleVerifier(), r)
			refused(t, err, test.code, test.message, test.fields...)
		})
	}
}

func TestCredentialPlaces(t *testing.T) {
	if _, err := verifyArrived(exampleVerifier(), arrived("GET", "h", "/bucket/key?acl&X-Amz-Meta=1")); err != ErrAnonymous {
		t.Errorf("no credentials: %v", err)
	}
	_, err := verifyArrived(exampleVerifier(), arrived("GET", "h", "/b/k?AWSAccessKeyId=AKID&Expires=1&Signature=c2ln"))
	refused(t, err, s3err.InvalidRequest, messageUnsupported)

	both := presignedGet(t, "us-east-1", "s3", exampleTime, time.Minute)
	both.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a")
	_, err = verifyArrived(exampleVerifier(), both)
	refused(t, err, s3err.InvalidArgument, "Only one auth mechanism allowed", "ArgumentName=Authorization")

	added := presignedGet(t, "us-east-1", "s3", exampleTime, time.Minute)
	added.Header.Set("X-Amz-Copy-Source", "/bucket/secret")
	_, err = verifyArrived(exampleVerifier(), added)
	refused(t, err, s3err.AccessDenied, "not signed", "HeadersNotSigned=x-amz-copy-source")
}

func TestTimes(t *testing.T) {
	const week = MaxPresignExpiry
	for _, test := range []struct {
		name      string
		presigned time.Duration // 0: header
		offset    time.Duration // of the server's clock
		code      s3err.Code
		message   string
	}{
		{"header now", 0, 0, "", ""},
		{"header at the edge, late", 0, DefaultMaxSkew, "", ""},
		{"header at the edge, early", 0, -DefaultMaxSkew, "", ""},
		{"header late", 0, DefaultMaxSkew + time.Second, s3err.RequestTimeTooSkewed, ""},
		{"header early", 0, -DefaultMaxSkew - time.Second, s3err.RequestTimeTooSkewed, ""},
		{"header years off", 0, 200 * 365 * 24 * time.Hour, s3err.RequestTimeTooSkewed, ""},
		{"presigned at its end", week, week, "", ""},
		{"presigned after its end", week, week + time.Second, s3err.AccessDenied, "Request has expired"},
		{"presigned within skew", time.Second, -DefaultMaxSkew, "", ""},
		{"presigned too early", time.Second, -DefaultMaxSkew - time.Second, s3err.AccessDenied, "not valid yet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := exampleVerifier()
			v.Now = func() time.Time { return exampleTime.Add(test.offset) }
			r := signedGet(t, "us-east-1", "s3", exampleTime, nil)
			if test.presigned > 0 {
				r = presignedGet(t, "us-east-1", "s3", exampleTime, test.presigned)
			}
			_, err := verifyArrived(v, r)
			switch test.code {
			case "":
				if err != nil {
					t.Error(err)
				}
			case s3err.RequestTimeTooSkewed:
				refused(t, err, test.code, "", "RequestTime=20130524T000000Z", "MaxAllowedSkewMilliseconds=900000",
					"ServerTime="+v.Now().Format(time.RFC3339))
			default:
				refused(t, err, test.code, test.message, "ServerTime="+v.Now().Format(time.RFC3339))
			}
		})
	}
}

// TestDateHeader signs with Date alone, in each form that is accepted.
func TestDateHeader(t *testing.T) {
	for _, form := range []string{stampForm, http.TimeFormat, time.RFC1123Z, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		r := arrived("GET", "gateway.test", "/bucket/key", "Date: "+exampleTime.Format(form), "x-amz-content-sha256: "+unsignedPayload)
		c := newClaim(inHeader, exampleKey, "us-east-1", "s3", exampleTime)
		c.signedHeaders = "date;host;x-amz-content-sha256"
		key := deriveKey(exampleSecret, c.scope)
		canonical := canonicalRequest(r, Target{Path: "/bucket/key"}, c, strings.Split(c.signedHeaders, ";"), unsignedPayload)
		r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s",
			exampleScope, c.signedHeaders, signature(&key, stringToSign(c, canonical))))
		if _, err := verifyArrived(exampleVerifier(), r); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// TestOddDates refuses dates in other forms, although they are correctly
// signed.
func TestOddDates(t *testing.T) {
	for _, stamp := range []string{
		"20130524T000000.0Z", "20130524T000000,0Z", "20130524T000000Z ", "20130524t000000Z", "2013-05-24T00:00:00Z", "20130524T0000Z",
		"Fri, 24 May 2013 00:00:00 UTC", "Fri, 24 May 2013 0:00:00 GMT", "fri, 24 may 2013 00:00:00 gmt", "Sat, 24 May 2013 00:00:00 GMT",
		"Friday, 24-May-13 00:00:00 EST", "Fri, 24 May 2013 00:00:00.5 GMT", "1369353600",
	} {
		r := arrived("GET", "gateway.test", "/bucket/key", "Date: "+stamp, "x-amz-content-sha256: "+unsignedPayload)
		r.Header["Date"] = []string{stamp}
		c := newClaim(inHeader, exampleKey, "us-east-1", "s3", exampleTime)
		c.signedHeaders = "date;host;x-amz-content-sha256"
		key := deriveKey(exampleSecret, c.scope)
		canonical := canonicalRequest(r, Target{Path: "/bucket/key"}, c, strings.Split(c.signedHeaders, ";"), unsignedPayload)
		r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s",
			exampleScope, c.signedHeaders, signature(&key, stringToSign(c, canonical))))
		_, err := verifyArrived(exampleVerifier(), r)
		if e := s3err.From(err); e == nil || e.Code != s3err.AccessDenied || e.Message != messageNoDate {
			t.Errorf("%q: %v", stamp, err)
		}
	}
}

func TestLookupFailures(t *testing.T) {
	r := signedGet(t, "us-east-1", "s3", exampleTime, nil)
	v := exampleVerifier()
	down := errors.New("store is down")
	v.Lookup = func(context.Context, string, string) (string, error) { return "", down }
	if _, err := verifyArrived(v, r); !errors.Is(err, down) || s3err.From(err).Code != s3err.InternalError {
		t.Errorf("store down: %v", err)
	}
	v.Lookup = func(context.Context, string, string) (string, error) { return "", nil }
	if _, err := verifyArrived(v, r); s3err.From(err).Code != s3err.InternalError {
		t.Errorf("empty secret: %v", err)
	}

	// A request signed with the stand-in for unknown secrets is still refused.
	forged, _ := http.NewRequest("GET", "http://gateway.test/", nil)
	if err := Sign(forged, "AKIAUNKNOWN", dummySecret, "us-east-1", "s3", emptySHA256, exampleTime); err != nil {
		t.Fatal(err)
	}
	_, err := verifyArrived(exampleVerifier(), overWire(t, forged))
	refused(t, err, s3err.InvalidAccessKeyID, "")
}

func TestRegions(t *testing.T) {
	r := signedGet(t, "mars-1", "s3", exampleTime, nil)
	v := exampleVerifier()
	v.AnyRegion = true
	if id, err := verifyArrived(v, r); err != nil || id.Scope.Region != "mars-1" {
		t.Errorf("any region: %v", err)
	}
	for _, made := range []string{"", "minio.example.com:9000", "[::1]:9000", "Mars"} {
		if id, err := verifyArrived(v, signedGet(t, made, "s3", exampleTime, nil)); err != nil || id.Scope.Region != made {
			t.Errorf("region %q: %v", made, err)
		}
	}
	replaceAuth(r, "mars-1", strings.Repeat("m", maxRegionBytes+1))
	_, err := verifyArrived(v, r)
	refused(t, err, s3err.AuthorizationHeaderMalformed, "region")
	v = exampleVerifier()
	v.Regions = []string{"mars-1", "mars-2"}
	for region, ok := range map[string]bool{"us-east-1": true, "mars-1": true, "mars-2": true, "mars-3": false, "": false,
		"mars-1,mars-2": false, "MARS-1": false} {
		if _, err := verifyArrived(v, signedGet(t, region, "s3", exampleTime, nil)); (err == nil) != ok {
			t.Errorf("region %q: %v", region, err)
		}
	}
	_, err = verifyArrived(&Verifier{Now: v.Now, Lookup: v.Lookup}, signedGet(t, "us-east-1", "s3", exampleTime, nil))
	refused(t, err, s3err.AuthorizationHeaderMalformed, "region")
}

func TestMismatchFields(t *testing.T) {
	fields := func(err error) map[string]string {
		m := map[string]string{}
		for _, f := range s3err.From(err).Fields {
			m[f.Name] = f.Value
		}
		return m
	}
	r := signedGet(t, "us-east-1", "s3", exampleTime, nil)
	r.Method = "HEAD"
	_, err := verifyArrived(exampleVerifier(), r)
	f := fields(err)
	if !strings.HasPrefix(f["CanonicalRequest"], "HEAD\n/bucket/key\nversionId=null\nhost:") ||
		!strings.HasPrefix(f["CanonicalRequestBytes"], "48 45 41 44 0a 2f") ||
		!strings.HasPrefix(f["StringToSign"], "AWS4-HMAC-SHA256\n20130524T000000Z\n") ||
		!strings.HasPrefix(f["StringToSignBytes"], "41 57 53 34") || len(f["SignatureProvided"]) != signatureLength {
		t.Errorf("fields %q", f)
	}

	r = presignedGet(t, "us-east-1", "s3", exampleTime, time.Minute)
	r.Method = "HEAD"
	_, err = verifyArrived(exampleVerifier(), r)
	_, given, _ := strings.Cut(r.RequestURI, "X-Amz-Signature=")
	if text := fmt.Sprint(fields(err)); strings.Contains(text, given) {
		t.Errorf("the presigned URL's signature is in %s", text)
	}

	r = signedGet(t, "us-east-1", "s3", exampleTime, func(r *http.Request) {
		r.Header.Set("X-Amz-Server-Side-Encryption-Customer-Key", "c2VjcmV0")
	})
	r.Method = "HEAD"
	_, err = verifyArrived(exampleVerifier(), r)
	refused(t, err, s3err.SignatureDoesNotMatch, "")
	if text := fmt.Sprint(fields(err)); strings.Contains(text, "c2VjcmV0") {
		t.Errorf("the customer's key is in %s", text)
	}
}

func TestHeaderFolding(t *testing.T) {
	r := signedGet(t, "us-east-1", "s3", exampleTime, func(r *http.Request) {
		r.Header["X-Amz-Meta-A"] = []string{"one", "two  three"}
		r.Header.Set("Content-Type", "text/plain")
	})
	r.Header["X-Amz-Meta-A"] = []string{" one ", "two\t three"}
	id, err := verifyArrived(exampleVerifier(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(id.SignedHeaders, "x-amz-meta-a") || !slices.Contains(id.SignedHeaders, "content-type") {
		t.Errorf("signed headers %q", id.SignedHeaders)
	}
	for _, values := range [][]string{{"one"}, {"two three", "one"}, {"one", "two three", ""}, {"onetwo three"}} {
		r.Header["X-Amz-Meta-A"] = values
		_, err := verifyArrived(exampleVerifier(), r)
		refused(t, err, s3err.SignatureDoesNotMatch, "")
	}
}

func TestIdentityPrintsNoKey(t *testing.T) {
	id, err := verifyArrived(exampleVerifier(), signedGet(t, "us-east-1", "s3", exampleTime, nil))
	if err != nil {
		t.Fatal(err)
	}
	key := deriveKey(exampleSecret, id.Scope)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		for _, shown := range []string{fmt.Sprintf(verb, id), fmt.Sprintf(verb, *id)} {
			for _, secret := range []string{fmt.Sprintf("%x", key), strings.Trim(fmt.Sprint(key[:4]), "[]"), fmt.Sprintf("%#v", key[:4])[7:20]} {
				if strings.Contains(shown, secret) {
					t.Errorf("%s shows the signing key: %s", verb, shown)
				}
			}
		}
	}
}
