package access

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/s3err"
)

func TestCannedACLs(t *testing.T) {
	writer, owner := ID{1}, ID{2}
	own := Grant{Grantee{ID: writer}, FullControl}
	group := func(uri string, p Permission) Grant { return Grant{Grantee{Group: uri}, p} }
	for _, c := range []struct {
		name        string
		bucketOwner ID
		grants      []Grant
		public      bool
	}{
		{"private", owner, []Grant{own}, false},
		{"public-read", owner, []Grant{own, group(AllUsers, Read)}, true},
		{"public-read-write", owner, []Grant{own, group(AllUsers, Read), group(AllUsers, Write)}, true},
		{"authenticated-read", owner, []Grant{own, group(AuthenticatedUsers, Read)}, true},
		{"aws-exec-read", owner, []Grant{own}, false},
		{"log-delivery-write", ID{}, []Grant{own, group(LogDelivery, Write), group(LogDelivery, ReadACP)}, false},
		{"bucket-owner-read", owner, []Grant{own, {Grantee{ID: owner}, Read}}, false},
		{"bucket-owner-full-control", owner, []Grant{own, {Grantee{ID: owner}, FullControl}}, false},
		{"bucket-owner-full-control", writer, []Grant{own}, false},
		{"bucket-owner-read", ID{}, []Grant{own}, false},
	} {
		a, err := CannedACL(c.name, writer, c.bucketOwner)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if a.Owner != writer || !reflect.DeepEqual(a.Grants, c.grants) || a.Public() != c.public {
			t.Errorf("%s: %+v, public %v", c.name, a, a.Public())
		}
	}
	for _, name := range []string{"", "Private", "public", "public-read "} {
		if _, err := CannedACL(name, writer, owner); !errors.Is(err, s3err.InvalidArgument) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if (*ACL)(nil).Public() {
		t.Error("no ACL is public")
	}
}

func TestACLIsStoredAndReadBack(t *testing.T) {
	a := &ACL{Owner: ID{1, 0xff}, Grants: []Grant{
		{Grantee{ID: ID{2}}, Read}, {Grantee{Group: AllUsers}, Write}, {Grantee{ID: ID{3}}, FullControl},
		{Grantee{Group: LogDelivery}, ReadACP}, {Grantee{Group: AuthenticatedUsers}, WriteACP},
	}}
	first, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back ACL
	if err := json.Unmarshal(first, &back); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(&back)
	if err != nil || string(first) != string(second) || !reflect.DeepEqual(*a, back) {
		t.Errorf("%s became %s (%v)", first, second, err)
	}
}

func TestACLOfNobodyIsNotStored(t *testing.T) {
	own := ID{1}
	for name, a := range map[string]*ACL{
		"no owner":         {Grants: []Grant{{Grantee{ID: own}, Read}}},
		"no grantee":       {Owner: own, Grants: []Grant{{Grantee{}, Read}}},
		"two grantees":     {Owner: own, Grants: []Grant{{Grantee{ID: own, Group: AllUsers}, Read}}},
		"unknown group":    {Owner: own, Grants: []Grant{{Grantee{Group: "http://example/All"}, Read}}},
		"no permission":    {Owner: own, Grants: []Grant{{Grantee{ID: own}, ""}}},
		"a permission new": {Owner: own, Grants: []Grant{{Grantee{ID: own}, "EXECUTE"}}},
		"too many":         {Owner: own, Grants: make([]Grant, MaxGrants+1)},
	} {
		if b, err := json.Marshal(a); err == nil {
			t.Errorf("%s: stored as %s", name, b)
		}
	}
}

func TestACLThatIsNotOneIsNotRead(t *testing.T) {
	id := strings.Repeat("1", 32)
	good := `{"owner":"` + id + `","grants":[{"id":"` + id + `","permission":"READ"}]}`
	if err := json.Unmarshal([]byte(good), &ACL{}); err != nil {
		t.Fatalf("%s: %v", good, err)
	}
	for _, doc := range []string{
		`null`, `[]`, `{}`, `"x"`,
		`{"owner":"` + id + `"}`,
		`{"grants":[]}`,
		`{"owner":"` + id + `","grants":null}`,
		`{"owner":"` + id + `","grants":{}}`,
		`{"owner":"00000000000000000000000000000000","grants":[]}`,
		`{"owner":"` + strings.Repeat("A", 32) + `","grants":[]}`,
		`{"owner":"` + id + `","owner":"` + id + `","grants":[]}`,
		`{"owner":"` + id + `","grants":[],"more":1}`,
		`{"Owner":"` + id + `","Grants":[]}`,
		`{"owner":"` + id + `","grants":[null]}`,
		`{"owner":"` + id + `","grants":[{}]}`,
		`{"owner":"` + id + `","grants":[{"permission":"READ"}]}`,
		`{"owner":"` + id + `","grants":[{"id":"` + id + `"}]}`,
		`{"owner":"` + id + `","grants":[{"id":1,"permission":"READ"}]}`,
		`{"owner":"` + id + `","grants":[{"group":"","permission":"READ"}]}`,
		`{"owner":"` + id + `","grants":[{"id":"` + id + `","permission":"read"}]}`,
		`{"owner":"` + id + `","grants":[{"id":"` + id + `","group":"` + AllUsers + `","permission":"READ"}]}`,
	} {
		a := ACL{Owner: ID{9}}
		if err := a.UnmarshalJSON([]byte(doc)); err == nil {
			t.Errorf("read %s as %+v", doc, a)
		}
		if a.Owner != (ID{9}) {
			t.Errorf("%s changed the ACL that it was read into", doc)
		}
	}
}
