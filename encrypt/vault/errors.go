package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/sanctum-storage/gateway/encrypt"
)

// maxErrorText bounds the part of the service's error text that an error repeats, in
// bytes.
const maxErrorText = 300

// meanings are the error texts of Transit, and the kinds of errors that they are. The
// first that matches counts. The texts have been the same since 2017:
// https://github.com/openbao/openbao/blob/main/sdk/helper/keysutil/policy.go
var meanings = []struct {
	text string
	kind error
}{
	{"message authentication failed", encrypt.ErrWrongKey},
	{"version is too new", encrypt.ErrKeyNotFound},
	{"disallowed by policy (too old)", encrypt.ErrKeyDisabled},
	{"soft-deleted key", encrypt.ErrKeyDisabled},
	{"encryption key not found", encrypt.ErrKeyNotFound},
	{"no such key version", encrypt.ErrKeyNotFound},
	{"invalid ciphertext", encrypt.ErrCorrupt},
}

// failure is the error of an answer that is none of success.
func failure(c *call, a answer) error {
	texts, ours := a.errors()
	said := c.quote(texts)
	switch {
	case refusal(a.status):
		return fmt.Errorf("vault: %w: the credential needs %s (HTTP %d%s)", encrypt.ErrDenied, c.permission, a.status, said)
	case a.status == http.StatusNotFound && ours:
		// Transit answers an empty list for a key that it does not have, and the router
		// "no handler for route" for a mount that does not exist.
		return fmt.Errorf("vault: %w: nothing is at %s%s", encrypt.ErrKeyNotFound, c.path, said)
	case a.status == http.StatusBadRequest || a.status == http.StatusInternalServerError:
		all := strings.Join(texts, "; ")
		for _, m := range meanings {
			if strings.Contains(all, m.text) {
				return fmt.Errorf("vault: %w%s", m.kind, said)
			}
		}
	}
	return fmt.Errorf("vault: %w: HTTP %d%s", encrypt.ErrUnavailable, a.status, said)
}

// loginRefused is the error of a login that failed. A credential may be the cause of all
// statuses of the client, except for those that ask to come later.
func loginRefused(c *call, a answer) error {
	texts, _ := a.errors()
	kind := encrypt.ErrDenied
	switch {
	case a.status < 400 || a.status >= 500, a.status == http.StatusRequestTimeout,
		a.status == http.StatusPreconditionFailed, a.status == http.StatusTooManyRequests, a.status > 470:
		kind = encrypt.ErrUnavailable
	}
	return fmt.Errorf("vault: %w: login: %s answers HTTP %d%s", kind, c.path, a.status, c.quote(texts))
}

// errors returns the error texts of the answer, and whether it has the service's form.
func (a answer) errors() ([]string, bool) {
	var doc struct {
		Errors *[]string `json:"errors"`
	}
	if json.Unmarshal(a.body, &doc) != nil || doc.Errors == nil {
		return nil, false
	}
	return *doc.Errors, true
}

// quote returns the service's texts for an error, bounded, in one line. A text that repeats
// a secret is withheld.
func (c *call) quote(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	all := strings.Join(strings.Fields(strings.Join(texts, "; ")), " ")
	for _, value := range c.secrets {
		if len(value) > 0 && bytes.Contains([]byte(all), value) {
			return ": (a text that repeats a secret)"
		}
	}
	return fmt.Sprintf(": %.*q", maxErrorText, all)
}
