package access

import (
	"strings"
	"testing"
)

// A policy's text is the parsed one, except for the names of its principals.
func TestText(t *testing.T) {
	const account = "111111111111"
	for _, doc := range []string{
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`,
		`{"Statement":{"Resource":"*","Action":"s3:GetObject","Principal":{"AWS":"@"},"Effect":"Allow"},"Version":"2012-10-17"}`,
		"{\n\"Id\":\"111111111111\" , \"Statement\" : [ {\"Effect\":\"Deny\",\"NotPrincipal\"\t:\t{ \"AWS\" : [ \"@\" , \"222222222222\", \"@\" ] },\"Action\":\"s3:*\",\"Resource\":\"*\"} ] } ",
		`{"Statement":[{"Effect":"Allow","Princip\u0061l":["@","222222222222"],"Action":"s3:*","Resource":"*"}]}`,
		`{"Statement":[{"Sid":"111111111111","Effect":"Allow","Principal":{"AWS":"@","Service":"logging.s3.amazonaws.com"},"Action":"s3:*","Resource":"*",` +
			`"Condition":{"StringEquals":{"aws:PrincipalAccount":"111111111111","aws:username":["111111111111","\u003c"]}}},` +
			`{"Principal":{"AWS":["@"]},"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::b"}]}`,
	} {
		given := strings.ReplaceAll(doc, "@", account)
		p, err := ParseBucketPolicy("b", "b", []byte(given))
		if err != nil {
			t.Fatalf("%s: %v", given, err)
		}
		if text, err := p.Text(); err != nil || text != given {
			t.Errorf("%s, %v; want %s", text, err, given)
		}
		want := strings.ReplaceAll(doc, "@", "arn:aws:iam::111111111111:root")
		text, err := p.WithARNs(map[string]string{account: "arn:aws:iam::111111111111:root"}).Text()
		if err != nil || text != want {
			t.Errorf("%s, %v; want %s", text, err, want)
		}
	}
}
