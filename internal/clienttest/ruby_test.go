//go:build clients

package clienttest

import "testing"

// TestRuby is the AWS SDK for Ruby of Debian.
func TestRuby(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		testScript(t, g, require(t, g, "/usr/bin/ruby", "ruby-aws-sdk-s3"), script(t, "testdata/ruby_client.rb"))
	})
}

// TestActiveStorage is the service of S3 that Rails stores attachments in.
func TestActiveStorage(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		testScript(t, g, require(t, g, "/usr/bin/ruby", "ruby-activestorage"), script(t, "testdata/activestorage_client.rb"))
	})
}
