package access

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestPrincipalNames(t *testing.T) {
	id := ID{0xab}
	hex := "ab" + strings.Repeat("0", 30)
	for _, c := range []struct {
		p           Principal
		arn, userID string
	}{
		{Principal{}, "", ""},
		{Principal{Kind: Root, Account: "123456789012"}, "arn:aws:iam::123456789012:root", "123456789012"},
		{Principal{Kind: User, Account: "123456789012", ID: id, Name: "bob"}, "arn:aws:iam::123456789012:user/bob", "AIDA" + hex},
		{Principal{Kind: User, Account: "123456789012", ID: id, Path: "/a/b/", Name: "bob"}, "arn:aws:iam::123456789012:user/a/b/bob", "AIDA" + hex},
		{Principal{Kind: Session, Account: "123456789012", ID: id, Path: "/a/", Name: "app", SessionName: "s"},
			"arn:aws:sts::123456789012:assumed-role/app/s", "AROA" + hex + ":s"},
	} {
		if c.p.ARN() != c.arn || c.p.UserID() != c.userID {
			t.Errorf("%+v: %q, %q", c.p, c.p.ARN(), c.p.UserID())
		}
	}
	session := Principal{Kind: Session, Account: "123456789012", Path: "/a/", Name: "app", SessionName: "s"}
	if session.RoleARN() != "arn:aws:iam::123456789012:role/a/app" {
		t.Error(session.RoleARN())
	}
}

// An unreadable setting or policy denies, also to a principal whom nothing else
// would deny.
func TestBrokenDenies(t *testing.T) {
	id, account := tenant("1")
	bucket := &Bucket{Name: "b", Owner: id, Account: account}
	for _, action := range []string{"s3:GetObject", "s3:PutBucketPolicy", "sts:GetCallerIdentity", "iam:GetUser", "sanctum:Do"} {
		p := Principal{Kind: Root, Tenant: id, ID: id, Account: account, Operator: true}
		n := Need{Action: action, Bucket: bucket, Key: "k"}
		if d := Decide(&p, nil, n); !d.Allow {
			t.Fatalf("%s: %s", action, d.Reason)
		}
		p.Broken = errors.New("row 7")
		if d := Decide(&p, nil, n); d.Allow || !strings.Contains(d.Reason, "row 7") {
			t.Errorf("%s: %+v", action, d)
		}
	}
	p := Principal{Kind: Root, Tenant: id, ID: id, Account: account, Operator: true}
	broken := *bucket
	broken.Broken = errors.New("row 8")
	if d := Decide(&p, nil, Need{Action: "s3:PutBucketPolicy", Bucket: &broken}); d.Allow || !strings.Contains(d.Reason, "row 8") {
		t.Errorf("%+v", d)
	}
}

// An unreadable setting may be replaced by the root of the bucket's owner and
// by the operator only, and only as far as the readable settings allow.
func TestRepairing(t *testing.T) {
	id, account := tenant("1")
	other, _ := tenant("2")
	policy := func(doc string) *Policy {
		p, err := ParseBucketPolicy("bucket policy", "b", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	all := policy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]}]}`)
	deny := policy(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutBucketCORS","Resource":"arn:aws:s3:::b"}]}`)
	everything, err := ParseIdentityPolicy("all", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	root := Principal{Kind: Root, Tenant: id, ID: id, Account: account}
	narrow := root
	narrow.Session = []*Policy{everything}
	for name, c := range map[string]struct {
		p      Principal
		policy *Policy
		want   bool
	}{
		"the root":           {root, nil, true},
		"the operator":       {Principal{Kind: Root, Tenant: other, ID: other, Operator: true}, nil, true},
		"a denied root":      {root, deny, false},
		"a root's session":   {narrow, all, false},
		"another root":       {Principal{Kind: Root, Tenant: other, ID: other}, all, false},
		"a user":             {Principal{Kind: User, Tenant: id, ID: other, Account: account, Identity: []*Policy{everything}}, all, false},
		"an operator's user": {Principal{Kind: User, Tenant: other, ID: id, Operator: true, Identity: []*Policy{everything}}, all, false},
		"nobody":             {Principal{}, all, false},
	} {
		b := Bucket{Name: "b", Owner: id, Account: account, Policy: c.policy, Broken: errors.New("row 9"), Repairing: true}
		if d := Decide(&c.p, nil, Need{Action: "s3:PutBucketCORS", Bucket: &b}); d.Allow != c.want {
			t.Errorf("%s: %+v", name, d)
		}
		b.Repairing = false
		if d := Decide(&c.p, nil, Need{Action: "s3:PutBucketCORS", Bucket: &b}); d.Allow {
			t.Errorf("%s, repairing nothing: %+v", name, d)
		}
	}
}

