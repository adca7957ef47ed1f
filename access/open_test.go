package access

import (
	"fmt"
	"testing"
)

// While keys are open, a need is denied only if no values of theirs could allow
// it.
func TestOpenKeys(t *testing.T) {
	open := map[string]bool{"s3:requestobjecttag/": true, "s3:requestobjecttagkeys": true}
	statement := func(effect, condition, resource string) string {
		return fmt.Sprintf(`{"Effect":%q,"Action":"s3:PutObjectTagging","Resource":"arn:aws:s3:::b/%s","Condition":%s}`, effect, resource, condition)
	}
	always := statement("Allow", `{}`, "*")
	for _, c := range []struct {
		name, policy string
		maybe        bool
	}{
		{"allowed elsewhere", statement("Allow", `{}`, "other"), false},
		{"allowed whatever comes", always, true},
		{"denied whatever comes", always + "," + statement("Deny", `{}`, "*"), false},
		{"denied for another reason", always + "," + statement("Deny", `{"StringEquals":{"aws:username":"alice"}}`, "*"), false},
		{"allowed for a tag", statement("Allow", `{"StringEquals":{"s3:RequestObjectTag/team":"blue"}}`, "*"), true},
		{"allowed for a tag, to another", statement("Allow", `{"StringEquals":{"s3:RequestObjectTag/team":"blue","aws:username":"bob"}}`, "*"), false},
		{"allowed for a tag, elsewhere", statement("Allow", `{"StringEquals":{"s3:RequestObjectTag/team":"blue"}}`, "other"), false},
		{"allowed without a tag", statement("Allow", `{"Null":{"s3:RequestObjectTag/team":"true"}}`, "*"), true},
		{"denied for a tag", always + "," + statement("Deny", `{"StringEquals":{"S3:requestobjecttag/Team":"red"}}`, "*"), true},
		{"denied without a tag", always + "," + statement("Deny", `{"Null":{"s3:RequestObjectTag/team":"true"}}`, "*"), true},
		{"denied for tag keys", always + "," + statement("Deny", `{"ForAnyValue:StringEquals":{"s3:RequestObjectTagKeys":["team"]}}`, "*"), true},
		{"denied by another key too", always + "," + statement("Deny",
			`{"StringEquals":{"s3:RequestObjectTag/team":"red"},"Null":{"aws:Referer":"false"}}`, "*"), true},
		{"a variable in the resource", statement("Allow", `{}`, "${s3:RequestObjectTag/team}"), true},
		{"a variable in a resource that is denied", always + "," + statement("Deny", `{}`, "${s3:RequestObjectTag/team}*"), true},
		{"a variable in a condition", statement("Allow", `{"StringEquals":{"aws:username":"${s3:RequestObjectTag/team}"}}`, "*"), true},
		{"a variable in a condition that denies", always + "," + statement("Deny", `{"StringNotEquals":{"aws:username":"${s3:RequestObjectTag/team}"}}`, "*"), true},
		{"a variable in an ARN", statement("Allow", `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/${s3:RequestObjectTag/team}"}}`, "*"), true},
	} {
		policy, err := ParseIdentityPolicy("p", []byte(`{"Version":"2012-10-17","Statement":[`+c.policy+`]}`))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		p := who(t, "user:1/alice")
		p.Identity = []*Policy{policy}
		n := Need{Action: "s3:PutObjectTagging", Bucket: &Bucket{Name: "b", Owner: p.Tenant, Account: p.Account}, Key: "k"}
		n.Open = open
		maybe := Decide(p, nil, n).Allow
		if maybe != c.maybe {
			t.Errorf("%s: may be allowed: %v", c.name, maybe)
		}
		n.Open = nil
		some := false
		for _, tags := range []map[string]string{nil, {"team": "blue"}, {"team": "red"}, {"other": "x"}, {"team": "k"}, {"team": "alice"}} {
			n.Context = Context{}
			for key, value := range tags {
				n.Context.AddTag("s3:RequestObjectTag/", key, value)
				n.Context["s3:requestobjecttagkeys"] = append(n.Context["s3:requestobjecttagkeys"], key)
			}
			some = some || Decide(p, nil, n).Allow
		}
		if some != c.maybe {
			t.Errorf("%s: some tags are allowed: %v", c.name, some)
		}
	}
}

// A key that an action does not have is absent, whatever the request has.
func TestKeysOfOtherActions(t *testing.T) {
	for key, actions := range keyActions {
		name := key
		if familyOf(key+"x") != key+"x" {
			name = key + "x"
		}
		e := env{request: Context{normalKey(name): {"v"}}}
		for i, action := range loweredActions {
			e.action = asked{index: i}
			if got := len(e.lookup(normalKey(name))) > 0; got != actions[action[len("s3:"):]] {
				t.Errorf("%s of %s: %v", name, action, got)
			}
		}
		if e.action = newAsked("iam:CreateUser"); len(e.lookup(normalKey(name))) > 0 {
			t.Errorf("%s of an action of IAM", name)
		}
	}
}
