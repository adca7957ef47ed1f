//go:build pkcs11

package decrypt_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/pkcs11"
	"github.com/sanctum-storage/gateway/encrypt/providers"
)

// The owner of a token reads a data folder without the gateway.
func TestPKCS11(t *testing.T) {
	const module = "/usr/lib/softhsm/libsofthsm2.so"
	d := &data{t: t, dir: t.TempDir(), bodies: map[string][]byte{}}
	hsm := t.TempDir()
	pin, key, config := filepath.Join(hsm, "pin"), filepath.Join(hsm, "key"), filepath.Join(hsm, "softhsm2.conf")
	material := make([]byte, 32)
	rand.Read(material)
	d.must(os.WriteFile(pin, []byte("1234\n"), 0o600))
	d.must(os.WriteFile(key, material, 0o600))
	d.must(os.WriteFile(config, []byte("directories.tokendir = "+hsm+"/tokens\nlog.level = ERROR\n"), 0o600))
	d.must(os.Mkdir(filepath.Join(hsm, "tokens"), 0o700))
	t.Setenv("SOFTHSM2_CONF", config)
	for _, args := range [][]string{
		{"--init-token", "--free", "--label", "gateway", "--pin", "1234", "--so-pin", "12345"},
		{"--import", key, "--aes", "--token", "gateway", "--label", "seeds", "--id", "01", "--pin", "1234"},
	} {
		if out, err := exec.CommandContext(t.Context(), "softhsm2-util", args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %s: %v\n%s", args[0], err, out)
		}
	}
	p, err := pkcs11.Open(pkcs11.Options{Module: module, Token: "gateway", Key: "seeds", PINFile: pin})
	d.must(err)
	set, err := providers.New(providers.Options{Providers: map[string]encrypt.Provider{"hsm": p}, Default: "hsm"})
	d.must(err)
	d.begin(set)
	d.put(d.bucket("first"), "k", pattern(100_000))
	d.close()

	command := "hsm=" + python + " -B ask_pkcs11.py " + module + " gateway seeds "
	env := []string{"SOFTHSM2_CONF=" + config}
	if got := d.works(env, "--provider-command", command+pin, "get", "first", "k"); !bytes.Equal(got, pattern(100_000)) {
		t.Error("wrong bytes")
	}
	d.must(os.WriteFile(pin, []byte("4321"), 0o600))
	d.fails("CKR_PIN_INCORRECT", "--provider-command", command+pin, "get", "first", "k")
}
