package gatewaytest

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/weakhash"
)

// signedByV2 are the parameters that a signer of Signature Version 2 includes, as in
// the SDKs that had it. It knows no sub-resource that came later.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
var signedByV2 = strings.Fields(`accelerate acl analytics cors delete inventory lifecycle location logging metrics notification
	object-lock partNumber policy replication requestPayment restore select select-type tagging torrent uploadId uploads
	versionId versioning versions website response-cache-control response-content-disposition response-content-encoding
	response-content-language response-content-type response-expires`)

// SignV2 signs a request in its header with Signature Version 2, at a time, with the
// session token of the credential.
func SignV2(r *http.Request, c accounts.Credential, when time.Time) {
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
	}
	date := when.UTC().Format(http.TimeFormat)
	r.Header.Set("Date", date)
	r.Header.Set("Authorization", "AWS "+c.AccessKey+":"+signatureV2(r, c.SecretKey, date, r.Header))
}

// PresignV2 puts a signature of Version 2 that ends at a time into a request's URL,
// with its x-amz- headers and the session token of the credential.
func PresignV2(t testing.TB, r *http.Request, c accounts.Credential, end time.Time) {
	t.Helper()
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
	}
	expires := strconv.FormatInt(end.Unix(), 10)
	q := url.Values{"AWSAccessKeyId": {c.AccessKey}, "Expires": {expires}, "Signature": {signatureV2(r, c.SecretKey, expires, r.Header)}}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !strings.HasPrefix(name, "X-Amz-Copy-Source") {
			q.Set(strings.ToLower(name), r.Header.Get(name))
			r.Header.Del(name)
		}
	}
	if r.URL.RawQuery != "" {
		r.URL.RawQuery += "&"
	}
	r.URL.RawQuery += q.Encode()
}

// SignV2Text signs a text, such as the policy of a form.
func SignV2Text(secret, text string) string {
	m := hmac.New(weakhash.NewSHA1, []byte(secret))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func signatureV2(r *http.Request, secret, date string, h http.Header) string {
	lines := []string{r.Method, h.Get("Content-Md5"), h.Get("Content-Type"), date}
	var own []string
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-") {
			own = append(own, strings.ToLower(name)+":"+strings.Join(values, ","))
		}
	}
	slices.Sort(own)
	resource := r.URL.EscapedPath()
	var signed []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, _, _ := strings.Cut(pair, "="); slices.Contains(signedByV2, name) {
			plain, err := url.QueryUnescape(strings.TrimSuffix(pair, "="))
			if err != nil {
				plain = pair
			}
			signed = append(signed, plain)
		}
	}
	slices.Sort(signed)
	if len(signed) > 0 {
		resource += "?" + strings.Join(signed, "&")
	}
	return SignV2Text(secret, strings.Join(append(append(lines, own...), resource), "\n"))
}
