//go:build unix

package s3

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sanctum-storage/gateway/plainfile"
)

// A pipe where a token should be is refused, and not waited for.
func TestPipesForTokens(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, pipe)
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
			creds, free := newCredentials(&Options{Credentials: CredentialsIMDS, Region: "us-east-1"})
			defer free()
			if err := haveKey(t.Context(), creds, CredentialsIMDS); !errors.Is(err, plainfile.ErrNotPlain) {
				t.Error(err)
			}
		})
	}
}
