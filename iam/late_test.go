package iam_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanctum-storage/gateway/iam"
	"github.com/sanctum-storage/gateway/internal/gatewaytest"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// A caller that waits for its turn acts with the rights that it has afterwards.
func TestRightsTakenAwayInATurn(t *testing.T) {
	g := newRig(t, gatewaytest.Options{})
	a := g.Engine.Accounts()
	allow := func() {
		g.root(t, "", "PutUserPolicy", "UserName", "dev", "PolicyName", "p", "PolicyDocument",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}`)
	}
	for name, c := range map[string]struct {
		meanwhile func()
		code      string
	}{
		"nothing":    {func() {}, ""},
		"its policy": {func() { g.root(t, "", "DeleteUserPolicy", "UserName", "dev", "PolicyName", "p") }, "AccessDenied"},
		"its key": {func() {
			if err := a.SetAccessKeyInactive(t.Context(), g.cred.AccessKey, true); err != nil {
				t.Error(err)
			}
		}, "InvalidClientTokenId"},
	} {
		allow()
		g.root(t, "", "CreateGroup", "GroupName", "group")
		now := time.Now()
		h := &iam.Handler{Accounts: a, Now: func() time.Time { return now }}
		body := []byte("Action=DeleteGroup&GroupName=group")
		r, err := http.NewRequest("POST", "http://iam.test/", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := sigv4.Sign(r, g.cred.AccessKey, g.cred.SecretKey, g.Region, "iam", sigv4.PayloadHash(body), now); err != nil {
			t.Fatal(err)
		}
		target, err := sigv4.ReceivedTarget("/", "iam.test")
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		answer := h.Serve(iam.Request{HTTP: r, Target: target, Body: body, Turn: func(meta.ID) (func(), error) {
			c.meanwhile()
			now = now.Add(time.Minute)
			return func() { left++ }, nil
		}})
		code := ""
		if e := s3err.From(answer.Err); e != nil {
			code = string(e.Code)
		}
		if code != c.code || left != 1 {
			t.Errorf("%s: %q, want %q; %d turns left", name, code, c.code, left)
		}
		if err := a.SetAccessKeyInactive(t.Context(), g.cred.AccessKey, false); err != nil {
			t.Fatal(err)
		}
		if c.code != "" {
			g.root(t, "", "DeleteGroup", "GroupName", "group")
		}
	}
}
