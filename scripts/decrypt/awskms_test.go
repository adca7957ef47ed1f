//go:build linux

package decrypt_test

import (
	"bytes"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/awskms"
	"github.com/sanctum-storage/gateway/encrypt/providers"
	"github.com/sanctum-storage/gateway/internal/servers"
)

// A data folder whose seeds a key in AWS KMS wrapped opens by asking it, with code that
// shares nothing with the gateway's.
func TestAWSKMS(t *testing.T) {
	d := &data{t: t, dir: t.TempDir(), bodies: map[string][]byte{}}
	k, err := servers.StartKMS(t.Context(), t.TempDir())
	d.must(err)
	t.Cleanup(k.Kill)
	arn, err := k.CreateKey(t.Context())
	d.must(err)
	p, err := awskms.Open(t.Context(), awskms.Options{Key: arn, Endpoint: k.URL, AccessKey: "AKIATEST", SecretKey: "test"})
	d.must(err)
	set, err := providers.New(providers.Options{Providers: map[string]encrypt.Provider{"kms": p}, Default: "kms"})
	d.must(err)
	d.begin(set)
	d.put(d.bucket("first"), "k", pattern(100_000))
	d.close()

	command := []string{"--provider-command", "kms=" + python + " -B ask_awskms.py --endpoint " + k.URL}
	credential := []string{"AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=test"}
	if got := d.works(credential, append(command, "get", "first", "k")...); !bytes.Equal(got, pattern(100_000)) {
		t.Error("wrong bytes")
	}
	_, err = k.Ask(t.Context(), "DisableKey", map[string]any{"KeyId": arn})
	d.must(err)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	d.fails("DisabledException", append(command, "list")...)
}
