package vaulttest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// logIn answers a login with a new token.
func (s *Server) logIn(path string, fields map[string]any) reply {
	texts := map[string]string{}
	for name, value := range fields {
		texts[name] = fmt.Sprint(value)
	}
	if !s.accepted[path+canonical(texts)] {
		if strings.Contains(path, "approle") {
			return refuse(http.StatusBadRequest, "invalid role or secret ID")
		}
		return refuse(http.StatusForbidden, "permission denied")
	}
	s.issued++
	name := fmt.Sprintf("hvs.issued-%d", s.issued)
	s.issue(name, s.TTL, s.Renewable)
	return auth(name, s.tokens[name])
}

func auth(name string, t *token) reply {
	seconds := 0
	if !t.ends.IsZero() {
		seconds = int(time.Until(t.ends) / time.Second)
	}
	return reply{http.StatusOK, map[string]any{"data": nil, "auth": map[string]any{
		"client_token": name, "accessor": "acc", "policies": []string{"default"}, "lease_duration": seconds, "renewable": t.renewable,
	}}}
}

func (s *Server) renew(name string, t *token) reply {
	if !t.renewable || t.ends.IsZero() {
		return refuse(http.StatusBadRequest, "lease is not renewable")
	}
	t.ends = time.Now().Add(t.ttl)
	if last := t.began.Add(s.MaxTTL); s.MaxTTL > 0 && t.ends.After(last) {
		t.ends = last
	}
	return auth(name, t)
}

func (s *Server) capabilities(fields map[string]any) reply {
	paths, _ := fields["paths"].([]any)
	got := map[string]any{}
	for _, p := range paths {
		path := fmt.Sprint(p)
		got[path] = []string{"deny"}
		if may := s.may[path]; len(may) > 0 {
			got[path] = may
		}
	}
	if s.Documented {
		return reply{http.StatusOK, got}
	}
	return data(got)
}
