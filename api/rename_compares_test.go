package api_test

import (
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// A rename takes the conditions of a GET on what it replaces. A sender who may
// not read that learns nothing by them, whatever it guesses.
func TestRenameComparesOnlyWhatIsRead(t *testing.T) {
	g, alice, _ := shared(t, gatewaytest.Options{})
	h := &household{g: g, alice: alice}
	_, blind := h.user(t, alice, "blind", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},
		{"Effect":"Deny","Action":"s3:GetObject","Resource":["arn:aws:s3:::bucket/k","arn:aws:s3:::bucket/none"]}]}`)
	_, reader := h.user(t, alice, "reader", allowAll)
	put := func() string {
		t.Helper()
		expect(t, "put", g.Do(t, alice, "PUT", "/bucket/s", []byte("source")), 200, "")
		g.Do(t, alice, "DELETE", "/bucket/none", nil)
		return g.Do(t, alice, "PUT", "/bucket/k", []byte("content")).Header.Get("ETag")
	}
	etag := put()
	const past = "Wed, 21 Oct 2015 07:28:00 GMT"
	for _, c := range []struct{ header, holds, fails string }{
		{"If-Match", etag, `"0"`},
		{"If-None-Match", `"0"`, etag},
		{"If-None-Match", `"0", "1"`, `"0", ` + etag},
		{"If-Unmodified-Since", "", past},
		{"If-Modified-Since", past, ""},
	} {
		for _, value := range []string{c.holds, c.fails} {
			for _, key := range []string{"k", "none"} {
				if value == "" {
					continue
				}
				put()
				res := g.Do(t, blind, "PUT", "/bucket/"+key+"?renameObject", nil, from("/bucket/s", c.header, value)...)
				expect(t, c.header+": "+value+" on "+key, res, 403, "AccessDenied")
			}
		}
		if c.holds != "" {
			expect(t, c.header+", by a reader", g.Do(t, reader, "PUT", "/bucket/k?renameObject", nil, from("/bucket/s", c.header, c.holds)...), 200, "")
		}
		put()
		if c.fails != "" {
			expect(t, c.header+", by a reader", g.Do(t, reader, "PUT", "/bucket/k?renameObject", nil, from("/bucket/s", c.header, c.fails)...),
				412, "PreconditionFailed")
		}
	}
	// A star tells only whether there is an object.
	put()
	expect(t, "a star", g.Do(t, blind, "PUT", "/bucket/none?renameObject", nil, from("/bucket/s", "If-None-Match", "*")...), 200, "")
	put()
	expect(t, "a star that fails", g.Do(t, blind, "PUT", "/bucket/k?renameObject", nil, from("/bucket/s", "If-None-Match", "*")...), 412, "PreconditionFailed")
}
