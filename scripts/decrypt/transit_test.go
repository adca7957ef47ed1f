package decrypt_test

import (
	"bytes"
	"net/http/httptest"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/providers"
	"github.com/sanctum-storage/gateway/encrypt/vault"
	"github.com/sanctum-storage/gateway/encrypt/vault/vaulttest"
)

// The owner of a transit key reads a data folder without the gateway: ask_transit.py was
// written from docs/format.md.
func TestTransit(t *testing.T) {
	s := vaulttest.New()
	s.AddKey("seeds")
	s.Grant("seeds")
	s.Issue("hvs.owner", 0, false)
	listener := httptest.NewServer(s)
	defer listener.Close()
	p, err := vault.Open(vault.Options{Address: listener.URL, Key: "seeds", Login: vault.Login{Method: vault.LoginToken, Token: "hvs.owner"}})
	d := &data{t: t, dir: t.TempDir(), bodies: map[string][]byte{}}
	d.must(err)
	set, err := providers.New(providers.Options{Providers: map[string]encrypt.Provider{"kms": p}, Default: "kms"})
	d.must(err)
	d.begin(set)
	s.Rotate("seeds")
	d.put(d.bucket("first"), "k", pattern(100_000))
	d.close()

	command := "kms=" + python + " -B ask_transit.py"
	env := []string{"VAULT_ADDR=" + listener.URL + "/", "VAULT_TOKEN=hvs.owner"}
	if got := d.works(env, "--provider-command", command, "get", "first", "k"); !bytes.Equal(got, pattern(100_000)) {
		t.Error("wrong bytes")
	}
	s.Change("seeds", func(k *vaulttest.Key) { k.MinDecryption = 2 })
	t.Setenv("VAULT_ADDR", listener.URL)
	t.Setenv("VAULT_TOKEN", "hvs.owner")
	d.fails("ended with status 1", "--provider-command", command, "get", "first", "k")
	s.Change("seeds", func(k *vaulttest.Key) { k.MinDecryption = 1 })
	d.fails("ended with status 1", "--provider-command", command+" elsewhere", "get", "first", "k")
}
