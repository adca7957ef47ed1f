package weakhash_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/hex"
	"os"
	"os/exec"
	"testing"

	"github.com/sanctum-storage/gateway/weakhash"
)

// The sums of "abc". Sources: RFC 1321, appendix A.5, and RFC 3174, section 7.3.
const (
	md5ABC  = "900150983cd24fb0d6963f7d28e17f72"
	sha1ABC = "a9993e364706816aba3e25717850c26c9cd0d89d"
)

func TestSums(t *testing.T) {
	for name, h := range map[string]interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}{md5ABC: weakhash.NewMD5(), sha1ABC: weakhash.NewSHA1()} {
		for _, c := range "abc" {
			if n, err := h.Write([]byte{byte(c)}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != name {
			t.Errorf("%s, want %s", got, name)
		}
		if got := h.Sum([]byte("before")); !bytes.HasPrefix(got, []byte("before")) {
			t.Errorf("the sum does not follow what stood there: %x", got)
		}
	}
	if got := weakhash.MD5([]byte("abc")); hex.EncodeToString(got[:]) != md5ABC {
		t.Errorf("%x", got)
	}
}

// The sums are the same in a process where only approved algorithms may run. The
// mode is for whole processes, so the test runs again in one of its own.
func TestSumsOutsideTheModule(t *testing.T) {
	if fips140.Enforced() {
		return // TestSums has run in it
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestSums$")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
