package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// oddNumbers are spellings of 1 that some parser accepts and the protocol does
// not allow.
var oddNumbers = []string{"+1", "-+1", "0x1", "1_0", "1e0", "1.0", "1,0", "\u0661", "\uff11", "99999999999999999999"}

// TestOddNumbers sends every numeric parameter in odd spellings. Each is
// refused, and none is taken for the number.
func TestOddNumbers(t *testing.T) {
	g := start(t)
	g.Must(t, 200, "PUT", "/bkt/k", []byte("x"))
	id := newUpload(t, g, "/bkt/up")
	tag := sendPart(t, g, "/bkt/up", id, 1, bytesOf(10))
	query := func(format string) func(*testing.T, string) gatewaytest.Response {
		return func(t *testing.T, n string) gatewaytest.Response {
			return g.Do(t, g.Root, "GET", fmt.Sprintf(format, url.QueryEscape(n)), nil)
		}
	}
	document := func(method, target, format string) func(*testing.T, string) gatewaytest.Response {
		return func(t *testing.T, n string) gatewaytest.Response {
			return g.Do(t, g.Root, method, target, []byte(fmt.Sprintf(format, n)))
		}
	}
	header := func(method, target, name string) func(*testing.T, string) gatewaytest.Response {
		return func(t *testing.T, n string) gatewaytest.Response {
			return g.Do(t, g.Root, method, target, nil, name, n)
		}
	}
	for name, send := range map[string]func(*testing.T, string) gatewaytest.Response{
		"max-keys":    query("/bkt?list-type=2&max-keys=%s"),
		"max-keys v1": query("/bkt?max-keys=%s"),
		"versions":    query("/bkt?versions&max-keys=%s"),
		"max-uploads": query("/bkt?uploads&max-uploads=%s"),
		"max-buckets": query("/?max-buckets=%s"),
		"max-parts":   query("/bkt/up?max-parts=%s&uploadId=" + id),
		"marker":      query("/bkt/up?part-number-marker=%s&uploadId=" + id),
		"get part":    query("/bkt/k?partNumber=%s"),
		"put part": func(t *testing.T, n string) gatewaytest.Response {
			return g.Do(t, g.Root, "PUT", "/bkt/up?partNumber="+url.QueryEscape(n)+"&uploadId="+id, []byte("x"))
		},
		"complete": document("POST", "/bkt/up?uploadId="+id, "<CompleteMultipartUpload><Part><PartNumber>%s</PartNumber><ETag>"+
			strings.ReplaceAll(tag, `"`, "")+"</ETag></Part></CompleteMultipartUpload>"),
		"object size": func(t *testing.T, n string) gatewaytest.Response {
			return g.Do(t, g.Root, "POST", "/bkt/up?uploadId="+id, completeDocument(part(1, tag)), "x-amz-mp-object-size", n)
		},
		"if-match-size": header("DELETE", "/bkt/k", "x-amz-if-match-size"),
		"delete size":   document("POST", "/bkt?delete", "<Delete><Object><Key>k</Key><Size>%s</Size></Object></Delete>"),
		"lifecycle days": document("PUT", "/bkt?lifecycle",
			"<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status><Expiration><Days>%s</Days></Expiration></Rule></LifecycleConfiguration>"),
		"cors age": document("PUT", "/bkt?cors",
			"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>%s</MaxAgeSeconds></CORSRule></CORSConfiguration>"),
	} {
		for _, n := range oddNumbers {
			if !asciiOnly(n) && (name == "object size" || name == "if-match-size") {
				continue // impossible in a header
			}
			if res := send(t, n); res.Status != http.StatusBadRequest {
				t.Errorf("%s %q: %d %s", name, n, res.Status, res.Body)
			}
		}
	}
}

func asciiOnly(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0 }
