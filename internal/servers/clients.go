//go:build linux

package servers

// S3 clients in Go that are programs of their own. MC is under the AGPL: a
// program to test with, never a part of ours.
var (
	MC         = GoProgram{Package: "github.com/minio/mc", Version: "v0.0.0-20250313080218-cf909e1063a9"}
	Litestream = GoProgram{Package: "github.com/benbjohnson/litestream/cmd/litestream", Version: "v0.5.18"}
	// OpenTofu takes many minutes to build.
	OpenTofu = GoProgram{Package: "github.com/opentofu/opentofu/cmd/tofu", Version: "v1.12.6", Module: "github.com/opentofu/opentofu"}
)
