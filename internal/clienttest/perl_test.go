//go:build clients

package clienttest

import "testing"

// TestPerl is Amazon::S3, which has multipart uploads and no presigned URLs.
func TestPerl(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		testScript(t, g, require(t, g, "/usr/bin/perl", "libamazon-s3-perl"), script(t, "testdata/amazon_s3.pl"))
	})
}

// TestPerlNet is Net::Amazon::S3, which has presigned URLs. Debian's release of it
// fails in itself before it sends a part.
func TestPerlNet(t *testing.T) {
	onEach(t, func(t *testing.T, g *gateway) {
		t.Parallel()
		testScript(t, g, require(t, g, "/usr/bin/perl", "libnet-amazon-s3-perl"), script(t, "testdata/net_amazon_s3.pl"))
	})
}
