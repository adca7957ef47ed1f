package api_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/sigv4"
)

// terraformRequest is a request of testdata/terraform. Its README describes the
// format.
type terraformRequest struct {
	line           int
	method, target string // of IAM and STS: the service, and the action
	status         int
	code           string
	headers, form  [][2]string
	document       string
	holds          []string
}

// readTerraform parses a file of testdata/terraform.
func readTerraform(t *testing.T, file, account string) map[string][]terraformRequest {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts, part := make(map[string][]terraformRequest), ""
	for n, line := range strings.Split(strings.ReplaceAll(string(text), "ACCOUNT", account), "\n") {
		more, tab := strings.CutPrefix(line, "\t")
		name, value, _ := strings.Cut(more, "=")
		all := parts[part]
		switch {
		case line == "":
		case line[0] == '[':
			part = strings.Trim(line, "[]")
		case !tab:
			f := strings.Fields(line + " -")
			status, err := strconv.Atoi(f[2])
			if err != nil {
				t.Fatalf("%s:%d: %v", file, n+1, err)
			}
			parts[part] = append(all, terraformRequest{line: n + 1, method: f[0], target: f[1], status: status, code: strings.Trim(f[3], "-")})
		case more[0] == '=':
			all[len(all)-1].holds = append(all[len(all)-1].holds, value)
		case more[0] == '+':
			name, value, _ := strings.Cut(more[1:], ": ")
			all[len(all)-1].headers = append(all[len(all)-1].headers, [2]string{name, value})
		case more[0] == '<' || more[0] == '{':
			all[len(all)-1].document = more
		default:
			all[len(all)-1].form = append(all[len(all)-1].form, [2]string{name, value})
		}
	}
	return parts
}

// send sends a request as SDKs do, with a checksum of its document.
func (q *terraformRequest) send(t *testing.T, g *gatewaytest.Gateway, c accounts.Credential) gatewaytest.Response {
	t.Helper()
	method, target, service, body := q.method, q.target, "s3", q.document
	if q.method == "iam" || q.method == "sts" {
		v := url.Values{"Action": {q.target}, "Version": {map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"}[q.method]}}
		for _, p := range q.form {
			v.Set(p[0], p[1])
		}
		method, target, service, body = "POST", "/", q.method, v.Encode()
	}
	r := g.Request(t, method, target, []byte(body))
	switch {
	case service != "s3":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case body != "":
		r.Header.Set("X-Amz-Sdk-Checksum-Algorithm", "CRC32")
		r.Header.Set("X-Amz-Checksum-Crc32", sum("CRC32", []byte(body)))
	}
	if strings.HasPrefix(target, "/v20180820/") {
		r.Header.Set("X-Amz-Account-Id", accounts.Account(c.Tenant.ID))
	}
	for _, h := range q.headers {
		r.Header.Set(h[0], h[1])
	}
	if err := sigv4.Sign(r, c.AccessKey, c.SecretKey, g.Region, service, sigv4.PayloadHash([]byte(body)), g.Now()); err != nil {
		t.Fatal(err)
	}
	return g.Send(t, r)
}

// passing matches the parts that differ between two answers to one request.
var passing = regexp.MustCompile(`<(RequestId|HostId)>[^<]*</`)

// Terraform creates a configuration, finds nothing to change when it looks
// again, and destroys it. So does a user with AdministratorAccess alone.
func TestTerraform(t *testing.T) {
	files, err := filepath.Glob("../testdata/terraform/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	g := gatewaytest.Start(t, gatewaytest.Options{})
	root := g.User(t, "tenant")
	all, _ := accounts.ManagedPolicy("AdministratorAccess")
	user, err := g.Engine.Accounts().CreateIdentity(t.Context(),
		accounts.Identity{Tenant: root.Tenant.ID, Kind: meta.IdentityUser, Name: "terraform", Attached: []meta.ID{all.ID}})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := g.Engine.Accounts().CreateAccessKey(t.Context(), root.Tenant, user.ID, "", "")
	if err != nil {
		t.Fatal(err)
	}
	admin.Tenant = root.Tenant
	for _, file := range files {
		for _, who := range []accounts.Credential{root, admin} {
			parts := readTerraform(t, file, accounts.Account(root.Tenant.ID))
			accessKey, before := "", make(map[int]string)
			for _, part := range []string{"apply", "read", "read", "destroy"} {
				if len(parts[part]) == 0 {
					t.Fatalf("%s has no part %s", file, part)
				}
				for _, q := range parts[part] {
					for i := range q.form {
						q.form[i][1] = strings.Replace(q.form[i][1], "ACCESSKEY", accessKey, 1)
					}
					res := q.send(t, g, who)
					what := fmt.Sprintf("%s:%d, %s: %s %s", file, q.line, part, q.method, q.target)
					if res.Status != q.status || res.Code() != q.code && q.method != "HEAD" {
						t.Errorf("%s: %d %s, want %d %s", what, res.Status, res.Body, q.status, q.code)
					}
					for _, text := range q.holds {
						if !strings.Contains(string(res.Body), text) {
							t.Errorf("%s: %s, want %s in it", what, res.Body, text)
						}
					}
					if id := res.Element("AccessKeyId"); id != "" {
						accessKey = id
					}
					body := passing.ReplaceAllString(string(res.Body), "")
					if was, seen := before[q.line]; seen && was != body {
						t.Errorf("%s: read again it is %s, was %s", what, body, was)
					}
					before[q.line] = body
				}
			}
		}
	}
}
