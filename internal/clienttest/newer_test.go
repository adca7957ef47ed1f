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
	c.test(c.files, c.attributes, c.copies, c.renames, c.presigned)
}

// renames name the source by its key, and with its bucket.
func (c *awsTest) renames(t *testing.T) {
	if _, asked, _ := c.try("", "s3api", "rename-object"); !strings.Contains(asked, "--rename-source") {
		t.Log("this aws-cli does not rename")
		return
	}
	c.api(nil, "copy-object", "--key", "renames/a b", "--copy-source", c.bucket+"/attributes")
	c.api(nil, "rename-object", "--key", "renames/c", "--rename-source", "renames/a%20b")
	c.api(nil, "rename-object", "--key", "renames/d", "--rename-source", c.bucket+"/renames/c", "--destination-if-none-match", "*")
	out := filepath.Join(c.home, "renamed")
	c.api(nil, "get-object", "--key", "renames/d", out)
	sameFile(t, out, corpus(t, 65537))
	c.fails("NoSuchKey", "--endpoint-url", c.url, "s3api", "rename-object", "--bucket", c.bucket, "--key", "renames/e", "--rename-source", "renames/c")
	c.fails("PreconditionFailed", "--endpoint-url", c.url, "s3api", "rename-object", "--bucket", c.bucket, "--key", "attributes", "--rename-source", "renames/d",
		"--destination-if-none-match", "*")
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
