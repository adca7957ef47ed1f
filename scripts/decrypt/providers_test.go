package decrypt_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sanctum-storage/gateway/encrypt"
	"github.com/sanctum-storage/gateway/encrypt/keyring"
	"github.com/sanctum-storage/gateway/encrypt/providers"
)

// A data folder whose seeds two named providers wrapped opens with either of them: a key
// file, or a command that asks a key service.
func TestNamedProviders(t *testing.T) {
	d := &data{t: t, dir: t.TempDir(), bodies: map[string][]byte{}}
	files, named := map[string]string{}, map[string]encrypt.Provider{}
	for name, passphrase := range map[string]string{"main": "", "spare": "correct horse"} {
		files[name] = filepath.Join(t.TempDir(), "keyring")
		k, err := keyring.Create(files[name], []byte(passphrase))
		d.must(err)
		named[name] = k
	}
	set, err := providers.New(providers.Options{Providers: named, Default: "main", Second: "spare"})
	d.must(err)
	d.begin(set)
	d.put(d.bucket("first"), "k", pattern(100_000))
	d.close()

	opens := func(env []string, args ...string) {
		t.Helper()
		if got := d.works(env, append(args, "get", "first", "k")...); !bytes.Equal(got, pattern(100_000)) {
			t.Error("wrong bytes")
		}
	}
	secret := []string{"SANCTUM_PASSPHRASE=correct horse"}
	opens(nil, "--provider", "main="+files["main"])
	opens(secret, "--provider", "spare="+files["spare"])
	opens(secret, "--provider", "spare="+files["spare"], "--provider", "main="+files["main"])
	d.fails("give it by --provider", "--provider", "other="+files["main"], "list")
	other := filepath.Join(t.TempDir(), "keyring")
	k, err := keyring.Create(other, nil)
	d.must(err)
	d.must(k.Close())
	d.fails("is not in the keyring", "--provider", "main="+other, "list")
	d.fails("want NAME=FILE", "--provider", files["main"], "list")

	// The command is the documented way to a key service; here it reads the key file.
	script := filepath.Join(t.TempDir(), "ask.py")
	d.must(os.WriteFile(script, fmt.Appendf(nil, `import json, sys
sys.path.insert(0, %q)
from sanctum_format import Keyring, provider_context
h, q = bytes.fromhex, json.loads(sys.stdin.readline())
what = h(q["deployment"]), q["purpose"], h(q["id"]), q["generation"]
assert provider_context(*what) == h(q["context"])
print(Keyring(open(sys.argv[1], "rb").read()).unwrap(*what, h(q["wrapped"])).hex())
`, must(filepath.Abs("."))), 0o600))
	command := python + " -B " + script + " "
	opens(nil, "--provider-command", "main="+command+files["main"])
	d.fails("ended with status 1", "--provider-command", "main=/bin/false", "list")
	d.fails("did not print 32 bytes", "--provider-command", "main=/bin/true", "list")
	d.fails("No such file", "--provider-command", "main=/does/not/exist", "list")
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}
