package clienttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// aws iam and aws sts against the endpoint of S3: a user with a policy, a role,
// and what becomes of them.
func TestAWSCLIForIAM(t *testing.T) { onEach(t, testAWSCLIForIAM) }

func testAWSCLIForIAM(t *testing.T, g *gateway) {
	t.Parallel()
	c := newAWSTest(t, g, require(t, g, awscli, "awscli"))
	c.s3("mb", c.at(""))
	file := writeFile(t, filepath.Join(c.home, "file"), "contents")
	c.s3("cp", file, c.at("key"))
	user := c.bucket + "-user"

	var me struct{ Account, Arn string }
	c.ask(&me, "sts", "get-caller-identity")
	if me.Arn != "arn:aws:iam::"+me.Account+":root" {
		t.Errorf("root is %+v", me)
	}
	c.aws("iam", "create-user", "--user-name", user, "--path", "/eng/")
	var key struct {
		AccessKey struct{ AccessKeyId, SecretAccessKey string }
	}
	c.ask(&key, "iam", "create-access-key", "--user-name", user)
	dev := c.as(t, key.AccessKey.AccessKeyId, key.AccessKey.SecretAccessKey, "")
	dev.fails("AccessDenied", "--endpoint-url", c.url, "s3", "ls", c.at(""))

	document := func(text string) string {
		return "file://" + writeFile(t, filepath.Join(c.home, "policy.json"), text)
	}
	read := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],
		"Resource":["arn:aws:s3:::` + c.bucket + `","arn:aws:s3:::` + c.bucket + `/*"]}]}`
	var policy struct{ Policy struct{ Arn string } }
	c.ask(&policy, "iam", "create-policy", "--policy-name", user, "--policy-document", document(read))
	c.aws("iam", "attach-user-policy", "--user-name", user, "--policy-arn", policy.Policy.Arn)
	c.until(dev, "--endpoint-url", c.url, "s3", "cp", c.at("key"), filepath.Join(c.home, "read"))
	if b, err := os.ReadFile(filepath.Join(c.home, "read")); err != nil || string(b) != "contents" {
		t.Errorf("the user reads %q, %v", b, err)
	}
	dev.fails("AccessDenied", "--endpoint-url", c.url, "s3", "cp", file, c.at("other"))
	dev.fails("AccessDenied", "--endpoint-url", c.url, "iam", "list-users")

	var users struct{ Users []struct{ UserName string } }
	c.ask(&users, "iam", "list-users", "--path-prefix", "/eng/", "--page-size", "1", "--query", "{Users: Users[?UserName=='"+user+"']}")
	if len(users.Users) != 1 {
		t.Errorf("listed: %+v", users)
	}
	var got struct {
		PolicyVersion struct{ Document struct{ Version string } }
	}
	c.ask(&got, "iam", "get-policy-version", "--policy-arn", policy.Policy.Arn, "--version-id", "v1")
	if got.PolicyVersion.Document.Version != "2012-10-17" {
		t.Errorf("the policy's document: %+v", got)
	}

	// A role that the user may assume, narrowed further.
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::` + me.Account + `:user/eng/` + user + `"}}]}`
	var role struct{ Role struct{ Arn string } }
	c.ask(&role, "iam", "create-role", "--role-name", user, "--assume-role-policy-document", document(trust))
	c.aws("iam", "put-role-policy", "--role-name", user, "--policy-name", "all",
		"--policy-document", document(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`))
	var session struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
	}
	dev.ask(&session, "sts", "assume-role", "--role-arn", role.Role.Arn, "--role-session-name", "test", "--policy", document(read))
	assumed := c.as(t, session.Credentials.AccessKeyId, session.Credentials.SecretAccessKey, session.Credentials.SessionToken)
	assumed.aws("s3", "cp", c.at("key"), filepath.Join(c.home, "again"))
	assumed.fails("AccessDenied", "--endpoint-url", c.url, "s3", "cp", file, c.at("other"))
	assumed.run("--endpoint-url", c.url, "s3", "presign", c.at("key"))

	c.managed(user)
	c.absent(user)
	c.control(t, me.Account)

	// Everything is removed in the order that AWS demands.
	c.fails("DeleteConflict", "--endpoint-url", c.url, "iam", "delete-user", "--user-name", user)
	c.aws("iam", "delete-role-policy", "--role-name", user, "--policy-name", "all")
	c.aws("iam", "delete-role", "--role-name", user)
	c.aws("iam", "detach-user-policy", "--user-name", user, "--policy-arn", policy.Policy.Arn)
	c.aws("iam", "delete-policy", "--policy-arn", policy.Policy.Arn)
	c.aws("iam", "delete-access-key", "--user-name", user, "--access-key-id", key.AccessKey.AccessKeyId)
	c.aws("iam", "delete-user", "--user-name", user)
	c.fails("NoSuchEntity", "--endpoint-url", c.url, "iam", "get-user", "--user-name", user)
	c.s3("rb", "--force", c.at(""))
}

// managed attaches and detaches a policy that every account has.
func (c *awsTest) managed(user string) {
	const arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
	var all struct{ Policies []struct{ Arn string } }
	c.ask(&all, "iam", "list-policies", "--scope", "AWS", "--page-size", "3")
	if len(all.Policies) != 8 || all.Policies[2].Arn != arn {
		c.t.Errorf("policies of AWS: %+v", all)
	}
	c.aws("iam", "attach-user-policy", "--user-name", user, "--policy-arn", arn)
	c.aws("iam", "detach-user-policy", "--user-name", user, "--policy-arn", arn)
}

// absent asks for what a user and a role of the name do not have.
func (c *awsTest) absent(name string) {
	for _, list := range []string{"list-mfa-devices", "list-ssh-public-keys", "list-signing-certificates", "list-service-specific-credentials"} {
		var found map[string][]any
		c.ask(&found, "iam", list, "--user-name", name)
		for element, all := range found {
			if len(all) > 0 {
				c.t.Errorf("%s: %s has %v", list, element, all)
			}
		}
	}
	var profiles struct{ InstanceProfiles []any }
	c.ask(&profiles, "iam", "list-instance-profiles-for-role", "--role-name", name)
	if profiles.InstanceProfiles == nil || len(profiles.InstanceProfiles) > 0 {
		c.t.Errorf("instance profiles: %+v", profiles)
	}
	c.fails("NoSuchEntity", "--endpoint-url", c.url, "iam", "get-login-profile", "--user-name", name)
}

// control asks S3 Control, where the account stands before the host's name: no such name
// can be looked up here, and so the gateway is the client's proxy. This release has no
// command for the tags of a bucket.
func (c *awsTest) control(t *testing.T, account string) {
	root := c.as(t, accessKey, secretKey, "")
	root.with("HTTP_PROXY="+c.url, "http_proxy="+c.url)
	root.fails("NoSuchPublicAccessBlockConfiguration", "--endpoint-url", "http://gateway.test", "s3control", "get-public-access-block", "--account-id", account)
}

// aws runs a command against the gateway.
func (c *awsTest) aws(args ...string) string {
	c.t.Helper()
	return c.run(append([]string{"--endpoint-url", c.url, "--output", "json"}, args...)...)
}

// ask runs a command and decodes its answer.
func (c *awsTest) ask(v any, args ...string) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.aws(args...)), v); err != nil {
		c.t.Fatal(err)
	}
}

// as is the same with other credentials.
func (c *awsTest) as(t *testing.T, accessKey, secret, token string) *awsTest {
	p := newProgram(t, c.g, c.path)
	other := newAWSTest(t, c.g, p)
	p.with("AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secret)
	if token != "" {
		p.with("AWS_SESSION_TOKEN=" + token)
	}
	return other
}

// until runs a command until it succeeds: rights that were given are seen within
// a moment.
func (c *awsTest) until(who *awsTest, args ...string) {
	c.t.Helper()
	for range 20 {
		if _, _, err := who.try("", args...); err == nil {
			return
		}
	}
	c.t.Fatalf("%v: still refused", args)
}
