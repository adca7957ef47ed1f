package access

import (
	"fmt"
	"strings"
	"testing"
)

// largePolicy is a bucket policy of nearly the allowed size. Only its last
// statement is about the principal.
func largePolicy(tb testing.TB, statement func(i int) string) *Policy {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Statement":[`)
	for i := 0; ; i++ {
		s := statement(i)
		if b.Len()+len(s)+300 > MaxBucketPolicyBytes {
			break
		}
		b.WriteString(s + ",")
	}
	b.WriteString(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:user/bob"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/home/*"}]}`)
	p, err := ParseBucketPolicy("b", "b", []byte(b.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// BenchmarkParse measures parsing a bucket policy of 20 KB.
func BenchmarkParse(b *testing.B) {
	text, err := largePolicy(b, func(i int) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:user/u%d"},"Action":["s3:Get*","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"}`, i)
	}).Text()
	if err != nil {
		b.Fatal(err)
	}
	doc := []byte(text)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseBucketPolicy("b", "b", doc); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecide measures a decision under bucket policies of 20 KB;
// docs/performance.md has the budget.
func BenchmarkDecide(b *testing.B) {
	for name, statement := range map[string]func(i int) string{
		"principals": func(i int) string {
			return fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:user/u%d"},"Action":"s3:*","Resource":"arn:aws:s3:::b/*"}`, i)
		},
		"conditions": func(i int) string {
			return fmt.Sprintf(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Condition":{"StringLike":{"aws:Referer":"*%d*"}}}`, i)
		},
		"variables": func(i int) string {
			return fmt.Sprintf(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/home/${aws:username}/*/%d/*"}`, i)
		},
		"wildcards": func(i int) string {
			return fmt.Sprintf(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*a?%d*a?*b"}`, i)
		},
	} {
		b.Run(name, func(b *testing.B) {
			policy := largePolicy(b, statement)
			id, account := tenant("1")
			p := who(b, "user:2/bob")
			read, err := ParseIdentityPolicy("read", []byte(`{"Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}`))
			if err != nil {
				b.Fatal(err)
			}
			p.Identity = []*Policy{read}
			request := Context{"aws:referer": {"https://www.example.com/page?x=y"}, "aws:sourceip": {"203.0.113.5"}}
			n := Need{Action: "s3:GetObject", Bucket: &Bucket{Name: "b", Owner: id, Account: account, Policy: policy}, Key: "home/bob/" + strings.Repeat("abcd/", 20)}
			if d := Decide(p, request, n); !d.Allow {
				b.Fatal(d.Reason)
			}
			b.ReportAllocs()
			for b.Loop() {
				Decide(p, request, n)
			}
		})
	}
}
