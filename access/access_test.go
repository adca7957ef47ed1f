package access

import "testing"

// Without policies, roots may do everything with their own resources, and
// nobody else may do anything.
func TestDecideWithoutPolicies(t *testing.T) {
	alice, bob := ID{1}, ID{2}
	root := func(id ID) *Principal { return &Principal{Kind: Root, Tenant: id, ID: id, Account: "000000000000"} }
	operator := root(ID{9})
	operator.Operator = true
	own := &Bucket{Name: "b", Owner: alice}
	other := &Bucket{Name: "c", Owner: bob}
	get := Need{Action: "s3:GetObject", Bucket: own, BucketName: "b", Key: "k"}
	foreign := Need{Action: "s3:GetObject", Bucket: other, BucketName: "c", Key: "k"}
	put := Need{Action: "s3:PutObject", Bucket: own, BucketName: "b", Key: "k"}
	for _, c := range []struct {
		name  string
		p     *Principal
		needs []Need
		allow bool
	}{
		{"owner reads", root(alice), []Need{get}, true},
		{"other reads", root(bob), []Need{get}, false},
		{"operator reads", operator, []Need{get, foreign}, true},
		{"anonymous reads", &Principal{}, []Need{get}, false},
		{"anonymous with the rights of the operator", &Principal{Tenant: alice, ID: alice, Operator: true}, []Need{get}, false},
		{"a user with the rights of the operator", &Principal{Kind: User, Tenant: bob, ID: ID{3}, Operator: true}, []Need{get}, false},
		{"root without an id", &Principal{Kind: Root, Operator: true}, []Need{get}, false},
		{"copy within one's own", root(alice), []Need{get, put}, true},
		{"copy from another, source first", root(alice), []Need{foreign, put}, false},
		{"copy from another, source last", root(alice), []Need{put, foreign}, false},
		{"a tenant makes buckets", root(bob), []Need{{Action: CreateBucket, BucketName: "new"}}, true},
		{"a tenant lists buckets", root(bob), []Need{{Action: ListAllMyBuckets}}, true},
		{"a user without policies makes buckets", &Principal{Kind: User, Tenant: bob, ID: ID{3}}, []Need{{Action: CreateBucket, BucketName: "new"}}, false},
		{"a user without policies reads its tenant's", &Principal{Kind: User, Tenant: alice, ID: ID{3}}, []Need{get}, false},
		{"anonymous makes buckets", &Principal{}, []Need{{Action: CreateBucket, BucketName: "new"}}, false},
		{"an unknown service action", root(bob), []Need{{Action: "s3express:ListAllMyDirectoryBuckets"}}, false},
		{"an action of the operator's", root(bob), []Need{{Action: "sanctum:CreateUser"}}, false},
		{"the operator takes it", operator, []Need{{Action: "sanctum:CreateUser"}}, true},
		{"a bucket without an owner", root(bob), []Need{{Action: "s3:GetObject", Bucket: &Bucket{Name: "b"}, BucketName: "b", Key: "k"}}, false},
		{"no bucket", root(bob), []Need{{Action: "s3:GetObject", BucketName: "b", Key: "k"}}, false},
		{"no needs", operator, nil, false},
		{"no action", operator, []Need{{Bucket: own, BucketName: "b"}}, false},
	} {
		d := Decide(c.p, nil, c.needs...)
		if d.Allow != c.allow {
			t.Errorf("%s: allow %v (%s), want %v", c.name, d.Allow, d.Reason, c.allow)
		}
		if d.Reason == "" {
			t.Errorf("%s: a decision without a reason", c.name)
		}
	}
}
