//go:build clients

package clienttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAWSCLINewer runs a later aws-cli where the machine has one: what later
// ones do in another way, with checksums of their own accord.
func TestAWSCLINewer(t *testing.T) { onEach(t, testAWSCLINewer) }

func testAWSCLINewer(t *testing.T, g *gateway) {
	t.Parallel()
	path := filepath.Join(filepath.Dir(newerPython("awscli")), "aws")
	if _, err := os.Stat(path); err != nil {
		t.Log("no other aws-cli than Debian's on this machine: nothing more to test")
		return
	}
	c := newAWSTest(t, g, newProgram(t, g, path))
	c.test(c.files, c.attributes, c.copies, c.presigned)
}

// TestBoto3Newer runs a later boto3 where the machine has one.
func TestBoto3Newer(t *testing.T) { onEach(t, testBoto3Newer) }

func testBoto3Newer(t *testing.T, g *gateway) {
	t.Parallel()
	path := newerPython("boto3")
	if path == "" {
		t.Log("no other boto3 than Debian's on this machine: nothing more to test")
		return
	}
	testScript(t, g, newProgram(t, g, path), script(t, "testdata/boto3_client.py"))
}

// newerPython is a Python with a package other than Debian's, if this machine
// has one first in PATH, else empty.
func newerPython(pkg string) string {
	out, err := exec.Command("python3", "-c", "import sys, "+pkg+"; print(sys.executable)").Output()
	path := strings.TrimSpace(string(out))
	if err != nil || strings.HasPrefix(path, "/usr/bin/") {
		return ""
	}
	return path
}
