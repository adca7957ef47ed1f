package access

import (
	"strings"
	"testing"
)

// A policy bound to ids follows the user, not the name.
func TestWithIDs(t *testing.T) {
	one, account := tenant("1")
	alice := &Principal{Kind: User, Tenant: one, ID: ID{1}, Account: account, Name: "alice"}
	again := &Principal{Kind: User, Tenant: one, ID: ID{2}, Account: account, Name: "alice"}
	role := &Principal{Kind: Session, Tenant: one, ID: ID{3}, Account: account, Name: "app", SessionName: "s1"}
	remade := &Principal{Kind: Session, Tenant: one, ID: ID{4}, Account: account, Name: "app", SessionName: "s1"}
	named, err := ParseBucketPolicy("b", "b", []byte(`{"Statement":[
		{"Effect":"Allow","Principal":{"AWS":["arn:aws-cn:iam::111111111111:user/alice","arn:aws:iam::111111111111:role/app"]},"Action":"s3:GetObject","Resource":"*"},
		{"Effect":"Deny","NotPrincipal":{"AWS":["111111111111","arn:aws:iam::111111111111:user/alice","arn:aws:iam::111111111111:role/app","arn:aws:sts::111111111111:assumed-role/app/s1"]},"Action":"s3:GetObject","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	bound := named.WithIDs(func(arn string) (string, bool) {
		switch arn {
		case alice.ARN():
			return UserUniqueID(alice.ID), true
		case role.RoleARN():
			return RoleUniqueID(role.ID), true
		case role.ARN():
			return role.UserID(), true
		}
		return "", false
	})
	written, err := bound.Text()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := ParseBucketPolicy("b", "b", []byte(written))
	if err != nil {
		t.Fatalf("%s: %v", written, err)
	}
	for _, c := range []struct {
		name   string
		policy *Policy
		p      *Principal
		allow  bool
	}{
		{"by name", named, alice, true}, {"by name, made again", named, again, true},
		{"bound", bound, alice, true}, {"bound, made again", bound, again, false}, {"bound, a role", bound, role, true},
		{"stored", stored, alice, true}, {"stored, made again", stored, again, false}, {"stored, a role", stored, role, true},
		{"by name, a role made again", named, remade, true}, {"bound, a role made again", bound, remade, false}, {"stored, a role made again", stored, remade, false},
	} {
		n := Need{Action: "s3:GetObject", Bucket: &Bucket{Name: "b", Owner: one, Policy: c.policy}, Key: "k"}
		if d := Decide(c.p, nil, n); d.Allow != c.allow {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

func TestUniqueIDs(t *testing.T) {
	hex := ID{1, 2}.String()
	for _, u := range []UniqueID{{ID: ID{1, 2}}, {ID: ID{1, 2}, Role: true}, {ID: ID{1, 2}, Role: true, Session: "a.b@c,d=e+f_g-h"}} {
		if got, ok := ParseUniqueID(u.String()); !ok || got != u {
			t.Errorf("%s: %+v, %v", u, got, ok)
		}
	}
	for _, s := range []string{"", "AIDA", "AROA", hex, "AGPA" + hex, "AIDA" + hex + "0", "AIDA" + hex[1:], "aida" + hex,
		"AIDA" + hex + ":session", "AROA" + hex + ":",
		"AROA" + hex + ":x", "AROA" + hex + ":a b", "AROA" + hex + ":a/b", "AROA" + hex + ":a:b", "AROA" + hex + ":*", "AROA" + hex + ":" + strings.Repeat("s", 65), "AROA" + strings.ToUpper(hex[:30]) + "AB"} {
		if u, ok := ParseUniqueID(s); ok {
			t.Errorf("%q is %+v", s, u)
		}
	}
}
