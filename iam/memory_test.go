package iam_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
)

// largest is a policy of the largest size, with the patterns that need most
// memory.
func largest(most, number int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::%d"`, number)
	for i := 0; b.Len() < most-60; i++ {
		fmt.Fprintf(&b, `,"arn:aws:s3:::?%d?%d"`, number, i)
	}
	return b.String() + "]}}"
}

// heldBy returns the memory that do leaves in use.
func heldBy(do func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// Session tokens of users with the largest policies need little memory,
// whatever their number and that of the users. After this many, the caches are
// full, and 10,000 need as much.
func TestMemoryOfSessionTokens(t *testing.T) {
	const tokens, users, most = 2_000, 40, 150 << 20
	g := newRig(t, gatewaytest.Options{})
	tenant := g.tenant.Tenant.ID
	var all []accounts.Identity
	for u := range users {
		user := accounts.Identity{Tenant: tenant, Kind: meta.IdentityUser, Name: fmt.Sprint("user", u)}
		for p := range accounts.MaxAttached {
			policy, err := g.Engine.Accounts().CreateIdentity(t.Context(),
				accounts.Identity{Tenant: tenant, Kind: meta.IdentityPolicy, Name: fmt.Sprint("policy", u, "-", p),
					Policy: &accounts.PolicyFacts{Versions: []accounts.PolicyVersion{{Number: 1,
						Document: largest(access.MaxIdentityPolicyBytes, 1000*u+p)}}, Default: 1, Next: 2}})
			if err != nil {
				t.Fatal(err)
			}
			user.Attached = append(user.Attached, policy.ID)
		}
		user, err := g.Engine.Accounts().CreateIdentity(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, user)
	}
	session := func(i int) accounts.Credential {
		c, err := g.Engine.Accounts().NewSession(accounts.Session{Tenant: tenant, Holder: all[i%users].ID,
			Kind: meta.IdentityUser, Expires: time.Now().Add(time.Hour),
			Policies: []accounts.PolicyText{{Name: "session policy", Document: largest(2048, i)}}, Tags: map[string]string{"n": fmt.Sprint(i)}})
		if err != nil {
			t.Fatal(err)
		}
		found, err := g.Engine.Accounts().Credential(t.Context(), c.AccessKey, c.Token)
		if err != nil {
			t.Fatal(err)
		}
		p := accounts.PrincipalOf(&found, g.Engine.Accounts().Root().ID)
		if p.Broken != nil || len(p.Identity) != accounts.MaxAttached || len(p.Session) != 1 || p.Tags["n"] != fmt.Sprint(i) {
			t.Fatalf("%+v", p)
		}
		return found
	}
	held := heldBy(func() {
		for i := range tokens {
			session(i)
		}
	})
	t.Logf("%d tokens of %d users: %d bytes held", tokens, users, held)
	if held > most {
		t.Errorf("%d tokens take %d bytes, at most %d", tokens, held, most)
	}
	// Two sessions of a user share the same policies.
	a, b := session(0), session(users)
	p, q := accounts.PrincipalOf(&a, meta.ID{}), accounts.PrincipalOf(&b, meta.ID{})
	for i := range p.Identity {
		if p.Identity[i] != q.Identity[i] {
			t.Fatal("two sessions of a user have policies of their own")
		}
	}
}

// Users with policies of the same text share the compiled form: the second user
// costs next to nothing.
func TestCompiledPoliciesAreShared(t *testing.T) {
	made := func(text string) int64 {
		c := &accounts.Credential{Principal: &accounts.Principal{Kind: meta.IdentityUser, Policies: []accounts.PolicyText{{Name: "p", Document: text}},
			Boundary: &accounts.PolicyText{Name: "b", Document: text}}}
		c.Session = &accounts.SessionFacts{Policies: []accounts.PolicyText{{Name: "s", Document: text}}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p := accounts.PrincipalOf(c, meta.ID{})
		runtime.ReadMemStats(&after)
		if p.Broken != nil || p.Identity[0].Name != "p" || p.Boundary.Name != "b" || p.Session[0].Name != "s" {
			t.Fatalf("%+v", p)
		}
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	text := largest(access.MaxIdentityPolicyBytes, int(time.Now().UnixNano()))
	first, second := made(text), made(strings.Clone(text))
	if second*5 > first {
		t.Errorf("%d bytes were allocated for the first user, %d for the second", first, second)
	}
}
