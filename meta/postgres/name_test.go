package postgres

import (
	"strings"
	"testing"
)

// The name of a database has its host and database, and never user or password.
func TestName(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://u:hidden@h/db":                                     "h:5432/db",
		"postgres://u:hidden@h:6432/db?sslmode=disable":                "h:6432/db",
		"postgres://u:hidden@a,b:6432/db":                              "a:5432,b:6432/db",
		"postgres://u:hidden@[::1]:6432/db":                            "[::1]:6432/db",
		"host=h port=1 user=u password=hidden dbname=db":               "h:1/db",
		"postgres://u:hidden@h/db?target_session_attrs=prefer-standby": "h:5432/db",
	} {
		if got, err := Name(url); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", url, got, err, want)
		}
	}
	if _, err := Name("postgres://u:hidden@h:port/db"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("a URL that cannot be read: %v", err)
	}
}
