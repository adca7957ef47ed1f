package encrypt_test

import (
	"os"
	"os/exec"
	"testing"
)

// Everything but the keyring's Argon2id and the ETags' MD5 (which is not of this
// package) must run where only approved algorithms may. The mode is for whole
// processes, so the tests run again in one of their own.
func TestApprovedAlgorithmsOnly(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const tests = "^(TestPublishedVectors|TestSealAndOpen|TestRangesAtEdges|TestXAESVectors|TestWrap|TestBucketKeys|TestListRecord|TestWholeRecord|TestSystemKeys|TestManifest|TestPart|TestFrozenVectors)$"
	cmd := exec.Command(self, "-test.run", tests)
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The mode is real: with an algorithm that is not approved it fails.
	cmd = exec.Command(self, "-test.run", "^TestXAESAccumulated$")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("a GCM with a nonce of the caller's is approved?\n%s", out)
	}
}
