package access

import "testing"

func TestDecide(t *testing.T) {
	alice, bob := ID{1}, ID{2}
	get := Need{Action: "s3:GetObject", Bucket: "b", Key: "k", BucketOwner: alice}
	foreign := Need{Action: "s3:GetObject", Bucket: "c", Key: "k", BucketOwner: bob}
	put := Need{Action: "s3:PutObject", Bucket: "b", Key: "k", BucketOwner: alice}
	for _, c := range []struct {
		name  string
		p     Principal
		needs []Need
		allow bool
	}{
		{"owner reads", Principal{ID: alice}, []Need{get}, true},
		{"other reads", Principal{ID: bob}, []Need{get}, false},
		{"root reads", Principal{ID: ID{9}, Root: true}, []Need{get, foreign}, true},
		{"anonymous reads", Principal{Anonymous: true}, []Need{get}, false},
		{"anonymous with the rights of root", Principal{ID: ID{9}, Root: true, Anonymous: true}, []Need{get}, false},
		{"nobody in particular", Principal{}, []Need{{Action: "s3:GetObject", Bucket: "b"}}, false},
		{"root without an id", Principal{Root: true}, []Need{get}, false},
		{"copy within one's own", Principal{ID: alice}, []Need{get, put}, true},
		{"copy from another, source first", Principal{ID: alice}, []Need{foreign, put}, false},
		{"copy from another, source last", Principal{ID: alice}, []Need{put, foreign}, false},
		{"any user makes buckets", Principal{ID: bob}, []Need{{Action: CreateBucket, Bucket: "new"}}, true},
		{"any user lists buckets", Principal{ID: bob}, []Need{{Action: ListAllMyBuckets}}, true},
		{"anonymous makes buckets", Principal{Anonymous: true}, []Need{{Action: CreateBucket, Bucket: "new"}}, false},
		{"an unknown service action", Principal{ID: bob}, []Need{{Action: "s3express:ListAllMyDirectoryBuckets"}}, false},
		{"a bucket without an owner", Principal{ID: bob}, []Need{{Action: "s3:GetObject", Bucket: "b"}}, false},
		{"no bucket, own id as its owner", Principal{ID: bob}, []Need{{Action: "s3:GetObject", BucketOwner: bob}}, false},
		{"no needs", Principal{ID: alice, Root: true}, nil, false},
		{"no action", Principal{ID: alice, Root: true}, []Need{{Bucket: "b", BucketOwner: alice}}, false},
	} {
		d := Decide(c.p, c.needs...)
		if d.Allow != c.allow {
			t.Errorf("%s: allow %v (%s), want %v", c.name, d.Allow, d.Reason, c.allow)
		}
		if d.Reason == "" {
			t.Errorf("%s: a decision without a reason", c.name)
		}
	}
}
