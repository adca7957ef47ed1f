package api_test

import (
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/internal/gatewaytest"
)

// Policies of upload forms that are costly, or that can be read in two ways,
// are refused although they are correctly signed. The cost is bounded by their
// length, and nothing is stored.
func TestHostileFormPolicies(t *testing.T) {
	g := start(t)
	const later = `"expiration":"2100-01-01T00:00:00.000Z"`
	const all = `{"bucket":"bkt"},["starts-with","$key",""],["starts-with","$x-amz-algorithm",""],["starts-with","$x-amz-credential",""],["starts-with","$x-amz-date",""]`
	docs := gatewaytest.HostileJSON(12 << 10) // all fields together have 20 KiB, in base64
	fill := func(unit string) string {
		return `{` + later + `,"conditions":[` + all + strings.Repeat(","+unit, (12<<10)/(len(unit)+1)) + `]}`
	}
	for what, doc := range map[string]string{
		"conditions without end":    fill(`["eq","$a","b"]`),
		"empty conditions":          fill(`[]`),
		"simple conditions":         fill(`{"a":"b"}`),
		"nested conditions":         fill(`[[[[]]]]`),
		"conditions twice":          `{` + later + `,"conditions":[{"acl":"private"}],"conditions":[` + all + `]}`,
		"conditions in capitals":    `{` + later + `,"CONDITIONS":[{"acl":"private"}],"conditions":[` + all + `]}`,
		"expiration twice":          `{"expiration":"2000-01-01T00:00:00.000Z",` + later + `,"conditions":[` + all + `]}`,
		"one field twice":           `{` + later + `,"conditions":[` + all + `,{"key":"other","key":"k"}]}`,
		"one field in both cases":   `{` + later + `,"conditions":[` + all + `,{"key":"other","Key":"k"}]}`,
		"a condition of an object":  `{` + later + `,"conditions":[` + all + `,{"key":{"a":"k"}}]}`,
		"a condition of many parts": `{` + later + `,"conditions":[` + all + `,["eq","$key"` + strings.Repeat(`,"k"`, 2000) + `]]}`,
	} {
		docs[what] = doc
	}
	send := func(doc string) gatewaytest.Response {
		form := good(g, []byte("x"), "key", "k")
		form.document = doc
		return form.post(t, g, "/bkt")
	}
	for what, doc := range docs {
		var res gatewaytest.Response
		used := allocated(func() { res = send(doc) })
		if res.Status != 400 || res.Code() != "InvalidPolicyDocument" {
			t.Errorf("%s: %d %.200s", what, res.Status, res.Body)
		}
		if most := uint64(documentFactor*len(doc) + policyAllowed); used > most {
			t.Errorf("%s: %d bytes allocated %d, more than %d", what, len(doc), used, most)
		}
	}
	expect(t, "after all", g.Do(t, g.Root, "GET", "/bkt/k", nil), 404, "NoSuchKey")
	expect(t, "a good one", send(`{`+later+`,"conditions":[`+all+`]}`), 204, "")
}
