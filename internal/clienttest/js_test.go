package clienttest

import (
	"os"
	"testing"
)

func TestJavaScript(t *testing.T) {
	t.Parallel()
	g := sharedGateway(t)
	node := require(t, g, "node", "nodejs")
	if _, err := os.Stat("js/node_modules/@aws-sdk/client-s3"); err != nil {
		t.Fatal("the AWS SDK for JavaScript is missing: run scripts/setup.sh test, or apt-get install npm and npm ci in internal/clienttest/js")
	}
	testScript(t, g, node, script(t, "js/client.js"))
}
