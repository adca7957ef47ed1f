package clienttest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestJavaScript(t *testing.T) { onEach(t, testJavaScript) }

func testJavaScript(t *testing.T, g *gateway) {
	t.Parallel()
	if _, err := os.Stat("js/node_modules/@aws-sdk/client-s3"); err != nil {
		t.Fatal("the AWS SDK for JavaScript is missing: run scripts/setup.sh test, or apt-get install npm and npm ci in internal/clienttest/js")
	}
	testScript(t, g, require(t, g, node(t), "nodejs"), script(t, "js/client.js"))
}

// node is the Node that came with the SDK, for Debian 12 has only 18, which the
// SDK no longer supports; else, where npm has none for the machine, that in PATH.
func node(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("js/node_modules/node-linux-*/bin/node")
	must(t, err)
	if len(found) == 0 {
		return "node"
	}
	return script(t, found[0])
}
