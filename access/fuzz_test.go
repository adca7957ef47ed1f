package access

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// seedDocuments gives a fuzz target the documents of all cases of a kind.
func seedDocuments(f *testing.F, kind string) {
	eachCaseFile(f, func(_ string, c *caseFile) {
		for _, d := range c.Documents {
			if d.Kind == kind {
				f.Add([]byte(d.Doc))
				f.Add([]byte(d.Text))
			}
		}
		for name, raw := range c.Policies {
			doc := c.document(f, raw)
			if isBucket := strings.Contains(string(doc), "rincipal"); isBucket == (kind == "bucket") {
				f.Add([]byte(strings.ReplaceAll(string(doc), "s3:::b", "s3:::photos")))
			} else if testing.Verbose() {
				f.Logf("%s is not %s's", name, kind)
			}
		}
	})
}

// probes are requests to try a policy with.
func probes(t testing.TB) (principals []*Principal, needs []Need, contexts []Context) {
	for _, s := range []string{
		"anonymous", "root:1", "root:2", "user:1/alice", "user:2/team/bob", "role:1/app/s1", "operator",
		"federated:arn:aws:iam::111111111111:oidc-provider/idp.example",
	} {
		principals = append(principals, who(t, s))
	}
	owner, account := tenant("1")
	b := &Bucket{Name: "photos", Owner: owner, Account: account}
	for _, action := range []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectAcl"} {
		needs = append(needs, Need{Action: action, Bucket: b, Key: "home/alice/x.jpg"})
	}
	for _, action := range []string{"s3:ListBucket", "s3:PutBucketPolicy", "s3:DeleteBucket"} {
		needs = append(needs, Need{Action: action, Bucket: b})
	}
	needs = append(needs, Need{Action: "s3:ListAllMyBuckets"},
		Need{Action: "iam:CreateUser", Resource: "arn:aws:iam::111111111111:user/alice"},
		Need{Action: "sts:AssumeRole", Resource: "arn:aws:iam::111111111111:role/app", Owner: owner})
	contexts = []Context{nil, {
		"s3:prefix": {"home/"}, "aws:sourceip": {"203.0.113.5"}, "aws:securetransport": {"true"}, "s3:max-keys": {"10"},
		"aws:currenttime": {"2026-11-23T10:00:00Z"}, "s3:requestobjecttagkeys": {"a", "b"},
	}}
	return principals, needs, contexts
}

// decisions returns the decisions of all probes under one policy.
func decisions(t testing.TB, kind string, policy *Policy, extra ...*Policy) (all []Decision) {
	principals, needs, contexts := probes(t)
	for _, p := range principals {
		for _, n := range needs {
			for _, c := range contexts {
				q := *p
				switch {
				case kind == "identity":
					q.Identity = append([]*Policy{policy}, extra...)
				case kind == "trust" && n.Action == "sts:AssumeRole":
					n.Trust = policy
				case n.Bucket != nil:
					b := *n.Bucket
					b.Policy = policy
					n.Bucket = &b
				}
				all = append(all, Decide(&q, c, n))
			}
		}
	}
	return all
}

func fuzzParser(f *testing.F, kind string) {
	seedDocuments(f, kind)
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := parseKind(kind, doc)
		if err != nil {
			return
		}
		if !json.Valid(doc) {
			t.Fatal("accepted a document that is not JSON")
		}
		roots := make(map[string]string) // the same in another form
		for _, name := range p.Principals() {
			if IsAccount(name) {
				roots[name] = "arn:aws:iam::" + name + ":root"
			}
		}
		text, err := p.WithARNs(roots).Text()
		if err != nil {
			t.Fatal(err)
		}
		written := []byte(text)
		q, err := parseKind(kind, written)
		if err != nil {
			if len(written) > len(doc) {
				return // it grew beyond the limit
			}
			t.Fatalf("%s was written as %s: %v", doc, written, err)
		}
		before, after := decisions(t, kind, p), decisions(t, kind, q)
		for i := range before {
			if before[i].Allow != after[i].Allow || before[i].Public != after[i].Public {
				t.Fatalf("%s as %s: probe %d: %+v became %+v", doc, written, i, before[i], after[i])
			}
		}
		if p.Public() != q.Public() || fmt.Sprint(p.Principals()) != fmt.Sprint(q.Principals()) {
			t.Fatalf("%s as %s: public %v %v", doc, written, p.Public(), q.Public())
		}
	})
}

func FuzzParseBucketPolicy(f *testing.F)   { fuzzParser(f, "bucket") }
func FuzzParseIdentityPolicy(f *testing.F) { fuzzParser(f, "identity") }
func FuzzParseTrustPolicy(f *testing.F)    { fuzzParser(f, "trust") }

// A denying statement that is added to a policy never turns a denial into an
// allowance.
func FuzzDenyNeverAllows(f *testing.F) {
	eachCaseFile(f, func(_ string, c *caseFile) {
		for _, p := range c.Policies {
			for _, q := range c.Policies {
				f.Add([]byte(c.document(f, p)), []byte(c.document(f, q)))
			}
		}
	})
	f.Fuzz(func(t *testing.T, policy, more []byte) {
		policy = []byte(strings.ReplaceAll(string(policy), "s3:::b", "s3:::photos"))
		more = []byte(strings.ReplaceAll(string(more), "s3:::b", "s3:::photos"))
		for _, kind := range []string{"bucket", "identity"} {
			p, err := parseKind(kind, policy)
			if err != nil {
				continue
			}
			q, err := parseKind(kind, more)
			if err != nil {
				continue
			}
			denying := *p
			denying.denies = append(append([]statement(nil), p.denies...), q.denies...)
			before, after := decisions(t, kind, p), decisions(t, kind, &denying)
			for i := range before {
				if after[i].Allow && !before[i].Allow {
					t.Fatalf("%s and %s: probe %d: %+v became %+v", policy, more, i, before[i], after[i])
				}
			}
		}
	})
}

