package access_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/access"
)

// spelled writes the strings of a document with JSON's escapes instead of the characters
// that pick says.
func spelled(doc string, pick func(r rune) bool) string {
	var b strings.Builder
	inside := false
	for _, r := range doc {
		switch {
		case r == '"':
			inside = !inside
			b.WriteRune(r)
		case inside && pick(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// JSON has several spellings of one text. Whether a policy asks for an object's tags does
// not depend on which one was taken: PHP, for one, writes \/ for each slash.
func TestTagsAreAskedForInEachSpelling(t *testing.T) {
	statement := func(resource, condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:GetObject","Resource":"` + resource + `"` + condition + `}]}`
	}
	asking := []string{
		statement("*", `,"Condition":{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`),
		statement("*", `,"Condition":{"Null":{"S3:existingOBJECTtag/Team":"true"}}`),
		statement("*", `,"Condition":{"ForAnyValue:StringLikeIfExists":{"aws:username":"x","s3:ExistingObjectTag/a/b":["y","z"]}}`),
		statement("*", `,"Condition":{"StringEquals":{"aws:username":"${s3:ExistingObjectTag/owner}"}}`),
		statement("*", `,"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/${s3:ExistingObjectTag/owner,'nobody'}"}}`),
		statement("arn:aws:s3:::bucket/${s3:ExistingObjectTag/folder}/*", ""),
	}
	silent := []string{
		statement("*", ""),
		statement("arn:aws:s3:::bucket/s3:ExistingObjectTag/x", ""),
		statement("*", `,"Condition":{"StringEquals":{"s3:RequestObjectTag/team":"s3:ExistingObjectTag/team"}}`),
	}
	spellings := map[string]func(string) string{
		"plain":             func(doc string) string { return doc },
		"escaped slashes":   func(doc string) string { return strings.ReplaceAll(doc, "/", `\/`) },
		"numbered slashes":  func(doc string) string { return spelled(doc, func(r rune) bool { return r == '/' }) },
		"a numbered letter": func(doc string) string { return spelled(doc, func(r rune) bool { return r == 'O' || r == 'o' }) },
		"all numbered":      func(doc string) string { return spelled(doc, func(rune) bool { return true }) },
	}
	for name, spell := range spellings {
		for _, doc := range append(asking, silent...) {
			p, err := access.ParseIdentityPolicy("p", []byte(spell(doc)))
			if err != nil {
				t.Fatalf("%s: %s: %v", name, spell(doc), err)
			}
			want := false
			for _, a := range asking {
				want = want || a == doc
			}
			if got := p.AsksObjectTags(); got != want {
				t.Errorf("%s: %s asks for tags: %v, want %v", name, spell(doc), got, want)
			}
		}
	}
}