func TestIncompleteNeedsAreDenied(t *testing.T) {
	id, account := tenant("1")
	p := Principal{Kind: Root, Tenant: id, ID: id, Account: account, Operator: true}
	for name, n := range map[string]Need{
		"no bucket":           {Action: "s3:GetObject", Key: "k"},
		"a bucket's name":     {Action: "s3:GetObject", BucketName: "b", Key: "k"},
		"a bucket of nobody":  {Action: "s3:GetObject", Bucket: &Bucket{Name: "b"}, Key: "k"},
		"a bucket unnamed":    {Action: "s3:GetObject", Bucket: &Bucket{Owner: id}, Key: "k"},
		"two buckets":         {Action: "s3:GetObject", Bucket: &Bucket{Name: "b", Owner: id}, BucketName: "c", Key: "k"},
		"another spelling":    {Action: "S3:GetObject", Bucket: &Bucket{Name: "b", Owner: id}, Key: "k"},
		"not an ARN":          {Action: "iam:GetUser", Resource: "bob"},
		"a role of nobody":    {Action: "sts:AssumeRole", Resource: "arn:aws:iam::111111111111:role/x", Trust: &Policy{}},
		"a service's prefix":  {Action: "s3"},
		"no action":           {Bucket: &Bucket{Name: "b", Owner: id}},
		"an unknown S3 thing": {Action: "s3:*", Bucket: &Bucket{Name: "b", Owner: id}},
	} {
		if name == "another spelling" || name == "a service's prefix" {
			p.Operator = false // other services are open to the operator
		} else {
			p.Operator = true
		}
		if d := Decide(&p, nil, n); d.Allow || d.Reason == "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if Decide(nil, nil, Need{Action: "s3:GetObject"}).Allow || Decide(&Principal{Kind: 77, ID: id, Tenant: id}, nil, Need{Action: "s3:ListAllMyBuckets"}).Allow {
		t.Error("an invalid principal")
	}
}

// Tenants without an account number of their own are not matched by the number
// that they share.
func TestNoAccount(t *testing.T) {
	alice, bob := ID{1}, ID{2}
	p := &Principal{Kind: Root, Tenant: bob, ID: bob, Account: noAccount}
	for _, condition := range []string{
		`{"StringEquals":{"aws:PrincipalAccount":"000000000000"}}`,
		`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::000000000000:root"}}`,
		`{"StringEquals":{"aws:userid":"000000000000"}}`,
	} {
		policy, err := ParseBucketPolicy("b", "b",
			[]byte(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Condition":`+condition+`}}`))
		if err != nil {
			t.Fatal(err)
		}
		b := &Bucket{Name: "b", Owner: alice, Account: noAccount, Policy: policy}
		if d := Decide(p, nil, Need{Action: "s3:GetObject", Bucket: b, Key: "k"}); d.Allow {
			t.Errorf("%s: %s", condition, d.Reason)
		}
	}
}

func TestPrincipalsOfAPolicy(t *testing.T) {
	p, err := ParseBucketPolicy("b", "b", []byte(`{"Statement":[
		{"Effect":"Allow","Principal":{"AWS":["arn:aws-cn:iam::222222222222:user/x/bob","111111111111"]},"Action":"s3:*","Resource":"*"},
		{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:sts::222222222222:assumed-role/r/s"]},"Action":"s3:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"111111111111", "arn:aws:iam::222222222222:user/x/bob", "arn:aws:sts::222222222222:assumed-role/r/s"}
	if got := p.Principals(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

// Every one of several needs must be allowed. One that is public makes the
// whole public.
func TestSeveralNeeds(t *testing.T) {
	one, _ := tenant("1")
	two, account := tenant("2")
	open, err := ParseBucketPolicy("b", "b", []byte(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}}`))
	if err != nil {
		t.Fatal(err)
	}
	p := &Principal{Kind: Root, Tenant: two, ID: two, Account: account}
	source := Need{Action: "s3:GetObject", Bucket: &Bucket{Name: "b", Owner: one, Policy: open}, Key: "k"}
	target := Need{Action: "s3:PutObject", Bucket: &Bucket{Name: "c", Owner: two}, Key: "k"}
	if d := Decide(p, nil, source, target); !d.Allow || !d.Public {
		t.Errorf("%+v", d)
	}
	if d := Decide(p, nil, target, target); !d.Allow || d.Public {
		t.Errorf("%+v", d)
	}
	target.Bucket = &Bucket{Name: "c", Owner: one}
	if d := Decide(p, nil, source, target); d.Allow || d.Public {
		t.Errorf("%+v", d)
	}
}

// A need's own context overrides the request's, and neither can set keys about
// the principal.
func TestContextOfNeed(t *testing.T) {
	id, account := tenant("1")
	p := &Principal{Kind: User, Tenant: id, ID: ID{5}, Account: account, Name: "alice"}
	policy, err := ParseIdentityPolicy("p",
		[]byte(`{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/a":"1"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	p.Identity = []*Policy{policy}
	n := Need{Action: "s3:GetObject", Bucket: &Bucket{Name: "b", Owner: id}, Key: "k", Context: Context{}}
	n.Context.AddTag("s3:ExistingObjectTag/", "a", "2")
	request := Context{}
	request.AddTag("s3:ExistingObjectTag/", "a", "1")
	if Decide(p, request, n).Allow {
		t.Error("the request's value won")
	}
	n.Context = nil
	if !Decide(p, request, n).Allow {
		t.Error("the request's value is not seen")
	}
}

func TestActions(t *testing.T) {
	if len(Actions) > maxActions {
		t.Fatalf("%d actions do not fit an actionBits", len(Actions))
	}
	if len(actionIndex) != len(Actions) {
		t.Error("an action is listed twice")
	}
	for name, on := range map[string]ResourceType{
		"s3:GetObject": ObjectResource, "s3:GetObjectVersion": ObjectResource, "s3:ListBucket": BucketResource,
		"s3:PutBucketPolicy": BucketResource, "s3:ListAllMyBuckets": AccountResource, "s3:CreateAccessPoint": OtherResource,
	} {
		if i, ok := actionIndex[name]; !ok || Actions[i].Resource != on {
			t.Errorf("%s is not about %d", name, on)
		}
	}
}