// naive reports whether tokens match a text, where star and any are wildcards
// and the others characters. It follows the definition, slowly.
func naive(tokens []rune, text string) bool {
	var chars []rune
	for text != "" {
		r, n := decodeRune(text)
		chars, text = append(chars, r), text[n:]
	}
	may := make([]bool, len(chars)+1) // whether the tokens so far match so many characters
	may[0] = true
	for _, t := range tokens {
		next := make([]bool, len(chars)+1)
		for i := range may {
			switch {
			case t == naiveStar:
				next[i] = may[i] || i > 0 && next[i-1]
			case i > 0:
				next[i] = may[i-1] && (t == naiveAny || t == chars[i-1])
			}
		}
		may = next
	}
	return may[len(chars)]
}

const naiveStar, naiveAny rune = -1, -2

// tokens parses a pattern, or a literal text.
func tokens(pattern string, literal bool) (all []rune) {
	for pattern != "" {
		r, n := decodeRune(pattern)
		switch {
		case !literal && r == '*':
			r = naiveStar
		case !literal && r == '?':
			r = naiveAny
		}
		all, pattern = append(all, r), pattern[n:]
	}
	return all
}

// A glob matches as defined, for every text.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{
		{"a*b?c", "axxbyc"}, {"*ab*ab*", "abab"}, {"?", "ü"}, {"**", ""}, {"*a?a?b*", "aacaab"}, {"", ""}, {"*??", "€"},
		{"*" + strings.Repeat("a?", 50) + "*", strings.Repeat("a", 130)}, {"ab*ba", "aba"}, {"?*", "\xff\xfe"}, {"*?é?*", "\xc3aéé\xa9"},
		{"*" + strings.Repeat("?é", 70) + "*", strings.Repeat("éi", 90)}, {"*a?*á?*", "xaáá"}, {"*?A?\u0141*", "A\u0141A\u0141"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 300 || len(text) > 1000 || !utf8.ValidString(pattern) {
			return // the text of a policy is UTF-8
		}
		g := newGlob(pattern)
		if got, want := g.match(text, nil), naive(tokens(pattern, false), text); got != want {
			t.Errorf("%q on %q: %v", pattern, text, got)
		}
	})
}

// A template matches as defined with its variables' values, whether or not its
// expansion was remembered.
func FuzzTemplate(f *testing.F) {
	for _, s := range [][3]string{
		{"home/${aws:username}/*", "alice", "home/alice/x"}, {"*${aws:username}*x*", "a*b", "a*ba*bx"}, {"${aws:username}", "alice", "alice"},
		{"${x:y, 'd'}*b?c*d", "", "dbbcd"}, {"a*${*}*b", "", "a*b"}, {"?${aws:username}?", "?", "x?y"}, {"a*a${ AWS:username }", "*", "aa*"},
		{"*?${aws:username}?*", "ab?", "xab?yzab?y"}, {"***${x:y,'**'}**", "", "a**b"}, {"${x:none}*", "", "a"}, {"a${aws:username", "", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, pattern, value, text string) {
		compiled, ok := newTemplate(pattern, true, true)
		if !ok || len(pattern)+len(value) > 300 || len(text) > 1000 || !utf8.ValidString(pattern+value) {
			return
		}
		e := &env{p: &Principal{}, derived: &derived{username: []string{value}}}
		written, resolved := template{text: pattern, variables: true, wildcards: true}, true
		var all []rune
		for rest := pattern; rest != ""; {
			var p piece
			if p, rest, ok = written.cut(rest, newVariable); !ok {
				t.Fatalf("%q was compiled", pattern)
			}
			text, ok := p.value(e)
			resolved = resolved && ok
			all = append(all, tokens(text, p.literal)...)
		}
		want := resolved && naive(all, text)
		remembering := *e
		remembering.v = NewEvaluation(t.Context(), e.p, nil)
		remembering.settled = &settled{expansions: make(map[*template]*expansion)}
		for _, e := range []*env{e, &remembering, &remembering} {
			if got, known := compiled.match(text, e); got != want || known != resolved {
				t.Errorf("%q of %q on %q: %v, %v; want %v, %v", pattern, value, text, got, known, want, resolved)
			}
		}
		if want && !compiled.possible(text) {
			t.Errorf("%q of %q on %q was taken for impossible", pattern, value, text)
		}
	})
}

func FuzzACL(f *testing.F) {
	f.Add([]byte(`{"owner":"11111111111111111111111111111111","grants":[{"id":"22222222222222222222222222222222","permission":"READ"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var a ACL
		if a.UnmarshalJSON(doc) != nil {
			return
		}
		written, err := json.Marshal(&a)
		if err != nil {
			t.Fatalf("%s was read but is not written: %v", doc, err)
		}
		var b ACL
		if err := json.Unmarshal(written, &b); err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("%s became %s (%v)", doc, written, err)
		}
	})
}
